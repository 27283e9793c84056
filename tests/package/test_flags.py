"""Every argument that is True or False by default takes nothing else, least of all the strings "false" and "no"."""

import importlib
import inspect

import numpy as np
import pytest

import fastnn
from fastnn._base.checks import flag

MODULES = (
    "activations callbacks constraints datasets datasets.digits datasets.fashion_mnist diagnostics initializers layers"
    " losses metrics models ops optimizers optimizers.schedules regularizers saving"
).split()
X, Y = np.zeros((4, 3), np.float32), np.zeros((4, 1), np.float32)
INPUT = fastnn.Input((3,))
# What arguments without a default get, by name.
class Cell(fastnn.layers.Layer):
    def call(self, x, states):
        return x, states

    def backward(self, x, states, d_output, d_states):
        return d_output, d_states, []


REQUIRED = {
    "axes": 1, "input_dim": 3, "output_dim": 2,
    "alpha": 0.5, "batch": 0, "boundaries": [1], "build": lambda: None, "config": {}, "decay_rate": 0.5,
    "decay_steps": 10, "default_value": 0.0, "dy": Y, "f": np.sum, "filename": "never", "filepath": "never",
    "first_decay_steps": 10, "function": np.abs, "g": 0.0, "initial_learning_rate": 0.1, "input_shape": (4, 3),
    "labels": [0], "layer": None, "layers": [], "learning_rate": 0.1, "logits": X, "max_lr": 0.1, "params": [{}],
    "precision": 0.5, "rate": 0.5, "recall": 0.5, "scale": 2.0, "schedule": 0.1, "seed": 1, "sensitivity": 0.5,
    "specificity": 0.5, "stddev": 0.1, "target_shape": (3,), "theta": 0.0, "threshold": 0.5, "total_steps": 10,
    "t": Y, "units": 3, "value": 0.0, "values": [0.1, 0.2], "warmup_steps": 1, "x": X, "y": Y, "y_pred": Y, "y_true": Y,
    "inputs": INPUT, "outputs": fastnn.layers.Dense(2)(INPUT), "networks": [], "monitor": "loss", "rising": False,
    "every": 5, "factor": 0.5, "weights": [], "n": 4, "bias": None, "kernel": None, "shape": (3,), "max_norm": 1.0,
    "model": None, "changes": [], "before": {}, "after": {}, "findings": [], "epochs": 1, "batch_size": 1,
    "backup_dir": "never", "num_classes": 3, "fn": np.equal,
    "cell": Cell(),
}  # fmt: skip


def model():
    made = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    made.compile("sgd", "mse")
    return made


def public():
    """(path, object) of every public class and function, each once."""
    seen = set()
    for where in ["", *MODULES]:
        owner = fastnn
        for part in where.split(".") if where else ():
            try:
                owner = getattr(owner, part)
            except AttributeError:
                owner = importlib.import_module(f"fastnn.{where}")
        for name in getattr(owner, "__all__", dir(owner)):
            thing = getattr(owner, name)
            home = getattr(thing, "__module__", None) or "fastnn"
            ours = home.startswith("fastnn") and "._checks" not in home and "._config" not in home
            if name[0] != "_" and callable(thing) and ours and id(thing) not in seen:
                seen.add(id(thing))
                yield f"{where}.{name}".strip("."), thing


def flags_of(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin
        return []
    return [p.name for p in parameters if isinstance(p.default, bool)]


def cases():
    for path, thing in public():
        for name in flags_of(thing):
            yield pytest.param(path, None, name, id=f"{path}-{name}")
        for method in sorted(vars(thing)) if isinstance(thing, type) else ():
            if method[0] != "_" and callable(getattr(thing, method)):
                for name in flags_of(getattr(thing, method)):
                    yield pytest.param(path, method, name, id=f"{path}.{method}-{name}")
    for owner in inspect.getmro(fastnn.Sequential):
        for method in ["__call__", *sorted(m for m in vars(owner) if m[0] != "_")]:
            function = vars(owner).get(method)
            if inspect.isfunction(function):
                for name in flags_of(function):
                    yield pytest.param("Sequential", method, name, id=f"model.{method}-{name}")


CASES = list(cases())


def find(path):
    thing = fastnn
    for part in path.split("."):
        thing = getattr(thing, part)
    return thing


def filled(function, **given):
    """Arguments for what has no default."""
    for name, p in inspect.signature(function).parameters.items():
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and name != "self":
            given.setdefault(name, model() if name == "model" else REQUIRED[name])
    return given


def test_there_is_something_to_check():
    assert len(CASES) > 60


@pytest.mark.parametrize("value", ["false", "no", None, 2, [True]], ids=repr)
@pytest.mark.parametrize(("path", "method", "name"), CASES)
def test_anything_else_is_refused(path, method, name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function = find(path)
    if isinstance(function, type) and issubclass(function, fastnn.models.model.Model) and method:
        function = getattr(model(), method)
    elif method:
        function = getattr(function(**filled(function)), method)
    with pytest.raises(TypeError, match=rf"^{name}: expected True or False, got "):
        function(**filled(function, **{name: value}))
    assert not list(tmp_path.iterdir())


def test_attributes_that_are_flags():
    made = model()
    for owner in (made, made.layers[0], made.layers[0].kernel):
        with pytest.raises(TypeError, match="^trainable: expected True or False, got 'no'"):
            owner.trainable = "no"
        assert owner.trainable is True


@pytest.mark.parametrize("yes", [True, np.True_, 1, np.int64(1), np.array(True)], ids=repr)
def test_what_is_true(yes):
    assert flag("any", yes) is True
    assert fastnn.layers.Dense(3, use_bias=yes).use_bias is True


@pytest.mark.parametrize("no", [False, np.False_, 0, np.int8(0)], ids=repr)
def test_what_is_false(no):
    assert flag("any", no) is False
    assert fastnn.layers.Dense(3, use_bias=no).use_bias is False


@pytest.mark.parametrize("value", [1.0, 0.0, "True", b"1", np.ones(1, bool), np.array([]), object], ids=repr)
def test_what_is_neither(value):
    with pytest.raises(TypeError, match="^any: "):
        flag("any", value)
