"""What the README says of Keras code: its lists, against fastnn and the installed Keras, and one script in both."""

import importlib
import inspect
import os
import re

import numpy as np
import pytest
from places import ROOT

import fastnn

try:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
except ImportError:
    if os.environ.get("FASTNN_REQUIRE_KERAS", "0") != "0":
        raise
    keras = None

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## Keras code\n(.*?)^## ", PAGE, re.M | re.S)[1]
RUNS, LACKS = re.search(r"\*\*Runs\*\*(.*)\*\*Does not run:\*\*(.*)\*\*Runs differently", SECTION, re.S).groups()
KINDS = ("activations", "losses", "metrics", "optimizers", "initializers", "callbacks")


def names(text, start):
    """The names between backticks of what a list says from the word `start` to the end of the item."""
    found = re.search(rf"{start}(.*?)(?:;|\.\n)", text, re.S)
    return re.findall(r"`([\w.]+)`", found[1])


def lacking(kind):
    return set(names(LACKS, kind.removesuffix("s") + "s?"))


def public(module, kind):
    """Classes of a module of Keras; functions of activations."""
    if kind == "activations":
        return {n for n, f in vars(module).items() if inspect.isfunction(f)} - {"get", "serialize", "deserialize"}
    return {n for n, c in vars(module).items() if inspect.isclass(c) and n[0].isupper()}


def test_layers_and_methods_that_run_are_here():
    layers = names(RUNS, "of these layers")
    methods = names(RUNS, "- (?=`compile`)")
    assert len(layers) == 42 and len(methods) == 13
    assert not [n for n in layers if not hasattr(fastnn.layers, n)]
    assert not [n for n in methods if not hasattr(fastnn.Sequential, n) and not hasattr(fastnn.models, n)]


def test_what_does_not_run_is_not_here():
    """What is added to fastnn leaves the README's list."""
    here = {kind: [n for n in lacking(kind) if hasattr(getattr(fastnn, kind), n)] for kind in KINDS}
    assert not any(here.values()), here
    assert not [n for n in names(LACKS, "methods") if hasattr(fastnn.Sequential, n)]
    modules = [n.removeprefix("keras.") for n in names(LACKS, "the modules")]
    assert len(modules) == 5 and not [n for n in modules if hasattr(fastnn, n)]
    layers = ("Conv1D", "MaxPooling1D", "ConvLSTM1D", "Attention")
    assert not [n for n in layers if hasattr(fastnn.layers, n)]


@pytest.mark.skipif(keras is None, reason="keras is not installed")
@pytest.mark.parametrize("kind", [*KINDS, "regularizers", "constraints", "optimizers.schedules"])
def test_lists_have_all_that_keras_has(kind):
    version = tuple(int(n) for n in keras.__version__.split(".")[:2])
    if version != (3, 15):
        pytest.skip(f"the README speaks of Keras 3.15, this is {keras.__version__}")
    theirs = importlib.import_module(f"keras.{kind}")
    ours = importlib.import_module(f"fastnn.{kind}")
    aliases = {"IdentityInitializer", "OrthogonalInitializer", "STFTInitializer", "OptimizerMap"}
    missing = {n for n in public(theirs, kind) if not hasattr(ours, n)} - aliases
    assert missing == (lacking(kind) if kind in KINDS else set())


def script(k):
    """The README's list of layers and methods in one script; [parameters, keys of the history, shapes]."""
    layers, rng = k.layers, np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4, 3)).astype("float32"), np.arange(64) % 3
    normalization = layers.Normalization()
    normalization.adapt(x)
    x = np.asarray(k.Sequential([normalization]).predict(x, verbose=0))  # apart: Keras' has a weight more, its count
    rate = k.optimizers.schedules.ExponentialDecay(1e-2, 100, 0.9)
    model = k.Sequential([
        k.Input(shape=(4, 3)), layers.Flatten(), layers.Reshape((12,)), layers.Rescaling(2.0),
        layers.Dense(6, use_bias=False), layers.BatchNormalization(), layers.Activation("elu"),
        k.Sequential([k.Input((6,)), layers.Dense(5, "relu")]), layers.LayerNormalization(), layers.Dropout(0.1),
        layers.GaussianNoise(0.1), layers.GaussianDropout(0.1), layers.AlphaDropout(0.1), layers.PReLU(), layers.ELU(),
        layers.LeakyReLU(negative_slope=0.2), layers.ReLU(), layers.ActivityRegularization(l2=1e-4),
        layers.Dense(3, kernel_initializer=k.initializers.HeNormal(), kernel_regularizer=k.regularizers.L2(1e-3),
                     kernel_constraint=k.constraints.MaxNorm(2.0)),
        layers.Softmax(),
    ])  # fmt: skip
    model.compile(k.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stopping = k.callbacks.EarlyStopping(patience=3)
    history = model.fit(x, y, epochs=2, batch_size=16, validation_split=0.25, callbacks=[stopping], verbose=0)
    model.set_weights(model.get_weights())
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    shapes = [np.shape(w) for w in model.get_weights()]
    shapes += [np.shape(p) for p in (model.predict(x, verbose=0), model.predict_on_batch(x), model(x[:2]))]
    shapes += [np.shape(w) for w in k.models.clone_model(model).get_weights()]
    return [model.count_params(), len(model.evaluate(x, y, verbose=0)), sorted(history.history), shapes]


@pytest.mark.filterwarnings("ignore::Warning")
def test_one_script_runs_in_both():
    found = script(fastnn)
    dense, rest = 12 * 6 + (6 * 5 + 5) + (5 * 3 + 3), 4 * 6 + 2 * 5 + 5  # batch and layer normalisation, PReLU
    assert found[0] == dense + rest
    if keras is None:
        pytest.skip("keras is not installed: nothing to compare with")
    assert found == script(keras)
