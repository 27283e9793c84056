"""Recurrent layers: results, gradients and states against `recurrent_reference.py`; bits; arguments and messages."""

import numpy as np
import pytest
import recurrent_reference as ref
import reference
from engine_tools import digest, engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels
from fastnn.layers import GRU, LSTM, Dense, Input, SimpleRNN

MAKE = {
    "SimpleRNN": SimpleRNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "GRUBefore": lambda units, *args, **kwargs: GRU(units, *args, reset_after=False, **kwargs),
}
GATED = [name for name in MAKE if name != "SimpleRNN"]
FEATURES = 3


def weights_of(layer, rng, scale=0.6):
    layer.set_weights([rng.normal(size=w.shape) * scale for w in layer.get_weights()])
    return layer.get_weights()


def reference_of(name, weights, layer):
    functions = [(f.__name__, f.parameters) for f in (layer.activation, getattr(layer, "recurrent_activation", None))
                 if f is not None]  # fmt: skip
    return ref.CELLS[name](weights, *functions)


def whole_model(name, units, steps, dtype="float64", states=True, **options):
    """A model whose inputs are x and the first states, and whose results are those of the layer and the last states."""
    layer = MAKE[name](units, return_sequences=True, return_state=True, **options)
    x, first = Input((steps, FEATURES)), [Input((units,)) for _ in layer.kinds]
    found = layer(x, initial_state=first) if states else layer(x)
    model = fastnn.Model([x, *first] if states else x, found, dtype=dtype)
    model.compile("sgd")
    return model, layer


def close(found, expected, tolerance=1e-10):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("options", [
    {}, {"use_bias": False}, {"go_backwards": True}, {"truncate": 3}, {"activation": "silu"},
    {"activation": "relu", "go_backwards": True, "truncate": 2},
], ids=str)  # fmt: skip
@pytest.mark.parametrize(("steps", "units", "n"), [(1, 5, 3), (2, 8, 33), (7, 17, 5), (7, 34, 70), (50, 3, 9)])
@pytest.mark.parametrize("name", MAKE)
def test_results_and_gradients_are_those_of_numpy(name, steps, units, n, options):
    rng = np.random.default_rng([steps, units, n])
    model, layer = whole_model(name, units, steps, **options)
    cell = reference_of(name, weights_of(layer, rng, 1 / np.sqrt(units)), layer)
    x, first = rng.normal(size=(n, steps, FEATURES)), [rng.normal(size=(n, units)) for _ in layer.kinds]
    d_all, d_last = rng.normal(size=(n, steps, units)), [rng.normal(size=(n, units)) for _ in layer.kinds]
    backwards, truncate = options.get("go_backwards", False), options.get("truncate")
    states, kept = ref.run(cell, x, first, backwards)
    dx, grads, d_first = ref.back(cell, x, kept, d_all, d_last, truncate=truncate)
    results, *last = model.forward([x, *first], training=True)
    close(results, np.stack([h for h, *_ in states], axis=1))
    for found, expected in zip(last, states[-1], strict=True):
        close(found, expected)
    for found, expected in zip(model.predict([x, *first], verbose=0), [results, *last], strict=True):
        close(found, expected)
    for found, expected in zip(model.backward([d_all, *d_last]), [dx, *d_first], strict=True):
        close(found, expected, 1e-9)
    for found, expected in zip(model.gradients(), grads, strict=True):
        close(found, expected, 1e-9)


