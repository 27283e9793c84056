"""Every layer that computes something, while training: central differences, every target, any threads, float32."""

import numpy as np
import pytest
import reference
from engine_tools import digest, engine_of
from layer_bodies import BODIES, READ_TWICE, model_of

import fastnn
from fastnn import layers
from fastnn._core import kernels


def data(n, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 5)).astype(dtype), rng.normal(size=(n, 3)).astype(dtype)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("name", [*BODIES, *READ_TWICE])
def test_gradient_is_the_central_difference(name, isa):
    model = model_of(name)
    engine = engine_of(model, isa=isa)
    x, dy = data(11)
    engine.forward(x, training=True)
    dx, gradients = engine.backward(dy), engine.gradients()
    frozen = [v for v in model.weights if v not in engine.trainable]
    start = [v.numpy() for v in frozen]

    def value():
        for variable, old in zip(frozen, start, strict=True):
            variable.assign(old)
        return float(np.sum(engine.forward(x, training=True) * dy))

    np.testing.assert_allclose(dx, reference.central_difference(value, x, 1e-5), rtol=1e-5, atol=1e-7)
    for variable, gradient in zip(engine.trainable, gradients, strict=True):
        w = variable.numpy()

        def of_weight(variable=variable, w=w):
            variable.assign(w)
            return value()

        expected = reference.central_difference(of_weight, w, 1e-5)
        variable.assign(w)
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7, err_msg=variable.name)


