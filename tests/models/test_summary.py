"""The notes' models by name, and the table of a model's layers: the numbers of the notes, exactly."""

import pytest

from fastnn.layers import Dense
from fastnn.models import Sequential, presets

NOTES = {  # trained, not trained: by hand from the notes' tables
    "bn-elu": (268978, 2368),
    "bn-before": (268978 - 400, 2368),
    "prelu": (267010, 0),
    "selu-100": (1256410, 0),
    "relu": (235500 + 30100 + 1010, 0),
    "best": (784 * 300 + 600 + 300 * 100 + 200 + 1010, 800),
}


@pytest.mark.parametrize("name", NOTES)
def test_notes_models(name, capsys):
    model = presets.build(name)
    trained, rest = NOTES[name]
    assert sum(v.size for v in model.trainable_weights) == trained
    assert model.count_params() == trained + rest
    model.summary()
    out = capsys.readouterr().out
    assert f"Total params: {trained + rest:,}\n" in out
    assert f"Trainable params: {trained:,}\n" in out and f"Non-trainable params: {rest:,}\n" in out
    assert model.output_shape == (None, 10)


def test_notes_models_are_complete():
    assert set(presets.names()) == set(NOTES)
    with pytest.raises(ValueError, match="unknown model 'bn_relu'.*Known: .*selu-100"):
        presets.build("bn_relu")


def test_summary_of_the_bn_model():
    lines = []
    presets.build("bn-elu").summary(print_fn=lines.append)
    table = [line.split() for line in lines[4:11]]
    assert [int(row[-1]) for row in table] == [0, 3136, 235500, 1200, 30100, 400, 1010]
    assert [row[2:4] for row in table][:3] == [["(None,", "784)"]] * 2 + [["(None,", "300)"]]
    assert "(BatchNormalization)" in lines[5]
    assert "271,346" in lines[12]


def test_summary_before_building():
    lines = []
    Sequential([Dense(3)]).summary(print_fn=lines.append, line_length=60)
    assert any("Not built" in line for line in lines) and max(map(len, lines)) == 60