@pytest.mark.parametrize("functions", [
    ("hard_tanh", "hard_sigmoid"), ("softsign", "silu"), (layers.LeakyReLU(0.3), layers.ReLU(2.0, 0.1)),
    ("linear", "sigmoid"), ("tanh", "softsign"),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", GATED)
def test_other_activations(name, functions):
    rng = np.random.default_rng(5)
    model, layer = whole_model(name, 6, 5, activation=functions[0], recurrent_activation=functions[1])
    cell = reference_of(name, weights_of(layer, rng), layer)
    x, first = rng.normal(size=(7, 5, FEATURES)), [rng.normal(size=(7, 6)) for _ in layer.kinds]
    d_all, d_last = rng.normal(size=(7, 5, 6)), [rng.normal(size=(7, 6)) for _ in layer.kinds]
    states, kept = ref.run(cell, x, first)
    dx, grads, d_first = ref.back(cell, x, kept, d_all, d_last)
    close(model.forward([x, *first], training=True)[0], np.stack([h for h, *_ in states], axis=1))
    for found, expected in zip(model.backward([d_all, *d_last]), [dx, *d_first], strict=True):
        close(found, expected, 1e-9)
    for found, expected in zip(model.gradients(), grads, strict=True):
        close(found, expected, 1e-9)


def stack(name, units, steps, dtype, **options):
    """Two of them, one with dropout, before a dense layer."""
    fastnn.set_random_seed(3)
    first = MAKE[name](units, return_sequences=True, dropout=0.2, recurrent_dropout=0.3, **options)
    body = [Input((steps, FEATURES)), first, MAKE[name](units - 2, go_backwards=True), Dense(4, "softmax")]
    model = fastnn.Sequential(body, dtype=dtype)
    model.compile("adam", "sparse_categorical_crossentropy", seed=4)
    return model


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("name", MAKE)
def test_same_bits_for_any_number_of_threads(name, schedule, isa):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 6 * FEATURES)), rng.integers(0, 4, 300).astype(np.int32)
    for dtype, batch in (("float32", 290), ("float64", 40), ("float32", 7)):
        found = []
        for threads in (1, 2, 3, 8):
            engine = engine_of(stack(name, 19, 6, dtype), threads=threads, schedule=schedule, isa=isa)
            for _ in range(2):
                engine.fit_block(x.astype(dtype), y, None, None, 0, 300, batch, np.full(-(-300 // batch), 0.01))
            found.append(digest(engine))
        assert found == found[:1] * 4, (dtype, batch)


@pytest.mark.parametrize("name", MAKE)
def test_both_schedules_all_targets_and_float32_agree(name):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 9 * FEATURES)), rng.integers(0, 4, 300).astype(np.int32)
    found = []
    for schedule in ("layers", "samples"):
        for isa in kernels.targets():
            engine = engine_of(stack(name, 12, 9, "float64"), schedule=schedule, isa=isa)
            engine.fit_block(x, y, None, None, 0, 300, 60, np.full(5, 0.01))
            found.append([v.numpy() for v in engine.graph.variables()])
    engine = engine_of(stack(name, 12, 9, "float32"))
    engine.fit_block(x.astype("float32"), y, None, None, 0, 300, 60, np.full(5, 0.01))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            close(a, b, 1e-8)
    for a, v in zip(found[0], engine.graph.variables(), strict=True):
        np.testing.assert_allclose(v.numpy(), a, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", MAKE)
def test_dropout_multiplies_the_input_and_the_state_before_the_product(name):
    """The same mask at all steps; none in inference."""
    units, steps, n = 6, 4, 40
    rng = np.random.default_rng(2)
    layer = MAKE[name](units, dropout=0.25, recurrent_dropout=0.5, seed=1, return_sequences=True)
    model = fastnn.Sequential([Input((steps, FEATURES)), layer], dtype="float64")
    model.compile("sgd", "mse", seed=9)
    cell = reference_of(name, weights_of(layer, rng), layer)
    x = rng.normal(size=(n, steps, FEATURES))
    plain, _ = ref.run(cell, x)
    close(model.predict(x, verbose=0), np.stack([h for h, *_ in plain], axis=1))
    streams = [2**31 + 1, (2**31 + 1) ^ 1 << 20]  # of a seed, of its second use
    masks = [reference.dropout_mask(n, size, rate, seed=9, step=0, layer=stream)
             for size, rate, stream in zip((FEATURES, units), (0.25, 0.5), streams, strict=True)]  # fmt: skip
    seen = x * masks[0][:, None]
    states, kept = ref.run(cell, seen, keep=masks[1])
    close(model.forward(x, training=True), np.stack([h for h, *_ in states], axis=1))
    dy = rng.normal(size=(n, steps, units))
    dx, grads, _ = ref.back(cell, seen, kept, dy)
    close(model.backward(dy), dx * masks[0][:, None], 1e-9)
    for found, expected in zip(model.gradients(), grads, strict=True):
        close(found, expected, 1e-9)


@pytest.mark.parametrize("name", MAKE)
def test_training_a_model_is_that_of_numpy(name):
    """Adam, several batches, the last one short; sum of both gradients of a layer that is used twice."""
    rng = np.random.default_rng(7)
    layer = MAKE[name](5)
    x = Input((6, FEATURES))
    out = layers.add([layer(x), layer(layers.Rescaling(0.5)(x))])
    model = fastnn.Model(x, out, dtype="float64")
    weights = [w.copy() for w in weights_of(layer, rng)]
    model.compile(fastnn.Adam(0.01), "mse", seed=0)
    data, target = rng.normal(size=(50, 6, FEATURES)), rng.normal(size=(50, 5))
    model.fit(data, target, batch_size=20, epochs=3, shuffle=False, verbose=0)
    adam = reference.Adam(0.01)
    for _ in range(3):
        for at in range(0, 50, 20):
            xb, yb = data[at : at + 20], target[at : at + 20]
            cell = reference_of(name, weights, layer)
            runs = [(xb * scale, *ref.run(cell, xb * scale)) for scale in (1, 0.5)]
            d = 2 * (sum(states[-1][0] for _, states, _ in runs) - yb) / yb.size
            grads = [0] * len(weights)
            for seen, _, kept in runs:
                d_all = np.zeros((len(xb), 6, 5))
                d_all[:, -1] = d
                grads = [g + h for g, h in zip(grads, ref.back(cell, seen, kept, d_all)[1], strict=True)]
            adam.apply(weights, grads)
    for found, expected in zip(model.get_weights(), weights, strict=True):
        close(found, expected, 1e-8)


@pytest.mark.parametrize("name", MAKE)
def test_rules_and_freezing(name):
    options = {"kernel_regularizer": "l2", "recurrent_regularizer": "l2", "bias_regularizer": "l1"}
    model = fastnn.Sequential([Input((4, FEATURES)), MAKE[name](5, **options)], dtype="float64")
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4, FEATURES)), rng.normal(size=(9, 5))
    assert model.check_gradients(x, y).passed
    layer = model.layers[0]
    layer.recurrent_constraint = fastnn.constraints.MaxNorm(0.1)
    model.fit(x, y, verbose=0)
    assert (np.linalg.norm(layer.recurrent_kernel.numpy(), axis=0) <= 0.1 + 1e-9).all()
    layer.recurrent_kernel.trainable = False
    before = layer.recurrent_kernel.numpy()
    model.fit(x, y, verbose=0)
    assert (layer.recurrent_kernel.numpy() == before).all()
    assert model.check_gradients(x, y).passed
    layer.trainable = False
    assert model.trainable_weights == []
    close(model.input_gradient(x, y).shape, x.shape)


