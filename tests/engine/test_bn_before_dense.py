"""Batch normalisation whose gradients come from the dense layer behind it: docs/decisions/0009-gradients-from-dw.md."""

import numpy as np
import pytest
import reference
from engine_tools import digest, engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels

OUT = 3
CODE = kernels.DATA_CODES["<f8"]


def special(weights, seed=1):
    """Weights without symmetry; some are 0, so that some gamma are."""
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(w.shape) < 0.1, 0, rng.uniform(0.1, 0.6, w.shape) * rng.choice([-1, 1], w.shape))
            if w.ndim < 2 else rng.normal(0, w.shape[0] ** -0.5, w.shape) for w in weights]  # fmt: skip


def finish(stack, inputs, optimizer=None, dtype="float64"):
    fastnn.set_random_seed(3)
    model = fastnn.Sequential([fastnn.Input((inputs,)), *stack], dtype=dtype)
    weights = special(model.get_weights())
    for i, v in enumerate(model.weights):
        if "variance" in v.name:
            weights[i] = np.abs(weights[i]) + 0.5
    model.set_weights(weights)
    model.compile(optimizer or fastnn.SGD(0.05, momentum=0.9), "mse", seed=2)
    return model


def both(inputs, units, bn=None, bias=True, dtype="float64", optimizer=None, theirs=None):
    """(model, reference network): BN, dense, dense."""
    bn = bn or {}
    model = finish([layers.BatchNormalization(**bn), layers.Dense(units, "tanh", use_bias=bias), layers.Dense(OUT)],
                   inputs, optimizer, dtype)  # fmt: skip
    spec = [("batch_norm", bn), ("dense", {"activation": "tanh", "use_bias": bias}), ("dense", {})]
    theirs = theirs or reference.SGD(0.05, momentum=0.9)
    return model, reference.Net(spec, model.get_weights(), "mean_squared_error", theirs)


def data(inputs, n, shift=0.0):
    rng = np.random.default_rng(4)
    return rng.normal(size=(n, inputs)) * np.linspace(0.5, 2, inputs) + shift, rng.normal(size=(n, OUT))


def operations(engine, batch=8):
    program = engine.program("train", batch, (8 * engine.x.size, CODE), (8 * engine.y.size, CODE))
    return program.plan.ops


def is_used(engine, batch=8):
    return "bn_params" in [op[0] for op in operations(engine, batch)]


def train_and_compare(model, net, n, batch, tolerance=1e-10, **choices):
    inputs = net.weights[0].size
    engine = engine_of(model, **choices)
    assert is_used(engine, batch)
    assert [op[0] for op in operations(engine, batch)].count("dense_dx") == 1  # that of the last layer
    x, y = data(inputs, n)
    engine.fit_block(x.astype(engine.dtype), y.astype(engine.dtype), None, None, 0, n, batch,
                      np.full(-(-n // batch), 0.05))  # fmt: skip
    net.train([(x[i : i + batch], y[i : i + batch]) for i in range(0, n, batch)])
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    return engine


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bn", [{}, {"center": False}, {"scale": False}], ids=str)
def test_training_is_that_of_the_reference(bn, bias, dtype, isa):
    """Sizes around panels and items, a short last batch, padding that stays 0."""
    sizes = (1, 1, 9, 4), (8, 16, 20, 8), (19, 33, 57, 16), (101, 17, 70, 32), (200, 5, 90, 33)
    for inputs, units, n, batch in sizes:
        tolerance = 1e-10 if dtype == "float64" else 3e-5
        pair = both(inputs, units, bn, bias, dtype)
        store = train_and_compare(*pair, n, batch, tolerance, isa=isa).store
        for variable, place in store.places.items():
            panels = store.panels(variable)[:, : place.inputs or 1]
            assert not panels.swapaxes(0, 1).reshape(panels.shape[1], -1)[:, place.units :].any()


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.1}], ids=str)
def test_batches_of_several_sample_blocks(clip, isa):
    """The tile is complete only behind the last block of 512 samples; the last batch has two blocks, not three."""
    pair = both(100, 40, optimizer=fastnn.Adam(0.05, **clip), theirs=reference.Adam(0.05, **clip))
    train_and_compare(*pair, 2200, 1200, isa=isa)


def gradients_left_by(model, x, y, **choices):
    """Those of a step that moves nothing; clipping by norm, which clips nothing, leaves them in memory."""
    model.compile(fastnn.SGD(0.0, global_clipnorm=1e9), "mse", seed=2)
    engine = engine_of(model, **choices)
    engine.fit_block(x, y, None, None, 0, len(x), len(x), np.zeros(1))
    return engine, [engine.store.get("grad", v) for v in engine.trainable]


