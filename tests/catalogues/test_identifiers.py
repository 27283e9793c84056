"""What names, None, functions and arrays mean where an object is described: `get`, `get_config`, "did you mean"."""

import json
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)


@pytest.mark.parametrize("module", [optimizers, losses, metrics, initializers, regularizers, constraints])
def test_none_is_none(module):
    assert module.get(None) is None


def test_none_where_something_is_needed():
    assert activations.get(None) is activations.get("linear")
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(TypeError, match="^optimizer: expected a name or an Optimizer, got None"):
        model.compile(None, "mse")
    with pytest.raises(TypeError, match="^metrics: .*None"):
        model.compile("sgd", "mse", metrics=["mae", None])


@pytest.mark.parametrize(
    "module", [activations, constraints, initializers, losses, metrics, optimizers, regularizers]
)
def test_an_array_is_no_identifier(module):
    kind = module.__name__.rpartition(".")[2].rstrip("s").removesuffix("e")
    with pytest.raises(TypeError, match=rf"^{kind}\w*: expected a name.*, got array\("):
        module.get(np.ones(3))


# --- learning rates ---


def trained(rate):
    """Weights of w ← w − rate · 2 w on y = w x, x = 1, t = 0, after each of three steps."""
    model = fastnn.Sequential([layers.Dense(1, use_bias=False, kernel_initializer="ones", input_shape=(1,))])
    model.compile(fastnn.SGD(rate), "mse", seed=0)
    found = []
    for _ in range(3):
        model.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
        found.append(model.get_weights()[0].item())
    return found, model.optimizer


def test_rate_of_no_arguments():
    found, optimizer = trained(lambda: 0.1)
    np.testing.assert_allclose(found, 0.8 ** np.arange(1, 4), rtol=1e-6)
    assert optimizer.learning_rate == 0.1
    asked = iter([0.1, 0.25, 0.5])
    found, optimizer = trained(lambda: next(asked))
    np.testing.assert_allclose(found, np.cumprod([0.8, 0.5, 0.0]), rtol=1e-6)

    def slow():
        return 0.5

    optimizer = optimizers.Adam(slow)
    assert optimizer.get_config()["learning_rate"] is slow and optimizer.schedule is slow
    assert optimizers.Adam.from_config(optimizer.get_config()).learning_rate == 0.5
    assert trained(lambda step: 0.1)[0] == trained(0.1)[0] == trained(lambda step=0: 0.1)[0]


@pytest.mark.parametrize("rate", [lambda a, b: 0.1, optimizers.schedules.CosineDecay])
def test_wrong_rates(rate):
    with pytest.raises(TypeError, match="^learning_rate: expected"):
        optimizers.SGD(rate)


def test_functions_of_other_arguments():
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(TypeError, match="loss one: expected a function \\(y_true, y_pred\\)"):

        def one(y):
            return y

        model.compile("sgd", one)
    with pytest.raises(TypeError, match="metric one: expected a function \\(y_true, y_pred\\)"):
        model.compile("sgd", "mse", metrics=[one])


# --- configurations are JSON ---

ARRAY = np.array([[1.0, -2.5], [1e-300, 3.0], [0.1, 1 / 3]])


def test_arrays_in_configurations():
    stack = [
        layers.Input((3,)),
        layers.Normalization(mean=np.arange(3.0), variance=np.ones(3)),
        layers.Dense(2, None, True, initializers.Constant(ARRAY), initializers.Constant(np.float32(2))),
        layers.PReLU(initializers.Constant(np.array([1, 2]))),
        layers.Dense(2, None, True, initializers.Identity(np.float64(2)), "zeros", regularizers.L2(np.float32(0.5))),
    ]
    model = fastnn.Sequential(stack, dtype="float64")
    text = json.dumps(model.get_config(), allow_nan=False)
    again = fastnn.Sequential.from_config(json.loads(text))
    assert json.dumps(again.get_config()) == text
    np.testing.assert_array_equal(again.layers[1].get_weights()[0], ARRAY)
    np.testing.assert_array_equal(again.layers[2].get_weights()[0], [1, 2])