def test_weights_begin_as_in_keras():
    fastnn.set_random_seed(0)
    layer = LSTM(6)
    layer.build((None, 5, 3))
    kernel, recurrent, bias = layer.get_weights()
    assert [w.name.split("/")[1] for w in layer.weights] == ["kernel", "recurrent_kernel", "bias"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(6), atol=1e-6)
    assert abs(kernel).max() <= np.sqrt(6 / 27)
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 6))
    layer = LSTM(6, unit_forget_bias=False, bias_initializer="ones")
    layer.build((None, 5, 3))
    assert (layer.bias.numpy() == 1).all()
    after = fastnn.Sequential([GRU(6, input_shape=(5, 3))])
    assert [w.shape for w in after.get_weights()] == [(3, 18), (6, 18), (2, 18)]
    before = fastnn.Sequential([GRU(6, reset_after=False, input_shape=(5, 3))])
    assert before.get_weights()[2].shape == (18,)


@pytest.mark.parametrize("name", MAKE)
def test_they_are_saved_and_cloned(name, tmp_path):
    model = stack(name, 5, 4, "float32", truncate=2)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4, FEATURES)).astype("float32"), rng.integers(0, 4, 40)
    history = model.fit(x, y, epochs=2, batch_size=16, verbose=0, health="every")
    assert np.isfinite(model.history.health.gradient_norm).all() and history.history["loss"]
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert again.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
    assert again.layers[0].get_config() == model.layers[0].get_config()
    assert again.layers[0].truncate == 2
    functional, layer = whole_model(name, 5, 4)
    functional.save(tmp_path / "f.fastnn")
    again = fastnn.models.load_model(tmp_path / "f.fastnn")
    given = [rng.normal(size=(3, *shape)) for shape in functional.in_shape]
    for a, b in zip(again.predict(given, verbose=0), functional.predict(given, verbose=0), strict=True):
        assert a.tobytes() == b.tobytes()
    assert fastnn.models.clone_model(functional).output_shape == functional.output_shape