@pytest.mark.parametrize("bn", [{}, {"center": False}, {"scale": False}], ids=str)
def test_gradients_are_central_differences(bn):
    model, net = both(21, 18, bn)
    assert bn.get("scale") is False or (net.weights[0] == 0).any()  # some gamma
    x, y = data(21, 13)
    engine, found = gradients_left_by(model, x, y)
    assert is_used(engine, 13)
    live = [w for v, w in zip(model.weights, net.weights, strict=True) if v.trainable]
    for w, gradient in zip(live, found, strict=True):
        expected = reference.central_difference(lambda: net.loss_and_grads(x, y)[0], w, 1e-5)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradients_are_those_of_the_long_way(dtype, isa):
    """Where the caller wants the gradient of x, the dense layer has a dX; features lie a thousand deviations from 0."""
    x, y = (a.astype(dtype) for a in data(150, 40, 1000.0))
    model, net = both(150, 35, dtype=dtype)
    found = gradients_left_by(model, x, y, isa=isa)[1]
    by_hand = engine_of(model, isa=isa)
    out = by_hand.forward(x, training=True)
    by_hand.backward(2 * (out - y) / out.size)
    exact = [g for g in net.loss_and_grads(x, y)[1] if g is not None]
    tolerance = 1e-9 if dtype == "float64" else 2e-4
    for a, b, c in zip(found, by_hand.gradients(), exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
        np.testing.assert_allclose(a, c, rtol=tolerance, atol=tolerance * np.abs(c).max())


BN, Dense = layers.BatchNormalization, layers.Dense
USED = {
    "behind a frozen dense layer": lambda: [Dense(30, "relu", trainable=False), BN(), Dense(20), Dense(OUT)],
    "behind dropout": lambda: [layers.Dropout(0.2), BN(), Dense(20, "elu"), Dense(OUT)],
    "behind a frozen one": lambda: [BN(trainable=False), BN(), Dense(20, "elu"), Dense(OUT)],
    "its input read elsewhere": lambda: [layers.Residual([BN(), Dense(37)]), Dense(OUT)],
    "reshaped": lambda: [BN(), layers.Reshape((37, 1)), layers.Flatten(), Dense(20, "elu"), Dense(OUT)],
    "as last layers": lambda: [BN(), Dense(OUT)],
}
NOT_USED = {
    "frozen dense layer": lambda: [BN(), Dense(20, "elu", trainable=False), Dense(OUT)],
    "frozen": lambda: [BN(trainable=False), Dense(20, "elu"), Dense(OUT)],
    "nothing to train": lambda: [BN(center=False, scale=False), Dense(20, "elu"), Dense(OUT)],
    "activation between": lambda: [BN(), layers.Activation("elu"), Dense(20), Dense(OUT)],
    "dropout between": lambda: [BN(), layers.Dropout(0.3), Dense(20, "elu"), Dense(OUT)],
    "its result read twice": lambda: [BN(), layers.Residual([Dense(37)]), Dense(OUT)],
    "a penalty on its result": lambda: [BN(), layers.ActivityRegularization(0.1), Dense(20), Dense(OUT)],
    "its input needs a gradient": lambda: [Dense(30), BN(), Dense(20, "elu"), Dense(OUT)],
    "as last layer": lambda: [Dense(OUT, trainable=False), BN()],
}


@pytest.mark.parametrize("case", [*USED, *NOT_USED])
def test_where_it_is_used_and_that_training_is_the_same_by_hand(case):
    found = []
    for by_hand in (False, True):
        model = finish({**USED, **NOT_USED}[case](), 37)
        assert is_used(engine_of(model)) == (case in USED)
        assert not is_used(engine_of(model, schedule="samples"))
        x, y = data(37, 48)
        for at in range(0, 48, 16):
            if by_hand:
                out = model.forward(x[at : at + 16], training=True)
                dy = 2 * (out - y[at : at + 16]) / out.size
                model.backward(dy)
                model.apply_gradients()
            else:
                model.fit(x[at : at + 16], y[at : at + 16], batch_size=16, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("clip", [{}, {"clipvalue": 0.01}, {"global_clipnorm": 0.1}], ids=str)
def test_same_bits_for_any_number_of_threads(clip, dtype, isa):
    """Several unit panels and several items in each; batches of several blocks of samples."""
    found = set()
    for threads in (1, 2, 3, 8):
        model, _ = both(300, 70, dtype=dtype, optimizer=fastnn.Adam(0.01, **clip))
        engine = engine_of(model, threads=threads, isa=isa)
        x, y = (a.astype(dtype) for a in data(300, 1500))
        for batch in (50, 600):
            engine.fit_block(x, y, None, None, 0, 1500, batch, np.full(-(-1500 // batch), 0.01))
        found.add(digest(engine))
    assert len(found) == 1


def test_threads_wait_for_the_parts_of_others():
    """A missing barrier hardly ever shows in the numbers."""
    waits = {op[0]: op[-1] for op in operations(engine_of(both(300, 70)[0]))}
    assert waits["bn_params"]


def test_the_input_is_kept_only_where_others_read_it():
    """Normalised values take the place of x where they can."""
    for case, extra in (("as last layers", 0), ("its input read elsewhere", 1)):
        engine = engine_of(finish(USED[case](), 37))
        program = engine.program("train", 8, (8 * 37, CODE), (8 * OUT, CODE))
        assert sum(key.endswith(".normalised") for key in program.plan.places) == extra
