"""Names and descriptions of activations, losses, metrics and optimizers."""

import numpy as np
import pytest
from vocabulary_tools import CLASSES, network, numbers

import fastnn
from fastnn import activations, layers, losses, metrics, optimizers

# --- activations ----------------------------------------------------------------------------------


def test_names_of_activations():
    for name in ("Swish", "SiLU", "hard_swish", "HardSwish", "GELU", "LogSigmoid", "relu6", "softShrink"):
        assert activations.get(name).row in activations.names()
    assert activations.swish is activations.silu
    assert activations.relu([-1.0, 3.0], 0.5, 2.0).tolist() == [-0.5, 2.0]
    assert activations.gelu([1.0], approximate=True)[0] == pytest.approx(0.841192, abs=1e-6)
    chosen = layers.Dense(2, activation=activations.gelu.using(approximate=True)).activation
    assert chosen.values == {"approximate": 1.0}
    with pytest.raises(TypeError, match="multiple values for alpha"):
        activations.elu([1.0], 0.5, alpha=1.0)
    with pytest.raises(TypeError, match="at most 1 parameters, got 2"):
        activations.elu([1.0], 0.5, 1.0)


# --- names ----------------------------------------------------------------------------------------


def test_optimizers_are_top_level_names():
    for name in optimizers.names():
        assert getattr(fastnn, name) is getattr(optimizers, name)
    assert set(optimizers.names()) < set(dir(fastnn))
    with pytest.raises(AttributeError, match="Did you mean 'RMSprop'"):
        fastnn.RMSpropp  # noqa: B018
    with pytest.raises(ImportError, match="Did you mean 'Nadam'"):
        from fastnn import Naddam  # noqa: F401


def test_rmsprop_is_what_compile_takes():
    model = network()
    model.compile(loss="sparse_categorical_crossentropy")
    assert isinstance(model.optimizer, optimizers.RMSprop)
    x, y = numbers()
    assert model.fit(x, y, epochs=3, verbose=0).history["loss"][-1] < np.log(CLASSES) * 1.5


NEEDED = {
    "Huber": {"delta": 2.0}, "PrecisionAtRecall": {"recall": 0.5}, "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5}, "SpecificityAtSensitivity": {"sensitivity": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("module", [losses, metrics, optimizers])
def test_everything_comes_back_from_its_description(module):
    assert len(module.names()) >= 11
    for name in module.names():
        made = getattr(module, name)(**NEEDED.get(name, {}))
        again = module.deserialize(module.serialize(made))
        assert type(again) is type(made)
        assert again.get_config() == made.get_config()
        assert again.name == made.name
        assert repr(again) == repr(made)


def test_activations_come_back_from_their_description():
    for name in activations.names():
        assert activations.deserialize(activations.serialize(activations.get(name))) is activations.get(name)
    leaky = activations.leaky_relu.using(negative_slope=0.125)
    assert activations.deserialize(activations.serialize(leaky)) == leaky


def test_aliases():
    pairs = {
        "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
    }  # fmt: skip
    for short, long in pairs.items():
        for name in (short, short.upper()):
            assert losses.get(name).name == long
            assert metrics.get(name).row == metrics.get(long).row == long
    x, y = numbers()
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc", "ce", metrics.sparse_categorical_accuracy])
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(found) == ["loss", "acc", "ce", "sparse_categorical_accuracy"]
    assert found["acc"] == found["sparse_categorical_accuracy"]
    assert found["ce"] == pytest.approx(found["loss"])


def test_losses_as_functions_take_parameters_by_place():
    t, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[3.0, 1.5], [1.0, -2.0]])
    np.testing.assert_array_equal(losses.huber(t, y, 2.0), losses.Huber(2.0, reduction="none")(t, y))
    np.testing.assert_array_equal(metrics.huber(t, y, delta=2.0), losses.huber(t, y, 2.0))
    np.testing.assert_allclose(
        losses.binary_crossentropy(t, y, True, 0.1),
        losses.BinaryCrossentropy(True, label_smoothing=0.1, reduction="none")(t, y),
    )
    with pytest.raises(TypeError, match="at most 3 arguments, y_true, y_pred, delta, got 4"):
        losses.huber(t, y, 1.0, 2.0)
    with pytest.raises(TypeError, match="multiple values for delta"):
        losses.huber(t, y, 1.0, delta=2.0)
    assert losses.MeanSquaredError(dtype="float64")(np.float32([[0.1]]), np.float32([[0.3]])) != (
        losses.MeanSquaredError()(np.float32([[0.1]]), np.float32([[0.3]]))
    )


def test_accuracies_as_functions():
    y = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    assert metrics.sparse_categorical_accuracy([1, 1, 1], y).tolist() == [1, 0, 1]
    assert metrics.categorical_accuracy(np.eye(2)[[1, 1, 1]], y).tolist() == [1, 0, 1]
    assert metrics.binary_accuracy(np.eye(2)[[1, 1, 1]], y, threshold=0.85).tolist() == [1, 0.5, 0.5]
    assert metrics.sparse_top_k_categorical_accuracy([0, 1, 0], y, k=1).tolist() == [0, 0, 0]


def test_softmax_along_an_axis():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    e = np.exp(x)
    np.testing.assert_allclose(activations.softmax(x, axis=1), e / e.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(activations.log_softmax(x, 0), x - np.log(e.sum(axis=0)), rtol=1e-12)
    with pytest.raises(TypeError, match="unexpected keyword"):
        activations.softmax(x, alpha=1)
