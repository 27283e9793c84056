"""Losses of the whole vocabulary, through `compile`, `fit` and `evaluate`."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of
from vocabulary_tools import BATCH, CLASSES, INPUTS, batches, network, numbers, spec

import fastnn
from fastnn import losses, ops, optimizers
from fastnn._base.config import snake_case
from fastnn._core import kernels, rows
from fastnn.training.compiling import resolve_targets

# Of the losses that need them: arguments, and the output activation.
LOSSES = {
    "mean_squared_logarithmic_error": ({}, "softplus"),
    "huber": ({"delta": 0.5}, "linear"),
    "poisson": ({}, "softplus"),
    "kl_divergence": ({}, "softmax"),
    "quantile": ({"quantile": 0.8}, "linear"),
    "binary_crossentropy": ({"label_smoothing": 0.1}, "sigmoid"),
    "binary_focal_crossentropy": ({"gamma": 1.5, "label_smoothing": 0.1}, "sigmoid"),
    "categorical_crossentropy": ({"label_smoothing": 0.1}, "softmax"),
}
OF_NUMBERS = [snake_case(name) for name in losses.names() if losses.get(name).target == "values"]


def test_every_loss_is_trained():
    """Those of class labels below, all others by `test_loss`."""
    assert len(OF_NUMBERS) >= 16
    others = set(map(snake_case, losses.names())) - set(OF_NUMBERS)
    assert others == {"sparse_categorical_crossentropy", "nll_loss"}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_loss(name):
    options, last = LOSSES.get(name, ({}, "linear"))
    x, labels = numbers()
    y = np.eye(CLASSES)[labels]
    model = network(last)
    loss = type(losses.get(name))(**options)
    model.compile(optimizers.Adam(0.01), loss, metrics=[type(loss)(**options)])
    net = reference.Net(spec(last), model.get_weights(), (name, options), reference.Adam(0.01))
    history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history
    expected = np.mean(net.train(batches(x, y)))
    assert history["loss"][0] == pytest.approx(expected, rel=1e-8)
    for a, b in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)
    found = model.evaluate(x, y, verbose=0)
    value, _ = reference.LOSSES[name](y, model.predict(x, verbose=0), **options)
    assert found == pytest.approx([value.mean()] * 2, rel=1e-7)
    assert loss(y, model.predict(x, verbose=0)) == pytest.approx(value.mean(), rel=1e-7)
    np.testing.assert_allclose(getattr(losses, name)(y, model.predict(x, verbose=0), **options), value, rtol=1e-7)


def test_log_softmax_and_nll_are_softmax_and_crossentropy_bit_for_bit():
    x, y = numbers()
    weights = []
    for last, loss in (("softmax", "sparse_categorical_crossentropy"), ("log_softmax", "NLLLoss")):
        model = network(last)
        model.compile("adam", loss, metrics=["accuracy", losses.get(loss)], seed=3)
        weights.append(weights[0][1] if weights else model.get_weights())
        model.set_weights(weights[-1])
        history = model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0).history
        assert history.pop(losses.get(loss).name) == pytest.approx(history["loss"], rel=1e-12)
        weights[-1] = (b"".join(w.tobytes() for w in model.get_weights()), weights[-1], history)
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[0], model.test_on_batch(x, y)[0], rtol=1e-12)
    assert weights[0][0] == weights[1][0]
    assert weights[0][2] == weights[1][2]


def weighted_gradient(loss, x, y, w, dtype="float64", schedule=None, batch=BATCH):
    """Weights after a step of SGD at rate 1, taken from those before, and the loss it reports."""
    model = network(dtype=dtype)
    model.compile(optimizers.SGD(1.0), loss, seed=0)
    model.set_weights([np.linspace(-1, 1, v.size).reshape(v.shape) for v in model.get_weights()])
    before = model.get_weights()
    resolve_targets(model, y)
    engine = engine_of(model, schedule=schedule)
    y = np.ascontiguousarray(y, np.int32)
    _, total, _ = engine.fit_block(x, y, w, None, 0, len(x), batch, np.ones(-(-len(x) // batch)))
    return [a - b for a, b in zip(before, model.get_weights(), strict=True)], total / len(x)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [5, 300])
def test_reductions_and_ignored_classes(schedule, weighted, n):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, INPUTS)), rng.integers(0, CLASSES, n)
    w = rng.uniform(0.5, 2, n) if weighted else None
    values = np.ones(n) if w is None else w
    keep = y != 2

    def crossentropy(**options):
        return losses.SparseCategoricalCrossentropy(**options)

    def plain(weights):  # the sum over the batch of weight * loss, by the plain mean
        change, loss = weighted_gradient(crossentropy(), x, y, weights * n, schedule=schedule, batch=n)
        return change, loss

    cases = [
        (crossentropy(reduction="mean"), values / n, 1),
        (crossentropy(reduction="sum"), values, n),
        (crossentropy(reduction="mean_with_sample_weight"), values / values.sum(), 1),
        (crossentropy(ignore_class=2), values * keep / keep.sum(), 1),
        (crossentropy(ignore_class=2, reduction="sum"), values * keep, n),
        (
            crossentropy(ignore_class=2, reduction="mean_with_sample_weight"),
            values * keep / (values * keep).sum(),
            1,
        ),
    ]
    for loss, weights, _ in cases:
        change, got = weighted_gradient(loss, x, y, w, schedule=schedule, batch=n)
        right, value = plain(weights)
        assert got == pytest.approx(value, rel=1e-10), loss
        for a, b in zip(change, right, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_class_to_ignore_need_not_be_a_class():
    x, y = numbers(n=50)
    model = network()
    model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=255))
    y[::3] = 255
    model.fit(x, y, verbose=0)
    got = model.evaluate(x, y, batch_size=50, verbose=0)
    p = model.predict(x, verbose=0)
    keep = y != 255
    assert got == pytest.approx(-np.log(p[keep, y[keep]]).mean(), rel=1e-9)
    assert losses.SparseCategoricalCrossentropy(ignore_class=255)(y, p) == pytest.approx(got, rel=1e-9)
    with pytest.raises(ValueError, match="expected classes 0 to 3"):
        model.fit(x, np.where(y == 255, 254, y), verbose=0)
    for number in (2**31, -(2**31) - 1, 2**32):  # labels are 32-bit numbers: these would be another class
        with pytest.raises(ValueError, match="ignore_class: expected"):
            losses.SparseCategoricalCrossentropy(ignore_class=number)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_focal_loss_of_predictions_outside_of_0_to_1(gamma, dtype):
    """As in Keras they count like the ends, and have no gradient."""
    t, outside, ends = (np.array(a, dtype)[:, None] for a in ([1, 0, 1, 0], [1.2, -0.2, -0.2, 1.2], [1, 0, 0, 1]))
    value = losses.BinaryFocalCrossentropy(gamma=gamma, reduction="none")
    np.testing.assert_allclose(value(t, outside), value(t, ends), rtol=1e-2, atol=1e-9)
    model = fastnn.Sequential([fastnn.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))], dtype=dtype)
    model.compile(fastnn.SGD(1.0), losses.BinaryFocalCrossentropy(gamma=gamma))
    model.fit(outside, t, verbose=0)
    assert np.isfinite(model.get_weights()[0]).all()
    right = model.get_weights()
    model.fit(outside[:2], t[:2], verbose=0)
    for a, b in zip(model.get_weights(), right, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_loss_without_reduction_is_that_of_each_row():
    loss = losses.MeanSquaredError(reduction="none")
    np.testing.assert_array_equal(loss([[0.0], [1.0]], [[1.0], [3.0]]), [1, 4])  # in models: test_row_losses


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_clipped_as_in_keras(dtype, isa):
    """To [1e-7, 1 - 1e-7]; the derivative is 0 outside."""
    y = np.array([[0.0], [1.0], [1e-9], [0.5]], dtype)
    t = np.array([[1.0], [0.0], [1.0], [1.0]], dtype)
    low, high = dtype == "float32", np.log(np.array(1e-7, dtype))
    top = np.log1p(-np.array(1 - 1e-7, dtype).astype(dtype)) if low else high
    rows.use(isa)
    try:
        value, slope = ops.binary_crossentropy(t, y)
        pair, pair_slope = ops.crossentropy(np.hstack([t, 1 - t]), np.hstack([y, 1 - y]))
    finally:
        rows.use(None)
    np.testing.assert_allclose(value, [-high, -top, -high, np.log(2)], rtol=1e-5)
    assert slope[:3].tolist() == [[0.0]] * 3 and slope[3] == -2
    np.testing.assert_allclose(pair[[0, 2, 3]], [-high, -high, np.log(2)], rtol=1e-5)
    assert not pair_slope[:3].any() and pair_slope[3].any()


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flat_parts_have_no_slope(dtype, isa):
    """Where a function is cut off its derivative is 0, right up to the cut."""
    rows.use(isa)
    try:
        x = np.array([-0.5, 0.5, 5.5, 6.5, 100.0], dtype)
        y = ops.relu6(x)
        slope = ops.relu6_grad(np.ones_like(y), y)
        p = np.array([[0.0], [1e-8], [0.25], [0.95], [1.05], [2.0]], dtype)
        value, kl_slope = ops.kl_divergence(np.full_like(p, 0.5), p)
    finally:
        rows.use(None)
    assert y.tolist() == [0, 0.5, 5.5, 6, 6]
    assert slope.tolist() == [0, 1, 1, 0, 0]
    assert value[4] == value[5] == pytest.approx(0.5 * np.log(0.5))
    assert (kl_slope[[0, 1, 4, 5]] == 0).all()
    np.testing.assert_allclose(kl_slope[2:4, 0], [-2, -0.5 / 0.95], rtol=1e-6)
