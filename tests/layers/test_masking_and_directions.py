"""Masked time steps, both directions, and cells in NumPy, against `recurrent_reference.py`."""

import numpy as np
import pytest
import recurrent_reference as ref
from test_recurrent import FEATURES, MAKE, close, reference_of, weights_of

import fastnn
from fastnn import layers
from fastnn.layers import GRU, LSTM, RNN, Bidirectional, Dense, Input, Masking, SimpleRNN


def masked(n, steps, rng, value):
    x = rng.normal(size=(n, steps, FEATURES))
    mask = rng.random((n, steps)) < 0.6
    x[~mask] = value
    return x, mask


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"recurrent_dropout": 0.0, "truncate": 2}], ids=str)
@pytest.mark.parametrize("name", MAKE)
def test_masked_steps_leave_the_state_as_it_is(name, options):
    rng, n, steps, units = np.random.default_rng(3), 37, 6, 5
    layer = MAKE[name](units, return_sequences=True, return_state=True, **options)
    x, first = Input((steps, FEATURES)), [Input((units,)) for _ in layer.kinds]
    model = fastnn.Model([x, *first], layer(Masking(-2.0)(x), initial_state=first), dtype="float64")
    model.compile("sgd")
    cell = reference_of(name, weights_of(layer, rng), layer)
    data, mask = masked(n, steps, rng, -2.0)
    seen = data * mask[:, :, None]
    states = [rng.normal(size=(n, units)) for _ in first]
    found, kept = ref.run(cell, seen, states, options.get("go_backwards", False), mask)
    d_all, d_last = rng.normal(size=(n, steps, units)), [rng.normal(size=(n, units)) for _ in first]
    dx, grads, d_first = ref.back(cell, seen, kept, d_all, d_last, mask, options.get("truncate"))
    results, *last = model.forward([data, *states], training=True)
    close(results, np.stack([h for h, *_ in found], axis=1))
    for a, b in zip(last, found[-1], strict=True):
        close(a, b)
    for a, b in zip(model.backward([d_all, *d_last]), [dx * mask[:, :, None], *d_first], strict=True):
        close(a, b, 1e-9)
    for a, b in zip(model.gradients(), grads, strict=True):
        close(a, b, 1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("name", MAKE)
def test_sequences_of_unequal_length_give_what_each_gives_alone(name, dtype, tolerance):
    rng, n, steps = np.random.default_rng(0), 1000, 12
    layer = MAKE[name](6)
    model = fastnn.Sequential([Input((steps, FEATURES)), Masking(), layer], dtype=dtype)
    weights_of(layer, rng)
    x, lengths = rng.normal(size=(n, steps, FEATURES)), rng.integers(1, steps + 1, n)
    x[np.arange(steps) >= lengths[:, None]] = 0
    together = model.predict(x, batch_size=100, verbose=0)
    for length in range(1, steps + 1):
        alone = fastnn.Sequential([Input((length, FEATURES)), MAKE[name](6)], dtype=dtype)
        alone.set_weights(model.get_weights())
        chosen = lengths == length
        found = alone.predict(x[chosen, :length], verbose=0)
        np.testing.assert_allclose(together[chosen], found, rtol=0, atol=tolerance)


def test_the_mask_goes_through_layers_that_treat_steps_alike():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9, 7, 2))
    x[:, 4:] = 0
    stack = [Masking(), Dense(4), layers.Dropout(0.1), LSTM(3, return_sequences=True), GRU(5), Dense(1)]
    model = fastnn.Sequential([Input((7, 2)), *stack], dtype="float64")
    short = fastnn.Sequential(
        [Input((4, 2)), Dense(4), LSTM(3, return_sequences=True), GRU(5), Dense(1)], dtype="float64"
    )
    short.set_weights(model.get_weights())
    close(model.predict(x, verbose=0), short.predict(x[:, :4], verbose=0), 1e-13)
    model.compile("adam", "mse")
    assert model.check_gradients(x, np.ones((9, 1))).passed
    flat = fastnn.Sequential([Input((7, 2)), Masking(), Dense(2), layers.Flatten(), Dense(1)])
    flat.compile("sgd", "mse")
    flat.fit(x, np.ones(9), verbose=0)


