"""The gradient check: of functions with known derivatives, of models, and that it finds what is wrong."""

import numpy as np
import pytest
from layer_bodies import BODIES, model_of

import fastnn
from fastnn import layers

LOSSES = [
    "MeanSquaredError",
    "Huber",
    "LogCosh",
    "CategoricalCrossentropy",
    "BinaryCrossentropy",
    "SparseCategoricalCrossentropy",
    "KLDivergence",
    "CosineSimilarity",
]


def data(n=7, inputs=5, outputs=3, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, inputs)).astype(dtype), rng.normal(size=(n, outputs)).astype(dtype)


# --- functions ---


def test_the_cube_of_the_notes():
    two = fastnn.check_gradient(lambda t: t**3, 3.0, 1.0, eps=0.01)
    one = fastnn.check_gradient(lambda t: t**3, 3.0, 1.0, eps=0.01, two_sided=False)
    assert two.numeric == pytest.approx(3.0001, abs=1e-10) and two.analytic == 3 and two.index == ()
    assert one.numeric == pytest.approx(3.0301, abs=1e-10)
    assert two.error == pytest.approx(1e-4 / 3.0001, rel=1e-6) and two.passed and one.passed


def test_worst_entry_of_an_array():
    theta = np.arange(6.0).reshape(2, 3)
    right = fastnn.check_gradient(lambda t: np.sin(t).sum(), np.cos, theta)
    assert right.passed and right and right.error < 1e-8 and right.raise_if_failed() is right
    g = np.cos(theta)
    g[1, 0] *= 1.001
    g[0, 2] += 1e-5
    wrong = fastnn.check_gradient(lambda t: np.sin(t).sum(), g, theta)
    assert not wrong.passed and not wrong
    assert wrong.index == (1, 0) and wrong.error == pytest.approx(1e-3, rel=0.01)
    assert wrong.worst.checked == 6 and wrong.worst.wrong == 2
    with pytest.raises(
        AssertionError, match=r"FAILED: worst relative error 0.001 at theta\[1, 0\]"
    ):
        wrong.raise_if_failed()


def test_values_near_nothing_and_far_from_it():
    """Rounding of a large f must not look like a gradient; a small but wrong gradient must."""

    def shifted(t):
        return float((t**2).sum() + 1e6)

    assert fastnn.check_gradient(shifted, lambda t: 2 * t, [1e-9, 0.0, 3.0]).passed
    assert fastnn.check_gradient(
        lambda t: 1e-12 * (t**2).sum(), lambda t: 2e-12 * t, [1.0, 1e6]
    ).passed
    assert not fastnn.check_gradient(
        lambda t: 1e-12 * (t**2).sum(), lambda t: 2.1e-12 * t, [1.0, 1e6]
    ).passed
    assert fastnn.check_gradient(lambda t: 0.0, [0.0, 0.0], [1.0, 2.0]).passed
    for bad in (np.nan, np.inf):
        assert not fastnn.check_gradient(lambda t: t * 1.0, bad, 1.0).passed
        assert not fastnn.check_gradient(lambda t, bad=bad: t * bad, 1.0, 1.0).passed


def test_float32():
    theta = np.linspace(-2, 2, 9).astype(np.float32)
    f = lambda t: np.tanh(t).sum(dtype=t.dtype)  # noqa: E731
    assert fastnn.check_gradient(f, lambda t: 1 - np.tanh(t) ** 2, theta).passed
    assert not fastnn.check_gradient(f, lambda t: 1.05 - np.tanh(t) ** 2, theta).passed


