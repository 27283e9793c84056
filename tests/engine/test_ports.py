"""Several inputs and outputs of an engine: losses, weights and metrics of each.

The reference is float64 NumPy, written out: two inputs, a layer they share, a sum, a class and a value as outputs.
"""

import tracemalloc

import numpy as np
import pytest
import reference
from engine_tools import digest

import fastnn
from fastnn import layers
from fastnn._core import kernels
from fastnn.engine.engine import Engine
from fastnn.engine.graph import Graph
from fastnn.engine.ports import Arrays

N, F1, F2, HIDDEN, CLASSES, VALUES = 71, 5, 3, 20, 4, 2
LOSS_WEIGHTS = [0.7, 2.5]
RNG = np.random.default_rng(5)
X1, X2 = RNG.normal(size=(N, F1)), RNG.normal(size=(N, F2))
LABELS, TARGETS = RNG.integers(0, CLASSES, N).astype(np.int32), RNG.normal(size=(N, VALUES))
W1, W2 = RNG.uniform(0.5, 2, N), RNG.uniform(0.5, 2, N)


def built(layer, features, dtype):
    layer.ensure_built((features,), dtype)
    return layer


def make(optimizer, dtype="float64", losses=None, frozen=False, **choices):
    """An engine of h = tanh(d1(x1)) + tanh(d2(x2)), softmax(d3(h)), d5(tanh(d4(h)) + h)."""
    fastnn.set_random_seed(9)
    graph = Graph()
    x1, x2 = graph.input((F1,)), graph.input((F2,))
    parts = [(HIDDEN, "tanh", F1), (HIDDEN, "tanh", F2), (CLASSES, "softmax", HIDDEN), (HIDDEN, "tanh", HIDDEN)]
    d1, d2, d3, d4 = (built(layers.Dense(n, act), f, dtype) for n, act, f in parts)
    d5 = built(layers.Dense(VALUES), HIDDEN, dtype)
    d4.trainable = d5.trainable = not frozen
    h = graph.add(d1.declare(graph, x1), d2.declare(graph, x2))
    outputs = [d3.declare(graph, h), d5.declare(graph, graph.add(d4.declare(graph, h), h))]
    losses = losses or [fastnn.losses.SparseCategoricalCrossentropy(), fastnn.losses.MeanSquaredError()]
    return Engine(
        graph, [x1, x2], outputs, dtype=dtype, loss=losses, loss_weights=LOSS_WEIGHTS, optimizer=optimizer.for_core(),
        seed=3, **choices,
    )  # fmt: skip


def forward(w, x1, x2):
    t1, t2 = np.tanh(x1 @ w[0] + w[1]), np.tanh(x2 @ w[2] + w[3])
    h = t1 + t2
    t4 = np.tanh(h @ w[6] + w[7])
    return t1, t2, h, reference.softmax(h @ w[4] + w[5]), t4, (t4 + h) @ w[8] + w[9]


def numpy_step(w, x1, x2, labels, targets, w1, w2, factors=LOSS_WEIGHTS):
    """Mean losses, and gradients of the weighted sum."""
    n = len(x1)
    t1, t2, h, p, t4, v = forward(w, x1, x2)
    losses = [np.mean(-np.log(p[np.arange(n), labels]) * w1), np.mean(np.mean((v - targets) ** 2, 1) * w2)]
    dz = factors[0] * (p - np.eye(CLASSES)[labels]) * w1[:, None] / n
    dv = factors[1] * 2 * (v - targets) * w2[:, None] / (n * VALUES)
    ds = dv @ w[8].T
    d4 = ds * (1 - t4**2)
    dh = dz @ w[4].T + d4 @ w[6].T + ds
    d1, d2 = dh * (1 - t1**2), dh * (1 - t2**2)
    into = [(x1, d1), (x2, d2), (h, dz), (h, d4), (t4 + h, dv)]
    return losses, [g for a, d in into for g in (a.T @ d, d.sum(0))]


def weights_of(engine):
    return [v.numpy().astype(float) for v in engine.graph.variables()]


def data(dtype="float64", weighted=False):
    x, y = Arrays([X1.astype(dtype), X2.astype(dtype)]), Arrays([LABELS, TARGETS.astype(dtype)])
    return x, y, Arrays([W1.astype(dtype), W2.astype(dtype)]) if weighted else None


