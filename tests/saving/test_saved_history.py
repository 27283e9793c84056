"""The history in the file of a model: values, health, exact resuming; and files that have none or a damaged one."""

import json

import numpy as np
import pytest
import safetensors.numpy
from saving_tools import LABELS, X, classifier

import fastnn
from fastnn.models import load_model
from fastnn.saving.container import FormatError, read, write


def trained(epochs=12, **options):
    model = classifier()
    return model, model.fit(X, LABELS, epochs=epochs, batch_size=16, verbose=0, **options)


def test_history_and_health_come_back(tmp_path):
    model, history = trained(validation_split=0.2, validation_freq=3)
    history.history["odd"] = [float("nan"), float("inf"), -0.0, 1e-300, *range(8)]
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    loaded = again.history
    assert loaded.epoch == history.epoch and loaded.epochs_of("val_loss") == [2, 5, 8, 11]
    assert list(loaded.history) == list(history.history)
    for name, values in history.history.items():
        np.testing.assert_array_equal(loaded.history[name], values)
    assert loaded.health == history.health and len(loaded.health) == 12
    assert load_model(tmp_path / "m", compile=False).history is None
    assert loaded.model is again
    assert loaded.record == history.record and len(loaded.record["steps"]) == 12


def test_resumed_training_has_the_health_of_one_that_was_not_interrupted(tmp_path):
    whole = trained(36)[1].health
    model, first = trained(10)
    model.save(tmp_path / "m")
    rest = load_model(tmp_path / "m").fit(X, LABELS, initial_epoch=10, epochs=36, batch_size=16, verbose=0).health
    for found, expected in ((first.health, whole[:10]), (rest, whole[10:])):
        found.layers = expected.layers  # names count up in a process
        assert found == expected
    assert sum(whole.sampled) > sum(first.health.sampled) > 0


def test_what_is_not_json_is_named(tmp_path):
    model, history = trained(1)
    history.history["thing"] = [object()]
    with pytest.warns(UserWarning, match=r"save: history\['thing'\].*the file does not have it"):
        model.save(tmp_path / "m")
    assert set(load_model(tmp_path / "m").history.history) == {"accuracy", "loss"}


@pytest.mark.parametrize("damage", [
    lambda said: said.pop("epoch"), lambda said: said.update(health={"layers": 3}), lambda said: said.update(some=1),
    lambda said: said["health"]["gradient_norm"].pop(), lambda said: said.update(history=[1]),
])  # fmt: skip
def test_a_damaged_history_is_an_error_that_says_so(damage, tmp_path):
    trained(2)[0].save(tmp_path / "m")
    text, tensors = read(tmp_path / "m")
    said = json.loads(bytes(tensors["history"]))
    damage(said)
    tensors["history"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    write(tmp_path / "bad", text, tensors)
    with pytest.raises(FormatError, match="corrupted: invalid history"):
        load_model(tmp_path / "bad")


def test_files_of_weights_have_none(tmp_path):
    model, _ = trained(1)
    model.save_weights(tmp_path / "w")
    assert not any("history" in name for name in safetensors.numpy.load_file(tmp_path / "w"))
    assert fastnn.Sequential(classifier().layers).history is None
