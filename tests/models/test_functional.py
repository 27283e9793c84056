"""Models of layers that were called on symbolic tensors: one input and output, and several.

References: float64 NumPy, written out; for bits, the same network as a Sequential model.
"""

import copy
import pickle

import numpy as np
import pytest
import reference

import fastnn
from fastnn import layers
from fastnn.layers import (
    Add,
    Average,
    Concatenate,
    Dense,
    Flatten,
    Input,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)

N, CLASSES = 50, 3
RNG = np.random.default_rng(21)
WIDE, DEEP = RNG.normal(size=(N, 5)), RNG.normal(size=(N, 6))
VALUES, LABELS = RNG.normal(size=(N, 2)), RNG.integers(0, CLASSES, N)
WEIGHTS = RNG.uniform(0.5, 2, (2, N))
X, Y = [WIDE, DEEP], [VALUES, LABELS]
FACTORS = {"value": 0.4, "kind": 1.7}


def two_and_two(dtype="float64"):
    """value(wide + tanh(d2(h))), kind(h), h = tanh(d1(deep))."""
    fastnn.set_random_seed(7)
    wide, deep = Input((5,), name="wide"), Input((6,), name="deep")
    h = Dense(9, "tanh", name="d1")(deep)
    value = Dense(2, name="value")(Concatenate(name="both")([wide, Dense(4, "tanh", name="d2")(h)]))
    kind = Dense(CLASSES, "softmax", name="kind")(h)
    return fastnn.Model([wide, deep], [value, kind], dtype=dtype)


def compiled(optimizer="sgd", dtype="float64", **more):
    model = two_and_two(dtype)
    losses = {"value": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile(optimizer, losses, loss_weights=FACTORS, seed=3, **more)
    return model


NAMES = ("d1/kernel", "d1/bias", "d2/kernel", "d2/bias", "value/kernel", "value/bias", "kind/kernel", "kind/bias")


def weights_of(model):
    by_name = {v.name: v.numpy().astype(float) for v in model.weights}
    return [by_name[name] for name in NAMES]


def numpy_step(w, wide, deep, values, labels, w1, w2):
    """(losses, results, gradients)"""
    n = len(wide)
    h = np.tanh(deep @ w[0] + w[1])
    t = np.tanh(h @ w[2] + w[3])
    both = np.hstack([wide, t])
    v, p = both @ w[4] + w[5], reference.softmax(h @ w[6] + w[7])
    losses = [np.mean(((v - values) ** 2).mean(1) * w1), np.mean(-np.log(p[np.arange(n), labels]) * w2)]
    dv = FACTORS["value"] * 2 * (v - values) * w1[:, None] / (2 * n)
    dp = FACTORS["kind"] * (p - np.eye(CLASSES)[labels]) * w2[:, None] / n
    dt = (dv @ w[4].T)[:, 5:] * (1 - t**2)
    dh = (dt @ w[2].T + dp @ w[6].T) * (1 - h**2)
    into = [(deep, dh), (h, dt), (both, dv), (h, dp)]
    return losses, [v, p], [g for a, d in into for g in (a.T @ d, d.sum(0))]


def numpy_training(w, optimizer, epochs, batch, weights):
    logs = []
    for _ in range(epochs):
        sums = np.zeros(2)
        for at in range(0, N, batch):
            rows = slice(at, at + batch)
            losses, _, gradients = numpy_step(w, WIDE[rows], DEEP[rows], VALUES[rows], LABELS[rows], *weights[:, rows])
            sums += np.multiply(losses, len(WIDE[rows]))
            optimizer.apply(w, gradients)
        sums /= N
        logs.append([FACTORS["value"] * sums[0] + FACTORS["kind"] * sums[1], *sums])
    return np.array(logs)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_agrees_with_numpy(name, weighted):
    model = compiled(getattr(fastnn, name)(0.05))
    w = weights_of(model)
    more = {"sample_weight": list(WEIGHTS)} if weighted else {}
    history = model.fit(X, Y, epochs=5, batch_size=16, shuffle=False, verbose=0, **more).history
    expected = numpy_training(w, getattr(reference, name)(0.05), 5, 16, WEIGHTS if weighted else np.ones((2, N)))
    assert list(history) == ["loss", "value_loss", "kind_loss"]
    np.testing.assert_allclose(np.transpose(list(history.values())), expected, rtol=1e-9)
    for found, right in zip(weights_of(model), w, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-10)
    losses, results, _ = numpy_step(w, WIDE, DEEP, VALUES, LABELS, *np.ones((2, N)))
    for found, right in zip(model.predict(X, verbose=0), results, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-10)
    whole = FACTORS["value"] * losses[0] + FACTORS["kind"] * losses[1]
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), [whole, *losses], rtol=1e-9)


def fitted(x, y, threads=None, **more):
    model = compiled("adam", "float32", metrics={"kind": ["accuracy"]})
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=0, threads=threads, **more).history
    return [a.tobytes() for a in model.get_weights()], history


