"""What notebooks show of models, histories and sweeps: HTML that says what the text says, and is safe."""

import html
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import fastnn
from fastnn import callbacks as cb
from fastnn.layers import Dense

X = np.random.default_rng(0).normal(size=(40, 3))
HOSTILE = "<script>alert('x & \"y\"')</script>"


def parsed(thing):
    """The table: (caption, head, rows, foot) of texts; what is no well-formed XML is an error."""
    text = thing._repr_html_()
    root = ElementTree.fromstring(text)
    assert root.tag == "table" and {e.tag for e in root.iter()} <= {
        "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td",
    }  # fmt: skip
    rows = [["".join(cell.itertext()) for cell in row] for row in root.find("tbody")]
    foot = ["".join(e.itertext()) for e in root.findall("tfoot/tr")]
    return root, root.find("caption").text, [e.text for e in root.findall("thead/tr/th")], rows, foot


def model(name=None, names=("dense", "dense_1")):
    m = fastnn.Sequential(
        [Dense(4, "relu", input_shape=(3,), name=names[0]), Dense(1, name=names[1], trainable=False)], name=name
    )
    m.compile("sgd", "mse", metrics=["mae"])
    return m


def things():
    m = model()
    found = m.fit(X, X[:, 0], epochs=3, validation_split=0.2, verbose=0)
    swept = fastnn.sweep(lambda units: model(), [{"units": u} for u in range(12)], X, X[:, 0], seed=0, verbose=0)
    return {"model": m, "history": found, "sweep": swept}


@pytest.mark.parametrize("name", ["model", "history", "sweep"])
def test_accessible_and_of_the_colours_of_the_page(name):
    root, caption, head, rows, _ = parsed(things()[name])
    assert caption and len(set(head)) == len(head) and all(len(row) == len(head) for row in rows)
    assert all(e.get("scope") == "col" for e in root.findall("thead/tr/th"))
    for row in root.find("tbody"):
        assert row[0].tag == "th" and row[0].get("scope") == "row" and {e.tag for e in row[1:]} == {"td"}
    styles = " ".join(e.get("style", "") for e in root.iter())
    assert not re.search(r"#[0-9a-f]{3}|rgb|white|black|gr[ae]y", styles, re.I)
    assert set(re.findall(r"\bcolor: (\w+)", styles)) == {"inherit"}
    assert set(re.findall(r"background[\w-]*: (\w+)", styles)) <= {"transparent"}


def test_of_a_model_is_its_summary():
    m, lines = model("net"), []
    m.summary(print_fn=lines.append)
    _, caption, head, rows, foot = parsed(m)
    assert caption == lines[0] == 'Model: "net"'
    assert head == ["Layer (type)", "Output Shape", "Param #"]
    assert rows == [["dense (Dense)", "(None, 4)", "16"], ["dense_1 (Dense)", "(None, 1)", "5"]]
    assert foot == ["Total params: 21", "Trainable params: 16", "Non-trainable params: 5"]
    assert foot == lines[-4:-1]


def test_of_a_model_that_is_not_built():
    _, _, _, rows, foot = parsed(fastnn.Sequential([Dense(3, name="top")]))
    assert rows == [["top (Dense)", "?", "?"]] and "Not built" in foot[0]
    assert parsed(fastnn.Sequential())[3] == []


def test_of_a_history():
    found = things()["history"]
    _, caption, head, rows, _ = parsed(found)
    assert caption == "History of 3 epochs" and head == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    for column, name in enumerate(head[1:], 1):
        np.testing.assert_allclose([float(row[column]) for row in rows], found.history[name], rtol=5e-5)


def test_of_a_long_history_and_of_one_that_was_validated_now_and_then():
    found = model().fit(X, X[:, 0], epochs=30, validation_split=0.2, validation_freq=10, verbose=0)
    _, caption, head, rows, _ = parsed(found)
    assert caption == "History of 30 epochs"
    assert [row[0] for row in rows] == [*"12345", "… 10 more", *map(str, range(16, 31))]
    assert [row[0] for row in rows if len(row) > 1 and row[3]] == ["20", "30"]
    np.testing.assert_allclose(float(rows[10][3]), found.history["val_loss"][1], rtol=5e-5)
    assert parsed(cb.History())[1] == "History of 0 epochs"


def test_epochs_of():
    found = model().fit(X, X[:, 0], epochs=7, initial_epoch=1, validation_split=0.2, validation_freq=[2, 5], verbose=0)
    assert found.epochs_of("loss") == found.epoch == [1, 2, 3, 4, 5, 6] and found.epochs_of("val_loss") == [1, 4]
    made = cb.History()
    for epoch, logs in enumerate([{"a": 1.0}, {"a": 2.0}, {}, {"a": 3.0, "b": 1.0}, {"b": 2.0}]):
        made.on_epoch_end(epoch, logs)
    assert made.epochs_of("a") == [0, 1, 3] and made.epochs_of("b") == [3, 4]


def test_of_a_sweep_are_the_ten_best():
    found = things()["sweep"]
    _, caption, head, rows, foot = parsed(found)
    assert caption == "Sweep of 12 networks, best loss first" and foot == ["… and 2 more"]
    assert [int(row[0]) for row in rows] == [row["network"] for row in found.ranked()[:10]]
    assert [row.split() for row in str(found).splitlines()[:11]] == [head, *rows]


def test_names_and_errors_are_escaped():
    m = model(name="a <b> & c", names=(HOSTILE.replace("/", "|"), "dense_1"))
    for thing in (m,):
        text = thing._repr_html_()
        assert "<script" not in text and html.escape("a <b> & c") in text
    made = cb.History()
    made.on_epoch_end(0, {HOSTILE: 1.0})
    assert "<script" not in made._repr_html_() and parsed(made)[2][1] == HOSTILE
    found = fastnn.sweep(lambda text: model(), [{"text": HOSTILE}], X, X[:, 0], seed=0, verbose=0)
    assert "<script" not in found._repr_html_() and HOSTILE in parsed(found)[3][0]