def test_shapes():
    x = Input((7, 3))
    assert SimpleRNN(4)(x).shape == (None, 4)
    assert SimpleRNN(4, return_sequences=True)(x).shape == (None, 7, 4)
    assert [t.shape for t in LSTM(4, return_state=True)(x)] == [(None, 4)] * 3
    assert LSTM(4, return_state=True).compute_output_shape((None, 7, 3)) == [(None, 4)] * 3
    assert GRU(4).compute_output_shape((None, 7, 3)) == (None, 4)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SimpleRNN(0), ValueError, "units.*at least 1"),
        (lambda: SimpleRNN(3, "softmax"), ValueError, "activation: expected an elementwise activation.*'softmax'"),
        (lambda: LSTM(3, recurrent_activation="softmax"), ValueError, "recurrent_activation: expected an elementwise"),
        (lambda: SimpleRNN(3, dropout=1.0), ValueError, "dropout.*below 1"),
        (lambda: LSTM(3, recurrent_dropout=-0.1), ValueError, "recurrent_dropout.*at least 0"),
        (lambda: GRU(3, truncate=0), ValueError, "truncate.*at least 1"),
        (lambda: GRU(3, unroll=True), ValueError, "unroll: expected False"),
        (lambda: GRU(3, use_cudnn=True), ValueError, "use_cudnn: expected 'auto'"),
        (lambda: GRU(3, reset_befor=True), TypeError, "reset_befor"),
        (lambda: SimpleRNN(3, input_shape=(4,)).build((None, 4)), ValueError, "expected an input of time steps"),
        (lambda: SimpleRNN(3)(Input((4, 2)), Input((5,))), ValueError, r"states of shapes \[\(3,\)\], got \[\(5,\)\]"),
        (lambda: LSTM(3)(Input((4, 2)), Input((3,))), ValueError, r"of shapes \[\(3,\), \(3,\)\], got \[\(3,\)\]"),
        (lambda: fastnn.Sequential([Input((4, 2)), LSTM(3, return_state=True)]), ValueError, "return_state"),
    ],
)  # fmt: skip
def test_messages(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("name", MAKE)
def test_a_step_that_is_cut_off_gets_no_gradient(name):
    """Of truncate 2 and the last state alone, only the last two steps have one."""
    model = fastnn.Sequential([Input((5, FEATURES)), MAKE[name](4, truncate=2)], dtype="float64")
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    model.forward(rng.normal(size=(3, 5, FEATURES)), training=True)
    dx = model.backward(np.ones((3, 4)))
    assert (dx[:, :3] == 0).all() and (dx[:, 3:] != 0).all()