def test_lists_dicts_and_batches_train_alike():
    one = fitted(X, Y, shuffle=False)
    assert list(one[1]) == ["loss", "value_loss", "kind_loss", "kind_accuracy"]
    by_name = {"deep": DEEP, "wide": WIDE}, {"kind": LABELS, "value": VALUES}
    assert fitted(*by_name, shuffle=False) == one
    assert fitted(tuple(X), tuple(Y), shuffle=False) == one

    class Batches:
        def __len__(self):
            return (N + 15) // 16

        def __getitem__(self, i):
            rows = slice(16 * i, 16 * i + 16)
            return [a[rows] for a in X], {"value": VALUES[rows], "kind": LABELS[rows]}

    model = compiled("adam", "float32", metrics={"kind": ["accuracy"]})
    history = model.fit(Batches(), epochs=3, shuffle=False, verbose=0).history
    assert [a.tobytes() for a in model.get_weights()] == one[0] and history == one[1]


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_same_bits_for_any_number_of_threads(threads):
    assert fitted(X, Y, threads) == fitted(X, Y, 1)


def test_validation_callbacks_and_weights_of_samples():
    model = compiled("adam", metrics=["mae", "accuracy"], weighted_metrics={"kind": "accuracy"})
    stopping = fastnn.callbacks.EarlyStopping(monitor="val_kind_loss", patience=50)
    history = model.fit(
        X, Y, epochs=4, validation_split=0.2, callbacks=[stopping], sample_weight={"kind": WEIGHTS[1]}, verbose=0
    ).history
    names = ["loss", "value_loss", "kind_loss", "value_mean_absolute_error", "kind_accuracy", "kind_weighted_accuracy"]
    names[3] = next(n for n in history if n.startswith("value_m"))
    assert list(history) == names + [f"val_{n}" for n in names] and model.metrics_names == names
    weights = {"kind": WEIGHTS[1][40:]}
    held = model.evaluate([a[40:] for a in X], [a[40:] for a in Y], sample_weight=weights, verbose=0)
    np.testing.assert_allclose([history[f"val_{n}"][-1] for n in names], held, rtol=1e-12)
    split = model.fit(X, Y, epochs=1, verbose=0, validation_data=([a[40:] for a in X], [a[40:] for a in Y])).history
    assert "val_value_loss" in split


def test_a_metric_by_ranks_and_a_loss_and_a_metric_in_numpy():
    def loss(y_true, y_pred):
        return np.mean((y_pred - y_true) ** 2, 1), 2 * (y_pred - y_true) / y_true.shape[1]

    def far(y_true, y_pred):
        return np.abs(y_true - y_pred).max(1)

    yes = (VALUES[:, :1] > 0) * 1.0
    x = Input((6,))
    h = Dense(5, "tanh")(x)
    model = fastnn.Model(x, {"p": Dense(1, "sigmoid")(h), "v": Dense(2)(h)}, dtype="float64")
    model.compile("sgd", ["binary_crossentropy", loss], metrics=[[fastnn.metrics.AUC(num_thresholds=None)], [far]])
    logs = model.evaluate(DEEP, [yes, VALUES], verbose=0, return_dict=True)
    p, v = model.predict(DEEP, verbose=0).values()
    order = (p[yes[:, 0] == 1] > p[yes[:, 0] == 0].T).mean()
    np.testing.assert_allclose(logs["p_auc"], order, rtol=1e-12)
    np.testing.assert_allclose(logs["v_far"], np.abs(v - VALUES).max(1).mean(), rtol=1e-12)
    np.testing.assert_allclose(logs["loss"], logs["p_loss"] + logs["v_loss"], rtol=1e-12)
    assert model.check_gradients(DEEP, [yes, VALUES]).passed