def test_what_a_mask_is_refused_for():
    x = Input((4, 2))
    h = Masking()(x)
    model = fastnn.Model(x, LSTM(3, return_sequences=True)(h))
    assert model.predict(np.zeros((2, 4, 2)), verbose=0).shape == (2, 4, 3)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expected results without masked time steps"):
        model.fit(np.zeros((2, 4, 2)), np.zeros((2, 4, 3)), verbose=0)
    model = fastnn.Model(x, layers.Add()([h, Masking(1.0)(x)]))
    with pytest.raises(ValueError, match="two of different masks"):
        model.predict(np.zeros((2, 4, 2)), verbose=0)
    with pytest.raises(ValueError, match="expected an input of time steps"):
        fastnn.Sequential([Masking(input_shape=(3,))])


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [True, False])
def test_both_directions(mode, sequences):
    rng, n, steps, units = np.random.default_rng(5), 8, 5, 4
    inner = LSTM(units, return_sequences=sequences, return_state=True)
    layer = Bidirectional(inner, mode)
    x = Input((steps, FEATURES))
    model = fastnn.Model(x, layer(x), dtype="float64")
    model.compile("sgd")
    weights = weights_of(layer, rng)
    data = rng.normal(size=(n, steps, FEATURES))
    halves = [ref.run(ref.LSTM(weights[at : at + 3]), data, go_backwards=bool(at))[0] for at in (0, 3)]
    y, z = ([np.stack([h for h, _ in s], axis=1) for s in halves] if sequences else [s[-1][0] for s in halves])
    z = z[:, ::-1] if sequences else z
    joined = {"concat": lambda: np.concatenate([y, z], -1), "sum": lambda: y + z, "mul": lambda: y * z,
              "ave": lambda: (y + z) / 2}  # fmt: skip
    expected = [*([y, z] if mode is None else [joined[mode]()]), *halves[0][-1], *halves[1][-1]]
    found = model.forward(data, training=True)
    assert len(found) == len(expected) == len(layer.compute_output_shape((None, steps, FEATURES)))
    for a, b, shape in zip(found, expected, layer.output_shape, strict=True):
        close(a, b)
        assert a.shape[1:] == shape[1:]
    names = [f"{way}_{inner.name}" for way in ("forward", "backward") for _ in range(3)]
    assert [v.name.split("/")[0] for v in layer.weights] == names


def test_bidirectional_trains_is_saved_and_given_states(tmp_path):
    rng = np.random.default_rng(0)
    stack = [Masking(), Bidirectional(GRU(5, return_sequences=True)), Bidirectional(SimpleRNN(3), "sum"), Dense(2)]
    model = fastnn.Sequential([Input((6, FEATURES)), *stack], dtype="float64")
    model.compile("adam", "mse", seed=1)
    x, mask = masked(40, 6, rng, 0.0)
    y = rng.normal(size=(40, 2))
    assert model.check_gradients(x, y).passed
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert again.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
    assert fastnn.models.clone_model(model).count_params() == model.count_params()
    model.layers[1].trainable = False
    assert len(model.trainable_weights) == 8
    inputs, states = Input((6, FEATURES)), [Input((5,)) for _ in range(2)]
    layer = Bidirectional(GRU(5))
    both = fastnn.Model([inputs, *states], layer(inputs, initial_state=states), dtype="float64")
    first = [rng.normal(size=(40, 5)) for _ in states]
    weights = layer.get_weights()
    cells = [ref.GRU(weights[at : at + 3]) for at in (0, 3)]
    ends = [ref.run(cell, x, [first[i]], bool(i))[0][-1][0] for i, cell in enumerate(cells)]
    close(both.predict([x, *first], verbose=0), np.concatenate(ends, 1))


class Cell(layers.Layer):
    """The simple recurrent cell."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1], self.units), "normal", name="w")
        self.u = self.add_weight((self.units, self.units), "orthogonal", name="u")

    def call(self, x, states):
        h = np.tanh(x @ self.w.numpy() + states[0] @ self.u.numpy())
        return h, [h]

    def backward(self, x, states, d_output, d_states):
        h = np.tanh(x @ self.w.numpy() + states[0] @ self.u.numpy())
        d = (d_output + d_states[0]) * (1 - h**2)
        return d @ self.w.numpy().T, [d @ self.u.numpy().T], [x.T @ d, states[0].T @ d]


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"go_backwards": True}], ids=str)
def test_a_cell_in_numpy_is_the_layer_in_the_core(options):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 5, FEATURES))
    found = []
    for layer in (RNN(Cell(4), **options), SimpleRNN(4, use_bias=False, **options)):
        model = fastnn.Sequential([Input((5, FEATURES)), layer, layers.Flatten(), Dense(1)], dtype="float64")
        if found:
            model.set_weights(found[0])
        else:
            found.append(model.get_weights())
        model.compile(fastnn.SGD(0.1), "mse", seed=0)
        model.fit(x, np.arange(30.0) / 30, epochs=3, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(found[1], found[2], strict=True):
        close(a, b)


def test_messages_of_wrappers():
    with pytest.raises(TypeError, match="layer: expected SimpleRNN, LSTM or GRU"):
        Bidirectional(Dense(3))
    with pytest.raises(ValueError, match="merge_mode: expected one of 'concat'"):
        Bidirectional(LSTM(3), "cat")
    with pytest.raises(ValueError, match="backward_layer of .*the other go_backwards"):
        Bidirectional(LSTM(3), backward_layer=LSTM(3))
    with pytest.raises(TypeError, match="cell: expected a layer with methods call and backward"):
        RNN(Dense(3))
    with pytest.raises(ValueError, match="a custom cell does not see them"):
        fastnn.Sequential([Masking(input_shape=(3, 2)), RNN(Cell(2))]).predict(np.zeros((1, 3, 2)), verbose=0)
