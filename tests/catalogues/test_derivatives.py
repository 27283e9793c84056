"""Flat parameters, and the loss and its gradient as a function of them."""

import numpy as np
import pytest
from scipy.optimize import minimize

import fastnn
from fastnn import layers, regularizers

RNG = np.random.default_rng(31)
X = RNG.normal(size=(37, 6))
Y = RNG.normal(size=(37, 3))
LABELS = RNG.integers(0, 3, 37)
WEIGHTS = RNG.uniform(0.2, 2, 37)


class Scale(layers.Layer):
    """A layer written in Python."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[1:], initializer=fastnn.initializers.Constant(1.3))

    def call(self, x, training):
        assert not training
        self.x = x
        return x * self.scale.numpy() ** 2

    def backward(self, dy):
        self.d = (2 * dy * self.x * self.scale.numpy()).sum(0)
        return dy * self.scale.numpy() ** 2

    def gradients(self):
        return [(self.scale, self.d)]


def python_loss(y_true, y_pred):
    d = y_pred - y_true
    return (d**4).mean(1), 4 * d**3 / d.shape[1]


def model(middle=(), loss="mse", last=None, dtype="float64", first=None, **options):
    fastnn.set_random_seed(5)
    first = first or layers.Dense(7, "tanh", input_shape=(6,))
    made = fastnn.Sequential([first, *middle, layers.Dense(3, last)], dtype=dtype)
    made.compile("sgd", loss, **options)
    return made


def warm(made):
    """Moving averages and biases that are no zeros and ones."""
    rng = np.random.default_rng(8)
    made.set_weights([w + rng.uniform(0.05, 0.3, w.shape) for w in made.get_weights()])
    return made


def differences(f, theta, eps=1e-6):
    g = np.empty_like(theta)
    for i in range(len(theta)):
        e = np.zeros_like(theta)
        e[i] = eps
        g[i] = (f(theta + e) - f(theta - e)) / (2 * eps)
    return g


def long_way(made):
    made._fast_path = False
    made._calls.clear()
    return made


BY_MIDDLE = {
    "none": lambda: [],
    "batch normalisation": lambda: [layers.BatchNormalization()],
    "batch normalisation before an activation": lambda: [
        layers.Dense(5, use_bias=False), layers.BatchNormalization(), layers.Activation("elu")
    ],
    "batch normalisation without scale": lambda: [layers.BatchNormalization(scale=False)],
    "frozen batch normalisation": lambda: [layers.BatchNormalization(trainable=False), layers.Dense(4, "tanh")],
    "dropout": lambda: [layers.Dropout(0.5), layers.Dense(5, "sigmoid"), layers.AlphaDropout(0.3)],
    "noise": lambda: [layers.GaussianNoise(0.5), layers.GaussianDropout(0.5)],
    "rrelu": lambda: [layers.Dense(9), layers.RReLU()],
    "prelu": lambda: [layers.Dense(9), layers.PReLU(alpha_initializer=fastnn.initializers.Constant(0.2))],
    "maxout": lambda: [layers.Maxout(4, 3)],
    "layer normalisation": lambda: [layers.LayerNormalization()],
    "residual": lambda: [layers.Residual([layers.Dense(7, "tanh"), layers.BatchNormalization()])],
    "activity": lambda: [layers.Dense(5, "tanh"), layers.ActivityRegularization(l2=0.1)],
    "penalties": lambda: [
        layers.Dense(5, "tanh", kernel_regularizer=regularizers.L1L2(0.1, 0.2), bias_regularizer="l2"),
        layers.Dense(4, kernel_regularizer=regularizers.OrthogonalRegularizer(0.1, "columns")),
    ],
    "a layer in Python": lambda: [Scale(), layers.Dense(4, "tanh", kernel_regularizer="l2")],
    "a frozen layer": lambda: [layers.Dense(5, "tanh", trainable=False)],
    "softmax": lambda: [layers.Softmax()],
}  # fmt: skip


@pytest.mark.parametrize("middle", BY_MIDDLE)
def test_central_differences_of_evaluate(middle):
    made = warm(model(BY_MIDDLE[middle](), weight_decay=0.1))
    theta, before = made.get_parameters(), made.get_weights()

    def loss(theta):
        made.set_parameters(theta)
        return made.evaluate(X, Y, verbose=0)

    expected, by_difference = loss(theta), differences(loss, theta)
    made.set_parameters(theta)
    for _ in range(2):  # the long way, and the short one
        value, gradient = made.loss_and_grad(theta, X, Y)
        assert type(value) is float and value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, by_difference, rtol=1e-6, atol=1e-8)
        for a, b in zip(before, made.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [
    {"loss": "sparse_categorical_crossentropy", "last": "softmax"},
    {"loss": fastnn.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)},
    {"loss": "huber", "last": "sigmoid"}, {"loss": fastnn.losses.MeanSquaredError(reduction="sum")},
    {"loss": fastnn.losses.MeanSquaredError(reduction="mean_with_sample_weight")},
    {"loss": python_loss}, {"loss": "mse", "metrics": ["mae", lambda y, p: abs(y - p).mean(1)]},
    {"loss": "categorical_crossentropy", "last": "softmax", "metrics": ["accuracy"]},
])  # fmt: skip
@pytest.mark.parametrize("weighted", [False, True])
def test_central_differences_of_losses(options, weighted):
    made = warm(model(**options))
    y = LABELS if "parse" in str(options["loss"]) else abs(Y) / abs(Y).sum(1, keepdims=True)
    w = WEIGHTS if weighted else None
    theta = made.get_parameters()
    value, gradient = made.loss_and_grad(theta, X, y, w)
    assert made.loss_and_grad(theta, X, y, w)[0] == value
    expected = differences(lambda t: made.loss_and_grad(t, X, y, w)[0], theta)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
    found = made.evaluate(X, y, sample_weight=w, verbose=0, return_dict=True)["loss"]
    assert value == pytest.approx(found, rel=1e-12)


def numpy_loss_and_grad(theta, x, y, sizes):
    """The mean square of a network with tanh, written by itself."""
    at, parts = 0, []
    for i, o in zip(sizes, sizes[1:], strict=False):
        parts.append((theta[at : at + i * o].reshape(i, o), theta[at + i * o : at + i * o + o]))
        at += i * o + o
    kept = [x]
    for w, b in parts[:-1]:
        kept.append(np.tanh(kept[-1] @ w + b))
    d = kept[-1] @ parts[-1][0] + parts[-1][1] - y
    value, d, gradient = np.mean(d**2), 2 * d / d.size, []
    for (w, _), h in zip(parts[::-1], kept[::-1], strict=True):
        gradient[:0] = [(h.T @ d).ravel(), d.sum(0)]
        d = d @ w.T * (1 - h**2)
    return value, np.concatenate(gradient)


@pytest.mark.parametrize("rows", [1, 37, 300, 3000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_written_in_numpy(rows, dtype):
    sizes = (1, 20, 20, 1)
    x = np.linspace(-2, 2, rows)[:, None]
    y = np.sin(3 * x)
    made = fastnn.Sequential(
        [layers.Dense(20, "tanh", input_shape=(1,)), layers.Dense(20, "tanh"), layers.Dense(1)], dtype=dtype
    )
    made.compile(loss="mse")
    theta = np.random.default_rng(1).normal(size=481)
    expected = numpy_loss_and_grad(theta, x, y, sizes)
    tolerance = {"rtol": 1e-4, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
    for n in (1, 2, 3, None):
        made.compile(loss="mse", threads=n)
        first = made.loss_and_grad(theta, x, y)
        for given in (theta, theta.astype("f4"), theta.tolist(), theta.astype(">f8"), np.repeat(theta, 2)[::2]):
            value, gradient = made.loss_and_grad(given, x, y)
            assert gradient.dtype == (np.float32 if getattr(given, "dtype", None) == np.float32 else np.float64)
            if gradient.dtype == np.float64:
                assert value == first[0]
                np.testing.assert_array_equal(gradient, first[1])
                np.testing.assert_allclose(value, expected[0], rtol=tolerance["rtol"])
                np.testing.assert_allclose(gradient, expected[1], **tolerance)


def test_bits_of_the_long_way_and_of_every_thread_count():
    x, y = RNG.normal(size=(600, 6)), RNG.normal(size=(600, 3))
    found = set()
    for n in (1, 2, 3, None):
        pair = [model([layers.BatchNormalization()], threads=n) for _ in range(2)]
        long_way(pair[1])
        theta = pair[0].get_parameters()
        for _ in range(3):
            for made in pair:
                value, gradient = made.loss_and_grad(theta, x, y)
                found.add((value, gradient.tobytes()))
    assert len(found) == 1


def test_scipy_reaches_the_minimum_that_numpy_reaches():
    x = np.linspace(-2, 2, 60)[:, None]
    y, theta = x**2 + 0.5 * x, np.random.default_rng(3).normal(size=22)
    made = fastnn.Sequential([layers.Dense(7, "tanh", input_shape=(1,)), layers.Dense(1)], dtype="float64")
    made.compile(loss="mse")
    options = {"method": "L-BFGS-B", "jac": True, "options": {"maxiter": 25}}
    ours = minimize(made.loss_and_grad, theta, (x, y), **options)
    theirs = minimize(numpy_loss_and_grad, theta, (x, y, (1, 7, 1)), **options)
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-3) and ours.fun < 1e-2
    made.set_parameters(ours.x)
    assert made.evaluate(x, y, verbose=0) == pytest.approx(ours.fun, rel=1e-12)


def test_flat_vectors_have_the_trainable_weights_in_order():
    made = model([layers.BatchNormalization(), layers.Dense(4, trainable=False)])
    expected = np.concatenate([v.numpy().ravel() for v in made.trainable_weights])
    theta = made.get_parameters()
    np.testing.assert_array_equal(theta, expected)
    theta[:] = 7  # a copy
    np.testing.assert_array_equal(made.get_parameters(), expected)
    frozen = [v.numpy() for v in made.weights if v not in made.trainable_weights]
    made.set_parameters(np.arange(len(expected)))
    np.testing.assert_array_equal(made.get_parameters(), np.arange(len(expected)))
    np.testing.assert_array_equal(made.layers[0].kernel.numpy(), np.arange(42.0).reshape(6, 7))
    for a, b in zip(frozen, [v.numpy() for v in made.weights if v not in made.trainable_weights], strict=True):
        np.testing.assert_array_equal(a, b)
    assert made.loss_and_grad(made.get_parameters(), X, Y)[1].shape == expected.shape
    made.layers[2].trainable = True
    assert len(made.get_parameters()) == len(expected) + 7 * 4 + 4
    assert len(made.loss_and_grad(made.get_parameters(), X, Y)[1]) == len(expected) + 32


def test_training_goes_on_as_if_nothing_had_been_asked():
    pair = [model([layers.Dropout(0.5)], dtype="float32") for _ in range(2)]
    x, y = X.astype("f4"), Y.astype("f4")
    for made in pair:
        for i in range(4):
            made.train_on_batch(x, y)
            if made is pair[0]:
                made.loss_and_grad(made.get_parameters() + i, x, y)
                made.predict_on_batch(x)
        made.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(pair[0].get_weights(), pair[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_gradients_of_another_call_are_applied():
    made = model()
    made.forward(X, training=True)
    made.backward(Y)
    for _ in range(2):
        made.loss_and_grad(made.get_parameters(), X, Y)
        with pytest.raises(RuntimeError, match="apply_gradients: expected calls of forward"):
            made.apply_gradients()


def test_errors():
    made = fastnn.Sequential([layers.Dense(2)])
    for call in (made.get_parameters, lambda: made.set_parameters([1.0])):
        with pytest.raises(ValueError, match="expected a built model"):
            call()
    made = model(dtype="float32")
    theta = made.get_parameters()
    for call in (made.set_parameters, lambda t: made.loss_and_grad(t, X, Y)):
        for _ in range(2):
            with pytest.raises(ValueError, match=r"theta: expected shape \(73,\).*got \(72,\)"):
                call(theta[1:])
            with pytest.raises(TypeError, match="theta: expected numbers"):
                call(["a"] * 73)
            with pytest.raises(ValueError, match="theta: .* got 1e\\+39 in row 5, which overflows float32"):
                call(np.where(np.arange(73) == 5, 1e39, 0.0))
            made.loss_and_grad(theta.astype("f8"), X, Y)
    np.testing.assert_array_equal(made.get_parameters(), theta)
    with pytest.raises(ValueError, match="y: expected 37 rows"):
        made.loss_and_grad(theta, X, Y[:3])
    with pytest.raises(ValueError, match="at least one row"):
        made.loss_and_grad(theta, X[:0], Y[:0])
    assert np.isnan(made.loss_and_grad(np.full(73, np.nan), X, Y)[0])
    made.compile("sgd")
    with pytest.raises(ValueError, match="loss"):
        made.loss_and_grad(theta, X, Y)


def test_an_error_in_python_leaves_the_weights():
    made = model(loss=lambda y, p: 1 / 0)
    theta = made.get_parameters()
    with pytest.raises(ZeroDivisionError):
        made.loss_and_grad(theta + 1, X, Y)
    np.testing.assert_array_equal(made.get_parameters(), theta)