def test_layers_and_losses_in_numpy():
    class Twice(layers.Layer):
        def call(self, x, training):
            return 2 * x

        def backward(self, dy):
            self.grads = []
            return 2 * dy

    def loss(y_true, y_pred):
        return np.mean((y_pred - y_true) ** 2, 1), 2 * (y_pred - y_true) / y_true.shape[1]

    wide, deep = Input((5,)), Input((6,))
    h = Dense(4, "relu")(deep)
    model = fastnn.Model([wide, deep], [Dense(2)(Twice()(h)), Dense(2)(Concatenate()([wide, h]))], dtype="float64")
    model.compile(fastnn.AdamW(0.01, clipnorm=0.5), [loss, "mse"], loss_weights=[0.5, 2.0])
    targets = [VALUES, -VALUES]
    assert model.check_gradients(X, targets).passed
    by_hand, built_in = model.input_gradient(X, targets), copy.deepcopy(model)
    built_in.compile("sgd", "mse", loss_weights=[0.5, 2.0])
    for a, b in zip(by_hand, built_in.input_gradient(X, targets), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    history = model.fit(X, targets, epochs=3, verbose=0, health="every").history
    assert history["loss"][-1] < history["loss"][0] and np.isfinite(model.history.health.gradient_norm).all()


def test_the_whole_loss_has_the_penalties():
    """And two outputs that are the same tensor have the gradients of both losses."""
    x = Input((6,))
    y = Dense(2, "sigmoid", activity_regularizer=fastnn.regularizers.L2(0.3))(x)
    model = fastnn.Model(x, {"one": y, "two": y, "three": Flatten()(y)}, dtype="float64")
    model.compile("sgd", ["binary_crossentropy", "mse", "mae"], loss_weights=[1.0, 3.0, 0.0], weight_decay=0.2)
    targets = [(VALUES > 0) * 1.0, VALUES, VALUES]
    logs = model.evaluate(DEEP, targets, verbose=0, return_dict=True)
    p, w = model.predict(DEEP, verbose=0)["one"], model.get_weights()[0]
    penalties = 0.3 * np.sum(p**2) / N + 0.1 * np.sum(w**2)
    np.testing.assert_allclose(logs["loss"], logs["one_loss"] + 3 * logs["two_loss"] + penalties, rtol=1e-12)
    assert model.check_gradients(DEEP, targets).passed


def test_crossentropy_adapts_to_the_targets_of_each_output():
    model = two_and_two()
    model.compile("sgd", [None, "crossentropy"], metrics=[None, "accuracy"])
    model.get_layer("value").trainable = model.get_layer("d2").trainable = False
    history = model.fit(X, {"kind": LABELS}, verbose=0).history
    assert list(history) == ["loss", "kind_loss", "kind_accuracy"] and history["loss"] == history["kind_loss"]


def test_gradients_by_hand_by_inputs_and_as_a_flat_vector():
    model = compiled()
    assert model.check_gradients(X, Y).passed
    w = weights_of(model)
    ones = np.ones((2, N))
    losses, results, gradients = numpy_step(w, WIDE, DEEP, VALUES, LABELS, *ones)
    loss, flat = model.loss_and_grad(model.get_parameters(), X, Y)
    by_name = dict(zip(NAMES, gradients, strict=True))
    expected = np.concatenate([by_name[v.name].reshape(-1) for v in model.trainable_weights])
    np.testing.assert_allclose(loss, FACTORS["value"] * losses[0] + FACTORS["kind"] * losses[1], rtol=1e-12)
    np.testing.assert_allclose(flat, expected, rtol=1e-9, atol=1e-12)

    dx = model.input_gradient(X, Y)
    step = np.zeros_like(WIDE)
    step[3, 2] = 1e-6
    up, down = (model.evaluate([WIDE + s * step, DEEP], Y, verbose=0)[0] for s in (1, -1))
    assert [a.shape for a in dx] == [WIDE.shape, DEEP.shape]
    np.testing.assert_allclose(dx[0][3, 2], (up - down) / 2e-6, rtol=1e-5)

    v, p = model.forward(X, training=True)
    np.testing.assert_allclose(v, results[0], rtol=1e-10, atol=1e-12)
    dv = FACTORS["value"] * 2 * (v - VALUES) / (2 * N)
    dp = -FACTORS["kind"] * np.eye(CLASSES)[LABELS] / p / N
    by_hand = model.backward([dv, dp])
    for found, right in zip(by_hand, dx, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)
    for found, variable in zip(model.gradients(), model.trainable_weights, strict=True):
        np.testing.assert_allclose(found, by_name[variable.name], rtol=1e-9, atol=1e-12)
    before = weights_of(model)
    model.apply_gradients()
    assert not np.array_equal(before[0], weights_of(model)[0])


def test_single_batches_are_those_of_fit_and_evaluate():
    one, other = compiled("adam"), compiled("adam")
    logs = one.test_on_batch(X, Y, return_dict=True)
    assert list(logs) == ["loss", "value_loss", "kind_loss"]
    np.testing.assert_allclose(list(logs.values()), one.evaluate(X, Y, verbose=0), rtol=1e-13)
    assert one.train_on_batch(X, Y) == list(logs.values())
    other.fit(X, Y, batch_size=N, shuffle=False, verbose=0)
    assert [a.tobytes() for a in one.get_weights()] == [a.tobytes() for a in other.get_weights()]
    for a, b in zip(one.predict_on_batch(X), one.predict(X, batch_size=7, verbose=0), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    batches = ([a[i : i + 20] for a in X] for i in range(0, N, 20))
    for a, b in zip(one.predict(((x,) for x in batches), verbose=0), one.predict(X, verbose=0), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_it_is_saved_copied_and_resumed_bit_for_bit(tmp_path):
    model = compiled("adam", "float32", metrics={"kind": "accuracy"})
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.fastnn")
    twins = [fastnn.models.load_model(tmp_path / "m.fastnn"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    model.fit(X, Y, epochs=2, verbose=0)
    expected = [a.tobytes() for a in model.get_weights()]
    for twin in twins:
        history = twin.fit(X, Y, epochs=2, verbose=0).history
        assert [a.tobytes() for a in twin.get_weights()] == expected
        assert list(history) == ["loss", "value_loss", "kind_loss", "kind_accuracy"]
        assert twin.input_names == ["wide", "deep"] and twin.output_names == ["value", "kind"]
    model.save_weights(tmp_path / "w.fastnn")
    fresh = fastnn.models.clone_model(model)
    assert not fresh.compiled and fresh.get_weights()[0].tobytes() != expected[0]
    fresh.load_weights(tmp_path / "w.fastnn")
    assert [a.tobytes() for a in fresh.get_weights()] == expected


@pytest.mark.parametrize("callback", [[], [fastnn.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None)]])
@pytest.mark.parametrize("planted", ["wide", "deep", "value", "rate"])
def test_the_first_non_finite_value_is_named(planted, callback):
    model = compiled(fastnn.SGD(1e30 if planted == "rate" else 0.01), "float32")
    x, y = [WIDE.copy(), DEEP.copy()], [VALUES.copy(), LABELS]
    if planted != "rate":
        {"wide": x[0], "deep": x[1], "value": y[0]}[planted][37, 1] = np.nan
    with pytest.raises(fastnn.NonFiniteError) as found:
        model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0, check_finite=False, callbacks=callback)
    error = found.value
    if planted == "rate":
        assert (error.epoch, error.tensor is not None, error.learning_rate) == (0, True, 1e30)
    else:
        expected = {"wide": "input", "deep": "input", "value": "target"}[planted]
        assert (error.tensor, error.rows.tolist(), error.epoch, error.batch) == (expected, [37], 0, 2)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_step_that_fails_is_left_out_and_a_record_is_replayed():
    targets = [VALUES.copy(), LABELS]
    targets[0][20] = np.inf
    arguments = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0, "check_finite": False}
    model = compiled(fastnn.SGD(0.01))
    history = model.fit(X, targets, on_nan="restore", **arguments)
    rows = np.r_[0:16, 32:N]
    other = compiled(fastnn.SGD(0.01))
    for _ in range(2):
        for part in (rows[:16], rows[16:32], rows[32:]):
            other.train_on_batch([a[part] for a in X], [VALUES[part], LABELS[part]])
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    assert np.isfinite(history.history["loss"]).all()
    first, again = compiled("adam"), compiled("adam")
    record = first.fit(X, Y, epochs=3, batch_size=16, verbose=0, max_seconds=100.0).record
    again.fit(X, Y, epochs=3, batch_size=16, verbose=0, replay=record)
    assert [a.tobytes() for a in first.get_weights()] == [a.tobytes() for a in again.get_weights()]


def test_health_is_noted_of_every_layer():
    model = compiled("adam")
    plain = compiled("adam")
    model.fit(X, Y, epochs=2, verbose=0, health="every")
    plain.fit(X, Y, epochs=2, verbose=0, health=False)
    health = model.history.health
    assert {"d1", "d2", "value", "kind"} <= set(health.layers)
    at = [health.layers.index(name) for name in ("d1", "d2", "value", "kind")]
    assert np.isfinite(health.gradient_norm[at]).all() and (health.activation_std[at] > 0).all()
    assert [a.tobytes() for a in model.get_weights()] == [a.tobytes() for a in plain.get_weights()]


# --- one input and one output ---


def stacks():
    """The same network twice."""
    def parts():
        fastnn.set_random_seed(4)
        return [Dense(8, "relu"), layers.Dropout(0.3), layers.BatchNormalization(), Dense(CLASSES, "softmax")]

    sequential = fastnn.Sequential([Input((6,)), *parts()])
    x = y = Input((6,))
    for layer in parts():
        y = layer(y)
    functional = fastnn.Model(x, y)
    functional.set_weights(sequential.get_weights())
    return sequential, functional


def test_a_stack_has_the_bits_of_a_sequential_model():
    found = []
    for model in stacks():
        model.compile("adam", "crossentropy", metrics=["accuracy"], seed=5)
        history = model.fit(DEEP, LABELS, epochs=3, verbose=0).history
        weights = [a.tobytes() for a in model.get_weights()]
        results = model.predict(DEEP, verbose=0).tobytes(), model.evaluate(DEEP, LABELS, verbose=0)
        found.append((history, weights, *results))
        assert model.predict(DEEP[:1], verbose=0).tobytes() == model.predict(DEEP[:1], verbose=0).tobytes()
        assert model.recalibrate(DEEP) == 1
    assert found[0] == found[1]


def test_a_layer_that_is_called_twice_shares_its_weights():
    shared, x = Dense(6, "tanh"), Input((6,))
    model = fastnn.Model(x, shared(shared(x)), dtype="float64")
    model.compile(fastnn.SGD(0.1), "mse")
    w, b = model.get_weights()
    t = np.tanh(DEEP @ w + b)
    y, target = np.tanh(t @ w + b), RNG.normal(size=(N, 6))
    np.testing.assert_allclose(model.predict(DEEP, verbose=0), y, rtol=0, atol=1e-13)
    d2 = 2 * (y - target) / y.size * (1 - y**2)
    d1 = d2 @ w.T * (1 - t**2)
    model.train_on_batch(DEEP, target)
    np.testing.assert_allclose(model.get_weights()[0], w - 0.1 * (DEEP.T @ d1 + t.T @ d2), rtol=0, atol=1e-12)
    assert model.layers.count(shared) == 1 and model.count_params() == 42


MERGES = [
    (Add(), lambda a, b, c: a + b + c, 3),
    (Subtract(), lambda a, b: a - b, 2),
    (Average(), lambda a, b, c: (a + b + c) / 3, 3),
    (Multiply(), lambda a, b, c: a * b * c, 3),
    (Maximum(), lambda a, b, c: np.maximum(np.maximum(a, b), c), 3),
    (Minimum(), lambda a, b, c: np.minimum(np.minimum(a, b), c), 3),
    (Concatenate(), lambda a, b, c: np.concatenate([a, b, c], -1), 3),
    (Concatenate(axis=1), lambda a, b: np.concatenate([a, b], 1), 2),
]


@pytest.mark.parametrize(("merge", "expected", "n"), MERGES)
@pytest.mark.parametrize("shape", [(19,), (3, 4)])
@pytest.mark.parametrize("batch", [5, 40])
def test_merging_layers_agree_with_numpy(merge, expected, n, shape, batch):
    merge = layers.from_description(merge.describe())
    inputs = [Input(shape) for _ in range(n)]
    model = fastnn.Model(inputs, merge(inputs), dtype="float64")
    x = [RNG.normal(size=(batch, *shape)) for _ in range(n)]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected(*x), rtol=0, atol=1e-13)
    assert model.output_shape == (None, *expected(*x).shape[1:])


@pytest.mark.parametrize(("merge", "expected", "n"), MERGES)
@pytest.mark.parametrize("shape", [(19,), (3, 4)])
def test_gradients_of_merging_layers(merge, expected, n, shape):
    """Branches of one tensor, which the result is merged with once more: each has several contributions."""
    merge = layers.from_description(merge.describe())
    x = Input(shape)
    h = Dense(shape[-1], "tanh")(x)
    branches = [h, Dense(shape[-1])(h), Dense(shape[-1], "sigmoid")(x)][:n]
    y = Dense(2)(Flatten()(merge(branches)))
    model = fastnn.Model(x, y, dtype="float64")
    model.compile("sgd", "mse", seed=1)
    data, target = RNG.normal(size=(21, *shape)), RNG.normal(size=(21, 2))
    assert model.check_gradients(data, target).passed
    digests = set()
    for threads in (1, 2, 3, 8):
        twin = fastnn.models.clone_model(model)
        twin.set_weights(model.get_weights())
        twin.compile(fastnn.Adam(0.1), "mse", seed=1, threads=threads)
        twin.fit(data, target, epochs=3, batch_size=8, verbose=0)
        digests.add(b"".join(a.tobytes() for a in twin.get_weights()))
    assert len(digests) == 1


@pytest.mark.parametrize("cls, chosen", [(Maximum, np.maximum), (Minimum, np.minimum)])
def test_the_larger_and_the_smaller_propagate_nan_and_share_gradients_of_equals(cls, chosen):
    special = [0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
    a, b = (np.array(side, float) for side in zip(*((p, q) for p in special for q in special), strict=True))
    model = fastnn.Model(inputs := [Input((36,)), Input((36,))], cls()(inputs), dtype="float64")
    np.testing.assert_array_equal(model.predict([a[None], b[None]], verbose=0)[0], chosen(a, b))
    finite = np.isfinite(a) & np.isfinite(b)
    a, b, dy = np.where(finite, a, 0), np.where(finite, b, 0), np.arange(36.0)
    into = model.input_gradient([a[None], b[None]], dy=dy[None])
    larger = np.where(a == b, 0.5, a > b)
    expected = larger if cls is Maximum else 1 - larger
    np.testing.assert_array_equal([into[0][0], into[1][0]], [expected * dy, (1 - expected) * dy])


def test_a_tensor_times_itself():
    x = Input((6,))
    h = Dense(4)(x)
    model = fastnn.Model(x, Multiply()([h, h]), dtype="float64")
    model.compile("sgd", "mse")
    w, b = model.get_weights()
    np.testing.assert_allclose(model.predict(DEEP, verbose=0), (DEEP @ w + b) ** 2, rtol=0, atol=1e-12)
    assert model.check_gradients(DEEP, RNG.normal(size=(N, 4))).passed


@pytest.mark.parametrize("of", [lambda: layers.Activation("sigmoid"), lambda: layers.BatchNormalization(center=False)])
def test_a_result_that_the_next_layer_reads_is_an_output_too(of):
    """So neither the activation nor the normalisation becomes part of the dense layer."""
    x = Input((6,))
    z = Dense(4)(x)
    model = fastnn.Model(x, [z, of()(z)], dtype="float64")
    rng = np.random.default_rng(2)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    w, b, *others = model.get_weights()
    right = DEEP @ w + b
    after = (right - others[1]) / np.sqrt(others[2] + 1e-3) * others[0] if others else 1 / (1 + np.exp(-right))
    for found, expected in zip(model.predict(DEEP, verbose=0), (right, after), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    model.compile("sgd", "mse", loss_weights=[0.3, 2.0], seed=1)
    targets = [RNG.normal(size=(N, 4)), RNG.normal(size=(N, 4))]
    assert model.check_gradients(DEEP, targets).passed


def test_models_are_layers_of_models(tmp_path):
    inner = two_and_two()
    stack = fastnn.Sequential([Dense(6, "tanh", input_shape=(4,))], dtype="float64")
    x = Input((4,), name="x")
    wide = Dense(5, name="start")(x)
    value, kind = inner([wide, stack(x)])
    model = fastnn.Model(x, Add()([Dense(2, name="last")(kind), value]), dtype="float64")
    model.compile("sgd", "mse")
    data, target = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 2))
    assert model.check_gradients(data, target).passed
    first = dict(zip([v.name for v in model.weights], model.get_weights(), strict=True))
    start = data @ first["start/kernel"] + first["start/bias"]
    v, k = inner.predict([start, stack.predict(data, verbose=0)], verbose=0)
    expected = k @ first["last/kernel"] + first["last/bias"] + v
    np.testing.assert_allclose(model.predict(data, verbose=0), expected, rtol=0, atol=1e-12)
    model.fit(data, target, verbose=0)
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert again.predict(data, verbose=0).tobytes() == model.predict(data, verbose=0).tobytes()
    assert fastnn.models.clone_model(model).count_params() == model.count_params()


def test_weights_are_in_the_order_of_keras():
    """By distance from the outputs, then as a search from there finds them: the rule of Keras 3, worked out by hand."""
    a, b = Input((2,)), Input((3,))
    long = Dense(7, name="long2")(Dense(6, name="long1")(a))
    short = Dense(7, name="short")(b)
    model = fastnn.Model([a, b], Dense(1, name="end")(Add()([short, long])))
    assert [v.name for v in model.weights[::2]] == ["long1/kernel", "short/kernel", "long2/kernel", "end/kernel"]


def test_the_summary_shows_what_is_connected():
    lines = []
    two_and_two().summary(print_fn=lines.append)
    assert "Connected to" in lines[2]
    row = next(line for line in lines if line.startswith("both"))
    assert row.split() == ["both", "(Concatenate)", "(None,", "9)", "0", "wide,", "d2"]


def test_the_outputs_of_layers_are_shown():
    model = compiled()
    found = dict(model._outputs_of_layers(X))
    w = weights_of(model)
    h = np.tanh(DEEP @ w[0] + w[1])
    np.testing.assert_allclose(found["d1"], h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["d2"], np.tanh(h @ w[2] + w[3]), rtol=0, atol=1e-13)
    assert set(found) == {"d1", "d2", "value", "kind"}
    pytest.importorskip("matplotlib")
    fastnn.plot.activations(model, X)


def test_a_deep_model_is_copied_and_saved(tmp_path):
    x = y = Input((3,))
    for _ in range(300):
        y = layers.Activation("tanh")(y)
    model = fastnn.Model(x, Dense(2)(y))
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn")
    for twin in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.predict(DEEP[:, :3], verbose=0).tobytes() == model.predict(DEEP[:, :3], verbose=0).tobytes()


def test_models_of_a_sweep_are_those_of_fit():
    def build(units, seed):
        model = two_and_two()
        model.compile(fastnn.SGD(0.1), ["mse", "sparse_categorical_crossentropy"], loss_weights=[0.4, 1.7])
        return model

    names = {"wide": WIDE, "deep": DEEP}
    grid = [{"units": 3, "seed": 5}, {"units": 3, "seed": 6}]
    for x, y, weights in ((X, Y, list(WEIGHTS)), (names, {"value": VALUES, "kind": LABELS}, WEIGHTS[0])):
        result = fastnn.sweep(build, grid, x, y, epochs=2, sample_weight=weights, validation_split=0.2, keep="all",
                              verbose=0, validation_data=None)  # fmt: skip
        for k, row in enumerate(grid):
            fastnn.set_random_seed(row["seed"])
            model = build(**row)
            history = model.fit(x, y, epochs=2, sample_weight=weights, validation_split=0.2, verbose=0).history
            assert result[k]["val_kind_loss"] == history["val_kind_loss"][-1]
            for one, other in zip(result.models[k].get_weights(), model.get_weights(), strict=True):
                assert one.tobytes() == other.tobytes()
    held = fastnn.sweep(build, grid[:1], X, Y, validation_data=(names, Y), epochs=1, verbose=0)
    assert held[0]["val_value_loss"] > 0
    with pytest.raises(ValueError, match=r"y\[0\]: .*nan"):
        fastnn.sweep(build, grid, X, [np.full(N, np.nan), LABELS], epochs=1, verbose=0)


def test_a_model_may_begin_with_an_inner_tensor(tmp_path):
    model = two_and_two()
    h = model.get_layer("d1").output
    kind = model.get_layer("kind").output
    rest = fastnn.Model(h, kind)
    hidden = fastnn.Model(model.get_layer("d1").input, h)
    both = fastnn.Model([h, model.inputs[0]], [h, model.outputs[0]])
    values, kinds = model.predict(X, verbose=0)
    inner = hidden.predict(DEEP, verbose=0)
    np.testing.assert_allclose(rest.predict(inner, verbose=0), kinds, rtol=0, atol=1e-14)
    again = both.predict([inner, WIDE], verbose=0)
    np.testing.assert_array_equal(again[0], inner)
    np.testing.assert_allclose(again[1], values, rtol=0, atol=1e-14)
    assert rest.get_layer("kind") is model.get_layer("kind") and rest.input_shape == (None, 9)
    rest.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn")
    for twin in (loaded, copy.deepcopy(rest), fastnn.Model(rest.input, rest.output)):
        np.testing.assert_allclose(twin.predict(inner, verbose=0), kinds, rtol=0, atol=1e-14)
    assert rest.output.call.inputs[0] == rest.input != kind.call.inputs[0]  # not the tensor of the first model


@pytest.mark.parametrize("outputs", [2, 1])
def test_outputs_given_as_a_dict_give_dicts(outputs, tmp_path):
    model = two_and_two()
    given = dict(zip(["first", "second"][:outputs], model.outputs[:outputs], strict=True))
    named = fastnn.Model(model.inputs, given)
    expected = model.predict(X, verbose=0)
    named.save(tmp_path / "m.fastnn")
    for twin in (named, fastnn.models.load_model(tmp_path / "m.fastnn"), copy.deepcopy(named)):
        for found in (twin.predict(X, verbose=0), twin.predict_on_batch(X), twin.predict(iter([(X,)]), verbose=0)):
            assert list(found) == list(given)
            np.testing.assert_array_equal(found["first"], expected[0])
    losses = {"first": "mse", "second": "sparse_categorical_crossentropy"}
    targets = {"first": VALUES, "second": LABELS}
    named.compile("sgd", {name: losses[name] for name in given}, metrics={"first": ["mae"]})
    history = named.fit(X, {name: targets[name] for name in given}, epochs=1, verbose=0).history
    several = ["first_loss", "second_loss", "first_mae"]
    assert list(history)[1:] == (several if outputs == 2 else ["mae"])


def test_statistics_of_several_inputs_are_recalibrated():
    a, b = Input((5,)), Input((6,))
    one, two, three = (layers.BatchNormalization(name=name) for name in ("one", "two", "three"))
    h = one(Dense(4, "tanh", name="d")(a))
    y = Dense(2)(three(Concatenate()([h, two(b)])))
    model = fastnn.Model([a, b], y, dtype="float64")
    for given in (X, dict(zip(model.input_names, X, strict=True))):
        assert model.recalibrate(given) == 3
    w, bias = model.get_layer("d").get_weights()
    h = np.tanh(WIDE @ w + bias)
    for layer, values in ((one, h), (two, DEEP)):
        np.testing.assert_allclose(layer.moving_mean.numpy(), values.mean(0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(layer.moving_variance.numpy(), values.var(0), rtol=1e-12)
    both = np.hstack([(v - v.mean(0)) / np.sqrt(v.var(0) + 1e-3) for v in (h, DEEP)])
    np.testing.assert_allclose(three.moving_variance.numpy(), both.var(0), rtol=1e-12)
    np.testing.assert_allclose(three.moving_mean.numpy(), 0, atol=1e-14)


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("penalty", [None, "l2"])
def test_the_loss_of_the_only_output_may_have_a_factor(inputs, penalty):
    x = [Input((6,), name="deep"), Input((5,))][:inputs]
    h = Concatenate()(x) if inputs > 1 else x[0]
    y = Dense(2, name="out", kernel_regularizer="l2", activity_regularizer=penalty)(h)
    model = fastnn.Model(x, y, dtype="float64")
    model.compile("sgd", "mse", loss_weights=[0.25], metrics=["mae"])
    data = [DEEP, WIDE][:inputs]
    p, w = model.predict(data, verbose=0), model.get_weights()[0]
    expected = 0.25 * np.mean((p - VALUES) ** 2) + 0.01 * np.sum(w**2) + (penalty == "l2") * 0.01 * np.sum(p**2) / N
    found = model.evaluate(data, VALUES, verbose=0)
    np.testing.assert_allclose(found, [expected, np.abs(p - VALUES).mean()], rtol=1e-12)
    assert model.metrics_names == ["loss", "mae"]
    assert model.check_gradients(data, VALUES).passed
    assert list(model.fit(data, VALUES, epochs=2, verbose=0, validation_split=0.2).history) == [
        "loss", "mae", "val_loss", "val_mae",
    ]  # fmt: skip
    model.compile("sgd", "mse", loss_weights={"out": 1.0})
    assert list(model.fit(data, VALUES, verbose=0).history) == ["loss"]


def test_one_input_and_output_by_name_or_in_lists():
    x = Input((6,), name="deep")
    model = fastnn.Model(x, Dense(CLASSES, "softmax", name="kind")(x), dtype="float64")
    model.compile("sgd", {"kind": "sparse_categorical_crossentropy"}, metrics={"kind": "accuracy"}, seed=1)
    given, digests = model.get_weights(), set()
    plain = DEEP, LABELS, WEIGHTS[0]
    named = {"deep": DEEP}, {"kind": LABELS}, {"kind": WEIGHTS[0]}
    for data, targets, weights in (plain, named, tuple([a] for a in plain)):
        model.set_weights(given)
        model.compile("sgd", ["sparse_categorical_crossentropy"], metrics=["accuracy"], seed=1)
        model.fit(data, targets, sample_weight=weights, validation_data=(data, targets), verbose=0)
        model.fit(iter([(data, targets, weights)]), verbose=0)
        model.train_on_batch(data, targets)
        found = [model.predict(data, verbose=0), model.predict_on_batch(data)]
        found.append(np.array(model.evaluate(data, targets, verbose=0)))
        digests.add(b"".join(a.tobytes() for a in (*model.get_weights(), *found)))
    assert len(digests) == 1
    with pytest.raises(ValueError, match="y: expected names among kind, got 'kid'. Did you mean 'kind'"):
        model.fit(DEEP, {"kid": LABELS})
    with pytest.raises(ValueError, match="loss: expected names among kind, got 'kid'"):
        model.compile("sgd", {"kid": "mse"})


def test_layers_without_weights_and_embeddings_are_used_for_several_shapes():
    flat, act, dense = Flatten(), layers.Activation("relu"), Dense(3)
    a, b = Input((4, 5)), Input((5,))
    model = fastnn.Model([a, b], [Concatenate()([flat(a), act(b)]), act(dense(a)), dense(b)], dtype="float64")
    x = [RNG.normal(size=(N, 4, 5)), WIDE]
    w, bias = model.get_weights()
    joined, wide, narrow = model.predict(x, verbose=0)
    np.testing.assert_array_equal(joined, np.hstack([x[0].reshape(N, 20), np.maximum(WIDE, 0)]))
    np.testing.assert_allclose(wide, np.maximum(x[0] @ w + bias, 0), rtol=0, atol=1e-13)
    np.testing.assert_allclose(narrow, WIDE @ w + bias, rtol=0, atol=1e-13)
    model.compile("sgd", "mse")
    assert model.check_gradients(x, [RNG.normal(size=y.shape) for y in (joined, wide, narrow)]).passed


def test_models_take_and_give_dicts_of_symbolic_tensors():
    x = Input((6,), name="x")
    inner = fastnn.Model({"q": x}, {"one": Dense(2)(x), "two": Dense(3)(x)}, dtype="float64")
    y = Input((6,))
    found = inner({"q": y})
    assert list(found) == ["one", "two"]
    model = fastnn.Model(y, Concatenate()([found["one"], found["two"]]))
    parts = list(inner.predict(DEEP, verbose=0).values())
    np.testing.assert_array_equal(model.predict(DEEP, verbose=0), np.hstack(parts))
    twin = fastnn.Model.from_config(model.get_config())
    assert twin.output_shape == (None, 5) and type(twin) is type(model)
    with pytest.raises(ValueError, match="inputs: expected names among q, got 'z'"):
        inner({"z": y})


# --- errors ---

A, B = Input((2,), name="first"), Input((2,), name="second")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fastnn.Model(A, Add()([A, B])), ValueError, "inputs that the outputs need, got none for 'second'"),
        (lambda: fastnn.Model([A, B], Dense(1)(A)), ValueError, "got 'second', which no output depends on"),
        (lambda: fastnn.Model([A, A], Add()([A, A])), ValueError, r"distinct inputs, got \['first', 'first'\]"),
        (lambda: fastnn.Model(A, np.ones(2)), TypeError, "outputs: expected a symbolic tensor.*got ndarray"),
        (lambda: fastnn.Model(A, []), ValueError, "outputs: expected at least one symbolic tensor"),
        (lambda: fastnn.Model(Dense(1)(A), Dense(1)(A)), ValueError, "that the outputs need, got none for 'first'"),
        (lambda: fastnn.Model(A, Dense(1, name="a")(Dense(2, name="a")(A))), ValueError, "two layers called 'a'"),
        (lambda: Dense(1)([A, B]), ValueError, "expected one input, got 2"),
        (lambda: Dense(1)(np.ones((2, 2))), TypeError, "expected a symbolic tensor.*make a model of the layer"),
        (lambda: Add()(A), ValueError, "at least 2 inputs, got 1"),
        (lambda: Add()([A, Input((3,))]), ValueError, r"equal shape, .* got \(2,\), \(3,\)"),
        (lambda: Subtract()([A, B, A]), ValueError, "list of 2 inputs, got 3"),
        (lambda: Concatenate(axis=3)([A, B]), ValueError, "expected an axis 1 to 1"),
        (lambda: Concatenate(axis=1)([Input((2, 3)), Input((2, 4))]), ValueError, "differ only in axis 1"),
        (lambda: fastnn.Sequential([Input((2,)), Add()]), ValueError, "expected a list of inputs"),
        (lambda: compiled(metrics={"vlaue": "mae"}), ValueError, "metrics: .*'vlaue'. Did you mean 'value'"),
        (lambda: compiled(metrics=["mae"] * 3), ValueError, "metrics: expected a list of 2, one for each output"),
        (lambda: two_and_two().compile("sgd", "mse", loss_weights=2.0), TypeError, "loss_weights: expected a list"),
        (lambda: compiled().predict(WIDE), ValueError, "x: expected a list of 2 arrays .wide, deep.*got ndarray"),
        (lambda: compiled().predict([WIDE]), ValueError, "x: expected a list of 2 arrays"),
        (lambda: compiled().predict({"wide": WIDE}), ValueError, "x: expected an array for 'deep'"),
        (lambda: compiled().predict({"wdie": WIDE}), ValueError, "'wdie'. Did you mean 'wide'"),
        (lambda: compiled().predict([WIDE, DEEP[:9]]), ValueError, r"x\['deep'\]: expected 50 rows"),
        (lambda: compiled().predict([DEEP, WIDE]), ValueError, r"x\['wide'\]: expected shape \(n, 5\), got \(50, 6\)"),
        (lambda: compiled().fit(X, [VALUES, LABELS[:7]]), ValueError, r"y\['kind'\]: expected 50 rows"),
        (lambda: compiled().fit(X, [VALUES, LABELS + 5]), ValueError, r"y\['kind'\]: expected classes 0 to 2"),
        (lambda: compiled().fit(X, Y, class_weight={0: 2.0}), ValueError, "expected None.*several outputs"),
    ],
)  # fmt: skip
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()