def fit(engine, epochs, batch, rate=0.01, weighted=False, index=None):
    """[whole loss, *losses] of each epoch."""
    x, y, w = data(engine.dtype, weighted)
    found = []
    for _ in range(epochs):
        _, first, sums = engine.fit_block(x, y, w, index, 0, N, batch, np.full(-(-N // batch), rate))
        whole = first + sum(a * b for a, b in zip(LOSS_WEIGHTS, sums[:2], strict=True))
        found.append([whole / N, sums[0] / N, sums[1] / N])
    return found


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch", [16, N])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_agrees_with_numpy(name, batch, weighted, schedule):
    engine = make(getattr(fastnn, name)(0.01), schedule=schedule)
    w, optimizer = weights_of(engine), getattr(reference, name)(0.01)
    order = np.random.default_rng(1).permutation(N)
    found, expected = fit(engine, 4, batch, weighted=weighted, index=order), []
    for _ in range(4):
        sums = np.zeros(2)
        for at in range(0, N, batch):
            rows = order[at : at + batch]
            both = (W1[rows], W2[rows]) if weighted else (np.ones(len(rows)),) * 2
            losses, gradients = numpy_step(w, X1[rows], X2[rows], LABELS[rows], TARGETS[rows], *both)
            sums += np.multiply(losses, len(rows))
            optimizer.apply(w, gradients)
        expected.append([np.dot(sums, LOSS_WEIGHTS) / N, *(sums / N)])
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    for got, right in zip(weights_of(engine), w, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-11)


def test_results_and_losses_in_inference_are_those_of_numpy():
    engine = make(fastnn.SGD(0.1))
    x, y, w = data(weighted=True)
    _, _, _, p, _, v = forward(weights_of(engine), X1, X2)
    found = engine.predict(x, 32)
    np.testing.assert_allclose(found[0], p, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found[1], v, rtol=0, atol=1e-13)
    losses, _ = numpy_step(weights_of(engine), X1, X2, LABELS, TARGETS, W1, W2)
    done, first, sums = engine.evaluate(x, y, w, 32)
    assert done == N and first == 0
    np.testing.assert_allclose(np.array(sums) / N, losses, rtol=1e-12)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_number_of_threads(dtype, schedule, isa):
    def run(threads):
        engine = make(fastnn.Adam(0.01), dtype, threads=threads, schedule=schedule, isa=isa)
        losses = fit(engine, 3, 24)
        x, y, _ = data(dtype)
        return digest(engine), losses, engine.evaluate(x, y), [a.tobytes() for a in engine.predict(x)]

    one = run(1)
    for threads in (2, 3, 8):
        assert run(threads) == one, threads


def test_nothing_is_allocated_after_the_first_step():
    engine = make(fastnn.Adam(0.01), "float32", threads=2)
    x, y, w = data("float32", True)
    rates = np.full(5, 1e-3)
    for _ in range(3):
        engine.fit_block(x, y, w, None, 0, N, 16, rates)
    tracemalloc.start()
    engine.fit_block(x, y, w, None, 0, N, 16, rates)
    before = tracemalloc.take_snapshot()
    for _ in range(50):
        engine.fit_block(x, y, w, None, 0, N, 16, rates)
    changes = tracemalloc.take_snapshot().compare_to(before, "filename")
    tracemalloc.stop()
    assert sum(d.size_diff for d in changes if "tracemalloc" not in d.traceback[0].filename) < 2000


def test_manual_steps_give_the_gradients_of_both_outputs():
    engine = make(fastnn.SGD(0.1))
    x, y, _ = data()
    w = weights_of(engine)
    p, v = engine.forward(x, training=True)
    dp, dv = RNG.normal(size=p.shape), RNG.normal(size=v.shape)
    dx1, dx2 = engine.backward(Arrays([dp, dv]))

    def value(x1, x2, weights=w):
        *_, probabilities, _, values = forward(weights, x1, x2)
        return np.sum(dp * probabilities) + np.sum(dv * values)

    for at, (x_of, found) in enumerate(((X1, dx1), (X2, dx2))):
        moved = [X1.copy(), X2.copy()]
        moved[at][4, 1] += 1e-6
        up = value(*moved)
        moved[at][4, 1] -= 2e-6
        np.testing.assert_allclose(found[4, 1], (up - value(*moved)) / 2e-6, rtol=1e-6)
        assert found.shape == x_of.shape
    for at, gradient in enumerate(engine.gradients()):
        moved = [a.copy() for a in w]
        place = (0,) * gradient.ndim
        moved[at][place] += 1e-6
        up = value(X1, X2, moved)
        moved[at][place] -= 2e-6
        np.testing.assert_allclose(gradient[place], (up - value(X1, X2, moved)) / 2e-6, rtol=1e-5, atol=1e-8)
    engine.apply_gradients(0.1)
    assert any(not np.array_equal(a, b) for a, b in zip(w, weights_of(engine), strict=True))


def test_metrics_are_those_of_their_outputs():
    def distance(y_true, y_pred):
        return np.abs(y_true - y_pred).mean(1)

    rows = [("sparse_accuracy", (), "labels"), ("mean_squared_error", (), "values"), distance]
    engine = make(fastnn.SGD(0.1), metrics=rows, weighted_metrics=rows[:1], metric_outputs=[0, 1, 1, 0])
    x, y, w = data(weighted=True)
    _, _, _, p, _, v = forward(weights_of(engine), X1, X2)
    _, _, (_, _, hits, squares, far, weighted_hits) = engine.evaluate(x, y, w, 32)
    hit = p.argmax(1) == LABELS
    np.testing.assert_allclose([hits, squares], [hit.sum(), np.mean((v - TARGETS) ** 2, 1).sum()], rtol=1e-12)
    np.testing.assert_allclose(far, np.abs(v - TARGETS).mean(1).sum(), rtol=1e-12)
    np.testing.assert_allclose(weighted_hits, [[(hit * W1).sum(), W1.sum()]], rtol=1e-12)


def test_a_loss_in_numpy_of_one_output_gives_the_same_training():
    def mean_square(y_true, y_pred):
        return np.mean((y_pred - y_true) ** 2, 1), 2 * (y_pred - y_true) / y_true.shape[1]

    ours, other = make(fastnn.SGD(0.05)), make(
        fastnn.SGD(0.05), losses=[fastnn.losses.SparseCategoricalCrossentropy(), mean_square]
    )
    np.testing.assert_allclose(fit(other, 3, 16, 0.05), fit(ours, 3, 16, 0.05), rtol=1e-10)
    for a, b in zip(weights_of(ours), weights_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_an_output_without_a_loss_is_only_predicted():
    losses = [fastnn.losses.SparseCategoricalCrossentropy(), None]
    x, y = data()[0], Arrays([LABELS, None])
    engine = make(fastnn.SGD(0.05), losses=losses)
    with pytest.raises(ValueError, match="got none on which dense.*/kernel depends; set trainable=False"):
        engine.fit_block(x, y, None, None, 0, N, 16, np.full(5, 0.05))
    assert len(engine.predict(x)) == 2

    engine = make(fastnn.SGD(0.05), losses=losses, frozen=True)
    before = weights_of(engine)
    _, _, sums = engine.fit_block(x, y, None, None, 0, N, 16, np.full(5, 0.05))
    assert len(sums) == 1
    moved = [not np.array_equal(a, b) for a, b in zip(before, weights_of(engine), strict=True)]
    assert moved == [True] * 6 + [False] * 4


def test_an_output_that_another_layer_reads_gets_both_gradients():
    """Its loss does not go through the activation then, and the reader does not end in its derivative."""
    def run(apart):
        fastnn.set_random_seed(1)
        graph = Graph()
        x = graph.input((F1,))
        first, second = built(layers.Dense(3, "sigmoid"), F1, "float64"), built(layers.Dense(1), 3, "float64")
        h = first.declare(graph, x)
        y = second.declare(graph, h)
        losses = [fastnn.losses.BinaryCrossentropy(), fastnn.losses.MeanSquaredError()]
        engine = Engine(graph, x, [h, y], dtype="float64", loss=losses, optimizer=fastnn.SGD(0.5).for_core())
        t, v = (TARGETS[:, :1] > 0) * np.ones((1, 3)), TARGETS[:, :1].copy()
        engine.fit_block(X1, Arrays([t, v]), None, None, 0, N, N, np.full(1, 0.5))
        w, b, u, c = (a.astype(float) for a in apart)
        s = 1 / (1 + np.exp(-(X1 @ w + b)))
        dy = 2 * (s @ u + c - v) / N
        dz = (s - t) / (3 * N) + dy @ u.T * s * (1 - s)
        return weights_of(engine), [w - 0.5 * X1.T @ dz, b - 0.5 * dz.sum(0), u - 0.5 * s.T @ dy, c - 0.5 * dy.sum(0)]

    fastnn.set_random_seed(1)
    start = [built(layers.Dense(3), F1, "float64"), built(layers.Dense(1), 3, "float64")]
    found, expected = run([v.numpy() for layer in start for v in layer.weights])
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