def everything():
    needs = {"Dense": (2,), "Maxout": (2,), "Activation": ("relu",), "Dropout": (0.5,), "GaussianNoise": (0.5,),
             "GaussianDropout": (0.5,), "AlphaDropout": (0.5, (None, 1)), "Rescaling": (np.float32(2),),
             "Reshape": (np.array([2, 2]),), "InputLayer": ((3,),), "Residual": ([layers.Dense(3)],),
             "SimpleRNN": (2,), "LSTM": (2,), "GRU": (2,), "Bidirectional": (layers.LSTM(2),), "Dot": (1,),
             "Embedding": (3, 2), "Permute": ((2, 1),), "RepeatVector": (2,),
             "TimeDistributed": (layers.Dense(2),)}  # fmt: skip
    for name in sorted(layers.__all__):
        if name not in ("Input", "Layer", "RNN", "Lambda") and not name.islower():  # a Lambda has functions
            yield getattr(layers, name)(*needs.get(name, ()))
    for module in (initializers, regularizers, constraints, losses, optimizers):
        for name in module.names():
            yield getattr(module, name)()
    for name in metrics.names():
        yield getattr(metrics, name)(*[0.5] * (" " not in name and "At" in name))


@pytest.mark.parametrize("thing", list(everything()), ids=lambda thing: type(thing).__name__)
def test_every_configuration_is_json(thing):
    config = json.loads(json.dumps(thing.get_config(), allow_nan=False))
    assert json.loads(json.dumps(type(thing).from_config(config).get_config())) == config


@pytest.mark.parametrize("thing", list(everything()), ids=lambda thing: type(thing).__name__)
def test_custom_objects_everywhere(thing):
    config, cls = json.loads(json.dumps(thing.get_config())), type(thing)
    assert cls.from_config(config, custom_objects={"Mine": cls}).get_config() == cls.from_config(config).get_config()


def test_custom_objects_within_a_block():
    class Own(layers.Dense):
        pass

    block = layers.Residual([Own(3)], input_shape=(3,))
    again = layers.Residual.from_config(block.get_config(), custom_objects={"Own": Own})
    assert type(again.layers[0]) is Own


@pytest.mark.parametrize("module", [losses, metrics])
def test_a_dtype_is_kept(module):
    for name in module.names():
        thing = getattr(module, name)(*[0.5] * (module is metrics and "At" in name), dtype="float64")
        assert thing.dtype == thing.get_config()["dtype"] == "float64", name


def test_a_dtype_is_kept_by_metrics_that_have_no_defaults():
    for metric in (metrics.MeanIoU(2, dtype="float64"), metrics.MeanMetricWrapper(np.add, dtype="float64")):
        assert metric.dtype == "float64"


# --- names that are elsewhere ---


@pytest.mark.parametrize(
    ("module", "name", "there"),
    [
        (fastnn, "load_model", "fastnn.models.load_model"),
        (fastnn, "Dense", "fastnn.layers.Dense"),
        (fastnn, "EarlyStopping", "fastnn.callbacks.EarlyStopping"),
        (fastnn, "MeanSquaredError", "fastnn.losses.MeanSquaredError"),
        (fastnn.models, "Dense", "fastnn.layers.Dense"),
        (layers, "Adam", "fastnn.optimizers.Adam"),
        (fastnn.callbacks, "relu", "fastnn.activations.relu"),
        (fastnn, "Sequentail", "Sequential"),
    ],
)
def test_a_name_of_another_module(module, name, there):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'. Did you mean '{there}'"):
        getattr(module, name)
    message = f"cannot import name '{name}' from '{module.__name__}'. Did you mean '{there}'"
    with pytest.raises(ImportError, match=message):
        exec(f"from {module.__name__} import {name}")
    assert not hasattr(module, "_nothing") and not hasattr(module, "nothing")


def test_importing_a_part_imports_no_other():
    """`from . import plans` asks the package for an attribute first, which once imported everything in search of it."""
    code = "import fastnn.engine.engine, sys; print(*(name in sys.modules for name in ('fastnn.models', 'difflib')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.split() == ["False", "False"]