def test_kinks():
    relu = lambda t: np.maximum(t, 0).sum()  # noqa: E731
    near = [1e-6, -3e-7, 2.0, -1.0]  # within eps of the kink: a smaller eps sees the slope
    found = fastnn.check_gradient(relu, lambda t: 1.0 * (t > 0), near)
    assert found.passed and found.kinks == 0 and found.worst.checked == 4
    for slope in (0.0, 0.3, 1.0):  # at the kink: anything between the two slopes
        found = fastnn.check_gradient(relu, [slope, 1.0], [0.0, 1.0])
        assert found.passed and found.kinks == 1 and found.worst.kinks == [(0,)], slope
    for slope in (-0.1, 1.1):
        assert not fastnn.check_gradient(relu, [slope, 1.0], [0.0, 1.0]).passed
    assert not fastnn.check_gradient(relu, lambda t: 1.1 * (t > 0), near).passed


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3.0, 3.0, 1.0), TypeError, "f: expected a function"),
        (
            (lambda t: t, [1.0, 1.0], [1.0, 1.0]),
            TypeError,
            r"f: expected a number as result.*\(2,\)",
        ),
        ((lambda t: t.sum(), [1.0], [1.0, 1.0]), ValueError, r"g: .*\(2,\), got \(1,\)"),
        ((lambda t: t, 1.0, 1.0, 0.0), ValueError, "eps"),
        ((lambda t: t, 1.0, 1.0, None, 1e-6), TypeError, "two_sided: expected True or False, got 1e-06"),
        ((lambda t: t, 1.0, 1.0, None, True, -1.0), ValueError, "tolerance"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.check_gradient(*arguments)


# --- models ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BODIES)
def test_every_layer(name, dtype):
    x, y = data(dtype=dtype)
    model = model_of(name, dtype)
    check = model.check_gradients(x, y)
    assert check.passed, str(check)
    assert [e.name for e in check.entries] == [v.name for v in model.trainable_weights]
    assert all(e.checked + len(e.kinks) == min(64, np.prod(e.shape)) for e in check.entries)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_reductions_and_weights(loss, weighted, reduction):
    rng = np.random.default_rng(2)
    x, y = data()[0], rng.dirichlet(np.ones(3), 7)
    last = "sigmoid" if loss.startswith("Binary") else "softmax"
    model = fastnn.Sequential(
        [
            fastnn.Input((5,)),
            layers.Dense(6, "gelu"),
            layers.ActivityRegularization(0.01, 0.02),
            layers.Dense(3, last),
        ]
    )
    model.compile("adam", getattr(fastnn.losses, loss)(reduction=reduction))
    y = rng.integers(0, 3, 7) if loss.startswith("Sparse") else y
    check = model.check_gradients(x, y, rng.uniform(0.2, 3, 7) if weighted else None)
    assert check.passed, str(check)


@pytest.mark.skipif(not hasattr(fastnn, "regularizers"), reason="no penalties on weights yet")
def test_penalties_count_and_constraints_do_not():
    x, y = data()
    l1l2 = lambda: fastnn.regularizers.L1L2(0.1, 0.2)  # noqa: E731
    stack = [
        layers.Dense(6, "tanh", kernel_regularizer=l1l2(), kernel_constraint=fastnn.constraints.MaxNorm(0.5)),
        layers.Dense(3, bias_regularizer=l1l2()),
    ]
    model = fastnn.Sequential([fastnn.Input((5,)), *stack])
    model.compile(fastnn.Adam(0.01, clipnorm=0.1, weight_decay=0.1, use_ema=True), "mse", weight_decay=0.3)
    check = model.check_gradients(x, y)
    assert check.passed, str(check)


def test_it_leaves_no_trace():
    """Training goes on bit for bit as if nothing had been looked at."""
    x, y = data(32, dtype="float32")
    found = []
    for look in (False, True):
        fastnn.set_random_seed(3)
        model = fastnn.Sequential(
            [
                fastnn.Input((5,)),
                layers.Dense(9, "relu"),
                layers.BatchNormalization(),
                layers.Dropout(0.4),
                layers.Dense(3),
            ]
        )
        model.compile("adam", "mse", metrics=["mae"])
        for _ in range(2):
            if look:
                before = model.get_weights()
                assert model.check_gradients(x[:6], y[:6]).passed
                assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
            model.fit(x, y, epochs=2, batch_size=8, verbose=0)
        next_draw = fastnn.initializers.GlorotUniform()((2, 2))
        found.append([*model.get_weights(), model.history.history["loss"][-1], next_draw])
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_entries_at_a_kink_and_frozen_layers():
    """A zero input and a zero bias put every ReLU on its kink; a frozen layer is not compared."""
    model = fastnn.Sequential(
        [
            fastnn.Input((5,)),
            layers.Dense(4, "relu"),
            layers.Dense(4, "relu", trainable=False),
            layers.Dense(3),
        ]
    )
    model.compile("sgd", "mse")
    x, y = data()
    x[0] = 0
    check = model.check_gradients(x, y, per_layer_entries=4)
    assert check.passed and check.kinks >= 3
    assert [e.shape for e in check.entries] == [(5, 4), (4,), (4, 3), (3,)]
    assert "kinks: " in str(check) and check.entries[1].kinks


class Scale(layers.Layer):
    """x times a weight of each feature; `fault` breaks one of the gradients."""

    def __init__(self, fault=None, **kwargs):
        super().__init__(**kwargs)
        self.fault = fault

    def build(self, input_shape):
        self.factor = self.add_weight(input_shape[1:], "ones", name="factor")

    def call(self, x, training):
        self.x = x
        noise = np.random.default_rng().normal() if self.fault == "noise" else 0
        return x * self.factor.numpy() + noise

    def backward(self, dy):
        self.grads = [(dy * self.x).sum(axis=0)]
        if self.fault == "weight":
            self.grads[0][2] *= 1.01
        return dy * self.factor.numpy() * (1.01 if self.fault == "input" else 1)


def with_layer(fault, dtype="float32"):
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(6, "tanh"), Scale(fault, name="own"), layers.Dense(3)],
                              dtype=dtype)  # fmt: skip
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_of_ones_own(dtype):
    x, y = data(dtype=dtype)
    assert with_layer(None, dtype).check_gradients(x, y).passed
    wrong = with_layer("weight", dtype).check_gradients(x, y)
    assert [e.name for e in wrong.entries if e.wrong] == ["own/factor"]
    assert (wrong.name, wrong.index) == ("own/factor", (2,)) and wrong.error == pytest.approx(
        0.01 / 1.01, rel=1e-3
    )
    wrong = with_layer("input", dtype).check_gradients(x, y)
    assert [e.wrong == e.checked for e in wrong.entries] == [True, True, False, False, False]
    with pytest.raises(ValueError, match="same loss at the same weights.*random numbers"):
        with_layer("noise", dtype).check_gradients(x, y)


