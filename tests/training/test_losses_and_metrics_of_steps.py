"""What losses and metrics get while training, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

ROW_WISE = ["categorical_crossentropy", "kl_divergence", "cosine_similarity", "categorical_hinge",
            "sparse_categorical_crossentropy"]  # fmt: skip


@pytest.mark.parametrize("loss", ROW_WISE)
def test_classes_in_several_groups_are_refused(loss):
    """The core would take them for one row: one softmax over both groups."""
    model = fastnn.Sequential([layers.Dense(6, input_shape=(4,)), layers.Reshape((2, 3))])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=r"expected outputs of shape \(n, classes\).*\(None, 2, 3\)"):
        model.fit(np.ones((2, 4)), np.zeros((2, 2, 3)), verbose=0)
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    with pytest.raises(ValueError, match="categorical_accuracy: expected outputs"):
        model.evaluate(np.ones((2, 4)), np.zeros((2, 2, 3)), verbose=0)
    model.compile("sgd", "mse")
    y = np.arange(12.0).reshape(2, 2, 3)
    expected = np.mean((model.predict(np.ones((2, 4))) - y) ** 2)
    assert model.evaluate(np.ones((2, 4)), y, verbose=0) == pytest.approx(expected)


def test_python_losses_and_metrics_may_write_to_their_targets():
    def masked(t, p):
        missing = t == -1
        t[missing] = 0
        e = np.where(missing, 0, p - t)
        return (e**2).mean(1), e

    x, y = np.ones((4, 3)), np.array([[1.0, -1], [2, -1], [-1, -1], [4, 5]])
    model = fastnn.Sequential([layers.Dense(2, kernel_initializer="ones", input_shape=(3,))])
    model.compile(fastnn.SGD(0.0), masked, metrics=[lambda t, p: masked(t, p)[0]])
    before = y.copy()
    for _ in range(2):
        assert model.evaluate(x, y, verbose=0) == [1.25, 1.25]
        model.train_on_batch(x, y)
    np.testing.assert_array_equal(y, before)


def test_r2_of_targets_that_do_not_differ():
    for k, aggregation in ((1, "uniform_average"), (2, "variance_weighted_average")):
        model = fastnn.Sequential([layers.Activation("linear", input_shape=(k,))], dtype="float64")
        model.compile("sgd", "mse", metrics=[fastnn.metrics.R2Score(aggregation)])
        t = np.full((10, k), 0.1)
        assert np.isnan(model.evaluate(t + 0.01, t, verbose=0)[1])  # Keras: 0


def test_losses_that_are_no_means_are_no_metrics():
    for loss in (fastnn.losses.MeanSquaredError(reduction="sum"),
                 fastnn.losses.SparseCategoricalCrossentropy(ignore_class=-1)):  # fmt: skip
        model = fastnn.Sequential([layers.Dense(3, "softmax", input_shape=(2,))])
        with pytest.raises(ValueError, match="expected a loss that is a mean over all samples"):
            model.compile("sgd", loss, metrics=[loss])
            model.evaluate(np.ones((2, 2)), np.zeros(2, int), verbose=0)


def test_calls_of_losses_check_their_arguments():
    mse, sparse = fastnn.losses.MeanSquaredError, fastnn.losses.SparseCategoricalCrossentropy
    with pytest.raises(ValueError, match=r"y_true: expected shape \(2, 3\)"):
        mse()(np.zeros((3, 2)), np.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match="integer class labels"):
        sparse()([1.7], [[0.2, 0.5, 0.3]])
    with pytest.raises(TypeError, match="y_true: expected numbers"):
        mse()([[1j]], [[0.0]])
    assert mse()([0.0, 0.0], np.ones((2, 1))) == 1
    values = mse(reduction="none", dtype="float32")(np.zeros((2, 1)), np.ones((2, 1)))
    assert values.dtype == np.float32
    weighted = mse(reduction="none", dtype="float32")(np.zeros((2, 1)), np.ones((2, 1)), sample_weight=[1.0, 2.0])
    assert weighted.dtype == np.float32 and weighted.tolist() == [1, 2]


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_crossentropy"])
def test_python_metrics_see_the_outputs_of_their_batch(loss):
    """Also where the loss makes the probabilities from the logits: those were of the batch before."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(90, 5)), np.eye(3)[rng.integers(0, 3, 90)]

    def absolute(y_true, y_pred):
        return np.abs(y_true - y_pred).mean(axis=1)

    end = "softmax" if loss == "categorical_crossentropy" else "sigmoid"
    model = fastnn.Sequential([layers.Dense(3, end, input_shape=(5,))], dtype="float64")
    model.compile(fastnn.SGD(0.0), loss, metrics=[absolute])
    right = np.abs(model.predict(x, verbose=0) - t).mean()
    assert model.evaluate(x, t, batch_size=20, verbose=0)[1] == pytest.approx(right, rel=1e-12)
    assert model.fit(x, t, batch_size=20, verbose=0).history["absolute"] == pytest.approx([right], rel=1e-12)
