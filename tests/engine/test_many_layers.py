"""Models of thousands of layers: twice the layers cost about twice the work, in every verb; files are bounded first.

Work is counted in lines of fastnn's Python that run, so that the tests do not depend on the machine.
"""

import hashlib
import json
import os
import sys

import numpy as np
import pytest

import fastnn
from fastnn.layers import Activation, BatchNormalization, Dense, Flatten, Residual
from fastnn.saving import FormatError, container, model

PACKAGE = os.path.dirname(fastnn.__file__) + os.sep
FEW = 300


def lines_run(function):
    """How many lines of fastnn's own a call runs."""
    count = 0

    def local(frame, event, argument):
        nonlocal count
        count += event == "line"
        return local

    def enter(frame, event, argument):
        return local if frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def activations(n):
    return [Activation("relu", input_shape=(1,)), *(Activation("relu") for _ in range(n - 1))]


def dense(n):
    return [Dense(1, input_shape=(1,)), *(Dense(1) for _ in range(n - 1))]


def namesakes(n):
    """Weights of n layers have one name: each is to be found a name of its own for the file."""
    return [fastnn.Sequential([Dense(1, name="same", input_shape=(1,))]) for _ in range(n)]


def blocks(n):
    return [BatchNormalization(input_shape=(1,)), *(Residual([Dense(1)]) for _ in range(n - 1))]


def compiled(layers):
    made, optimizer = fastnn.Sequential(layers), fastnn.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(made.weights)
    made.compile(optimizer, "mse")
    return made


def added(layers):
    made = fastnn.Sequential()
    for layer in layers:
        made.add(layer)


VERBS = {
    "Sequential": lambda made, path: fastnn.Sequential(made.layers),
    "add": lambda made, path: added(made.layers),
    "compile": lambda made, path: made.compile("sgd", "mse"),
    "summary": lambda made, path: made.summary(print_fn=len),
    "clone": lambda made, path: fastnn.models.clone_model(made),
    "fit": lambda made, path: made.fit(np.ones((1, 1)), np.ones((1, 1)), verbose=0),
    "save": lambda made, path: made.save(path),
    "load": lambda made, path: fastnn.models.load_model(path),
    "load_weights": lambda made, path: made.load_weights(path),
}


@pytest.mark.parametrize("layers", [activations, dense, namesakes, blocks])
@pytest.mark.parametrize("verb", VERBS)
def test_twice_the_layers_are_twice_the_work(layers, verb, tmp_path):
    counts = []
    for n in (7, FEW, 2 * FEW):  # the first one also imports and fills caches
        made, path = compiled(layers(n)), tmp_path / "m"
        if verb != "fit":
            made.save(path)
        counts.append(lines_run(lambda made=made, path=path: VERBS[verb](made, path)))
    assert counts[1] > 0
    assert counts[2] <= 2.5 * counts[1], counts


def test_layers_of_one_name_are_still_found():
    """Whatever is renamed, popped, copied or pickled in between."""
    import copy
    import pickle

    made = fastnn.Sequential([Dense(1, name="a", input_shape=(1,)), Dense(1, name="b")])
    with pytest.raises(ValueError, match=r"layers\[2\] \(a\) has the name of layers\[0\]"):
        made.add(Dense(1, name="a"))
    made.layers[0].name = "c"
    made.add(Dense(1, name="a"))
    with pytest.raises(ValueError, match=r"layers\[3\] \(c\) has the name of layers\[0\]"):
        made.add(Dense(1, name="c"))
    with pytest.raises(ValueError, match=r"layers\[3\] \(b\) is the same layer as layers\[1\]"):
        made.add(made.layers[1])
    made.pop()
    made.add(Dense(1, name="a"))
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), fastnn.models.clone_model(made)):
        with pytest.raises(ValueError, match=r"layers\[3\] \(a\) has the name of layers\[2\]"):
            other.add(Dense(1, name="a"))
        other.add(Dense(1, name="d"))
    assert len(made.layers) == 3


def test_a_file_of_too_many_layers_is_refused_before_they_are_made(tmp_path, monkeypatch):
    made, made_of, path = fastnn.Sequential(activations(9)), [], tmp_path / "m"
    made.save(path)
    real = Activation.__init__
    monkeypatch.setattr(Activation, "__init__", lambda self, *a, **k: (made_of.append(1), real(self, *a, **k))[1])
    fastnn.models.load_model(path)
    assert len(made_of) == 9
    monkeypatch.setattr(model, "MAX_LAYERS", 9)  # with the model itself there are ten
    with pytest.raises(FormatError, match="corrupted: more than 9 layers"):
        fastnn.models.load_model(path)
    assert len(made_of) == 9


def test_a_hostile_header_of_the_largest_size_is_refused_after_little_work(tmp_path, monkeypatch):
    """The smallest layers there are, as many as 16 MiB hold: with a right checksum."""
    flatten = '{"class_name":"Flatten","config":{}}'
    n = (container.MAX_HEADER - 1000) // (len(json.dumps(flatten)) - 1)
    config = {"name": "s", "layers": [], "input_shape": {"$tuple": [1]}, "dtype": "float32", "weight_decay": 0.0,
              "trainable": True}  # fmt: skip
    text = json.dumps({"kind": "model", "model": {"class_name": "Sequential", "config": config}, "trainable": True,
                       "weights": [], "compile": None})  # fmt: skip
    text = text.replace('"layers": []', f'"layers": [{",".join([flatten] * n)}]')
    header = {"__metadata__": {"format": "fastnn", "version": "1", "config": text, "sha256": container.BLANK}}
    blank = json.dumps(header).encode()
    assert 0.9 * container.MAX_HEADER < len(blank) <= container.MAX_HEADER
    digest = hashlib.sha256(blank).hexdigest()
    path = tmp_path / "m"
    signed = blank.replace(container.BLANK.encode(), digest.encode())
    path.write_bytes(len(blank).to_bytes(8, "little") + signed)

    monkeypatch.setattr(Flatten, "__init__", lambda self: pytest.fail("a layer was made"))
    with pytest.raises(FormatError, match="corrupted: more than 131072 layers"):
        fastnn.models.load_model(path)