def test_a_loss_of_ones_own():
    def loss(y_true, y_pred, factor=1.0):
        return np.mean((y_pred - y_true) ** 2, axis=1), factor * 2 * (
            y_pred - y_true
        ) / y_true.shape[1]

    x, y = data()
    model = with_layer(None)
    model.compile("sgd", loss)
    assert model.check_gradients(x, y, np.arange(7.0)).passed
    model.compile("sgd", lambda t, p: loss(t, p, 1.01))
    assert not model.check_gradients(x, y).passed


def test_what_it_needs():
    x, y = data()
    model = fastnn.Sequential([layers.Dense(3)])
    with pytest.raises(ValueError, match="compile"):
        model.check_gradients(x, y)
    model.compile("sgd")
    with pytest.raises(ValueError, match="a model compiled with a loss"):
        model.check_gradients(x, y)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="at least one row"):
        model.check_gradients(x[:0], y[:0])
    assert model.check_gradients(x, y).passed
    with pytest.raises(ValueError, match="per_layer_entries"):
        model.check_gradients(x, y, per_layer_entries=0)
    model.trainable = False
    with pytest.raises(ValueError, match="expected a model with trainable weights"):
        model.check_gradients(x, y)


def test_nan_is_named():
    model = fastnn.Sequential([layers.BatchNormalization(input_shape=(5,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 5)), np.ones(8)
    x[3, 2] = np.nan
    before = model.get_weights()
    for call in (lambda: model.check_gradients(x, y), lambda: model.recalibrate(x)):
        with pytest.raises(ValueError, match="x: .* got nan in row 3"):
            call()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("first", [layers.Dense(8, "relu", kernel_initializer="zeros", input_shape=(5,)),
                                   layers.Maxout(3, 2, kernel_initializer="zeros", input_shape=(5,))])  # fmt: skip
def test_several_samples_at_kinks(first):
    """All weights zero: each sample has two slopes, and those of their sum may have one sign."""
    rng = np.random.default_rng(0)
    model = fastnn.Sequential([fastnn.models.clone_model(fastnn.Sequential([first])), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", seed=0)
    check = model.check_gradients(rng.normal(size=(20, 5)), rng.integers(0, 3, 20))
    assert check.passed and sum(len(e.kinks) for e in check.entries) > 10
