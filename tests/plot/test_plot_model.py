"""utils.plot_model: boxes and arrows of the description that Graphviz reads, and a picture where it is installed."""

import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

import fastnn
from fastnn.layers import Add, Dense, Input
from fastnn.utils import plot_model


def model_of():
    inner_in = Input((4,), name="inside")
    inner = fastnn.Model(inner_in, Dense(4, "tanh", name="d")(inner_in), name="inner")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = inner(a)
    return fastnn.Model([a, b], Dense(1, name='the "last"')(Add(name="sum")([shared, inner(b), a])), name="outer")


def boxes_and_arrows(text):
    names = dict(re.findall(r'(n\d+) \[label="((?:[^"\\]|\\.)*)"\];', text))
    return names, sorted((names[a], names[b]) for a, b in re.findall(r"(n\d+) -> (n\d+);", text))


def test_boxes_are_layers_and_arrows_what_they_read(tmp_path):
    path = plot_model(model_of(), tmp_path / "m.dot", show_layer_names=True, rankdir="LR")
    text = open(path).read()
    names, arrows = boxes_and_arrows(text)
    assert sorted(names.values()) == [
        "a (InputLayer)", "b (InputLayer)", "inner (Functional)", "sum (Add)", r'the \"last\" (Dense)',
    ]  # fmt: skip
    assert arrows == [
        ("a (InputLayer)", "inner (Functional)"), ("a (InputLayer)", "sum (Add)"),
        ("b (InputLayer)", "inner (Functional)"), ("inner (Functional)", "sum (Add)"),
        ("sum (Add)", r'the \"last\" (Dense)'),
    ]  # fmt: skip
    assert 'rankdir="LR"' in text and "dpi=200" in text


def test_nested_models_and_what_is_shown(tmp_path):
    path = plot_model(model_of(), str(tmp_path / "m.gv"), expand_nested=True, show_shapes=True, show_dtype=True,
                      show_layer_activations=True, show_trainable=True)  # fmt: skip
    text = open(path).read()
    names, arrows = boxes_and_arrows(text)
    assert text.count("subgraph") == 1 and 'label="inner";' in text and len(names) == 6
    dense = next(label for label in names.values() if "tanh" in label)
    assert dense.split(r"\n") == [
        "Dense", "activation: tanh", "input: (None, 4)", "output: (None, 4)", "dtype: float32", "trainable",
    ]  # fmt: skip
    assert any(b == dense for _, b in arrows) and any(a == dense and b.startswith("Add") for a, b in arrows)


def test_a_sequential_model(tmp_path):
    model = fastnn.Sequential([Dense(4, input_shape=(3,), name="one"), Dense(2, name="two")])
    names, arrows = boxes_and_arrows(open(plot_model(model, tmp_path / "m.dot", show_layer_names=True)).read())
    assert len(names) == 3 and ("one (Dense)", "two (Dense)") in arrows


@pytest.mark.parametrize(("model", "options", "error", "words"), [
    (lambda: Dense(1), {}, TypeError, "expected a Sequential or functional model"),
    (lambda: fastnn.Sequential([Dense(1)]), {}, ValueError, "expected a built model"),
    (model_of, {"rankdir": "UP"}, ValueError, "rankdir"),
    (model_of, {"show_shape": True}, TypeError, "Did you mean 'show_shapes'"),
])  # fmt: skip
def test_errors(model, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        plot_model(model(), tmp_path / "m.dot", **options)


def test_without_pydot_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydot", None)
    with pytest.raises(ImportError, match=r"a .svg file, got no module pydot; pip install fastnn-cpu\[graph\]"):
        plot_model(model_of(), tmp_path / "m.svg")


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_svg(tmp_path):
    pytest.importorskip("pydot")
    found = ElementTree.parse(plot_model(model_of(), tmp_path / "m.svg", show_layer_names=True)).getroot()
    assert found.tag.endswith("svg") and "sum (Add)" in "".join(found.itertext())