@pytest.mark.parametrize("width", [2, 4, 8, 14, 16, 18, 34])
@pytest.mark.parametrize("name", ["layer_norm", "layer_norm_groups", "prelu", "prelu_groups", "prelu_one", "maxout"])
def test_targets_agree_at_any_width_and_batch(name, width):
    for n in (1, 7, 8, 9, 35):
        x, dy = data(n)
        found = []
        for isa in kernels.targets():
            engine = engine_of(model_of(name, width=width), isa=isa)
            y = engine.forward(x, training=True)
            found.append([y, engine.backward(dy), *engine.gradients()])
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", BODIES)
def test_float32_stays_near_float64(name):
    found = []
    for dtype in ("float32", "float64"):
        model = model_of(name, dtype)
        x, y = data(300, dtype)
        engine = engine_of(model)
        engine.fit_block(x, y, None, None, 0, 300, 50, np.full(6, 0.01))
        found.append((model.get_weights(), engine.predict(x)))
    for a, b in zip([*found[0][0], found[0][1]], [*found[1][0], found[1][1]], strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("name", BODIES)
def test_every_layer_has_the_same_bits_for_any_number_of_threads(name, schedule):
    found = []
    for threads in (1, 2, 3, 8):
        model = model_of(name, "float32")
        engine = engine_of(model, threads=threads, schedule=schedule)
        x, y = data(300, "float32")
        engine.fit_block(x, y, None, None, 0, 300, 150, np.full(2, 0.01))
        found.append((digest(engine), engine.predict(x).tobytes()))
    assert found[1:] == found[:1] * 3


def kitchen(dtype, batch_norm):
    """Everything in one network."""
    fastnn.set_random_seed(4)
    stack = [
        fastnn.Input((5,)), layers.Normalization(mean=0.1, variance=2.0), layers.GaussianNoise(0.1), layers.Dense(36),
        layers.LayerNormalization(), layers.PReLU("ones", shared_axes=[1]), layers.AlphaDropout(0.1), layers.Maxout(20),
        layers.Residual([layers.Dense(11, "elu"), layers.GaussianDropout(0.1), layers.PReLU(), layers.Dense(20)]),
        layers.RReLU(), layers.ActivityRegularization(0.01, 0.02), layers.Reshape((4, 5)), layers.LayerNormalization(),
        layers.PReLU(shared_axes=[2]), layers.Flatten(), layers.Dense(3)]  # fmt: skip
    if batch_norm:
        stack.insert(6, layers.BatchNormalization())
    return fastnn.Sequential(stack, dtype=dtype)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("clip", [{}, {"clipvalue": 0.05}, {"global_clipnorm": 0.5}], ids=str)
def test_same_bits_for_any_number_of_threads(clip, schedule, batch_norm, dtype, isa):
    found = []
    for threads in (1, 2, 3, 8):
        model = kitchen(dtype, batch_norm)
        model.compile(fastnn.Adam(0.01, **clip), "mse", seed=6)
        engine = engine_of(model, threads=threads, schedule=schedule, isa=isa)
        x, y = data(700, dtype)
        loss = [engine.fit_block(x, y, None, None, 0, 700, 300, np.full(3, 0.01))[1] for _ in range(2)]
        found.append((digest(engine), loss, engine.evaluate(x, y)[1], engine.predict(x).tobytes()))
    assert all(np.isfinite(found[0][1])) and found[1:] == found[:1] * 3


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("clip", [{}, {"clipvalue": 0.05}, {"global_clipnorm": 0.5}], ids=str)
def test_schedules_agree(clip, batch_norm):
    """Fused updates, gradients in slots, one step by hand: the same training."""
    found = []
    for schedule in ("layers", "samples", "by hand"):
        model = kitchen("float64", batch_norm)
        model.compile(fastnn.Adam(0.01, **clip), "mse", seed=6)
        x, y = data(600)
        if schedule == "by hand":
            for at in (0, 300):
                p = model.forward(x[at : at + 300], training=True)
                model.backward(2 * (p - y[at : at + 300]) / p.size)
                model.apply_gradients()
        else:
            engine = engine_of(model, schedule=schedule)
            engine.fit_block(x, y, None, None, 0, 600, 300, np.full(2, 0.01))
        found.append(model.get_weights())
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_nothing_is_allocated_after_the_first_step():
    model = kitchen("float32", True)
    model.compile("adam", "mse", seed=6)
    engine = engine_of(model)
    x, y = data(640, "float32")
    run = lambda: engine.fit_block(x, y, None, None, 0, 640, 32, np.full(20, 1e-3))  # noqa: E731
    run()
    program = next(iter(engine._programs.values()))
    before = len(engine._programs), program.arena.ctypes.data
    run()
    assert before == (len(engine._programs), program.arena.ctypes.data)


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layer", "row", "params"), [
    (layers.GaussianNoise, "gaussian_noise", (0.3,)), (layers.GaussianDropout, "gaussian_dropout", (0.2,)),
    (layers.AlphaDropout, "alpha_dropout", (0.2,)), (layers.RReLU, "rrelu", (0.1, 0.5)),
])  # fmt: skip
def test_noise_is_that_of_the_reference(layer, row, params, dtype, isa):
    """The same words whatever the target, dtype and schedule; a stream for each place, step and seed."""
    model = fastnn.Sequential([fastnn.Input((70,)), layers.Rescaling(1.0), layer(*params)], dtype=dtype)
    model.compile("sgd", "mse", seed=2**40 + 9)
    engine = engine_of(model, isa=isa)
    engine.step = 3
    rng = np.random.default_rng(0)
    x = rng.normal(size=(37, 70)).astype(dtype)
    x[3:5, :9] = 0
    words = reference.random_words(37, 70, 2**40 + 9, 3, 1)
    y, slope = reference.NOISES[row](x.astype(np.float64), words, *params)
    close = {"rtol": 1e-6, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(engine.forward(x, training=True), y, **close)
    np.testing.assert_allclose(engine.backward(np.ones_like(x)), slope, **close)


def test_noise_has_a_stream_for_each_place_step_and_seed():
    x = np.ones((8, 16))

    def drawn(step=0, place=0, **options):
        fill = [layers.Rescaling(1.0) for _ in range(place)]
        model = fastnn.Sequential([fastnn.Input((16,)), *fill, layers.GaussianNoise(1.0, **options)])
        model.compile("sgd", seed=1)
        model.engine().step = step
        return model.forward(x, training=True)

    first = drawn()
    assert (first == drawn()).all()
    assert (drawn(seed=3) == drawn(seed=3, place=2)).all()
    for other in (drawn(step=1), drawn(place=1), drawn(seed=3)):
        assert (other == first).mean() < 0.01
