"""Models: building, sharing, freezing, weights, single steps."""

import numpy as np
import pytest
import reference
from model_tools import LABELS, RNG, X, small

import fastnn
from fastnn.layers import BatchNormalization, Dense, Dropout, Flatten
from fastnn.models import Sequential, clone_model

# --- building -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [
    lambda: Sequential([Dense(2, input_shape=(3,))]),
    lambda: Sequential([Dense(2, input_dim=3)]),
    lambda: Sequential([Dense(2, batch_input_shape=(None, 3))]),
    lambda: Sequential([fastnn.Input((3,)), Dense(2)]),
    lambda: Sequential([fastnn.Input(batch_shape=(None, 3)), Dense(2)]),
    lambda: Sequential([fastnn.layers.InputLayer(3), Dense(2)]),
])  # fmt: skip
def test_ways_to_say_the_input_shape(make):
    model = make()
    assert model.built and model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert len(model.layers) == 1 and model.count_params() == 8


def test_built_by_build_and_by_data():
    model = Sequential()
    model.add(Dense(2))
    model.add(Dense(1))
    assert not model.built and model.weights == []
    model.build((None, 3))
    assert [w.shape for w in model.get_weights()] == [(3, 2), (2,), (2, 1), (1,)]
    late = Sequential([Flatten(), Dense(2)])
    late.compile("sgd", "mse")
    late.fit(np.ones((4, 2, 3)), np.ones((4, 2)), verbose=0)
    assert late.input_shape == (None, 2, 3) and late.layers[1].kernel.shape == (6, 2)
    assert Sequential([Dense(2)]).predict(np.ones((4, 5)), verbose=0).shape == (4, 2)


def test_weights_order_is_that_of_keras():
    model = Sequential([BatchNormalization(input_shape=(3,)), Dense(2), Dense(1, use_bias=False)])
    names = [v.name.split("/")[1] for v in model.weights]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance", "kernel", "bias", "kernel"]
    model.layers[0].trainable = False  # the order stays
    assert [v.name.split("/")[1] for v in model.weights] == names


def test_set_weights_is_all_or_nothing():
    model = small()
    old = model.get_weights()
    bad = [w + 1 for w in old[:-1]] + [np.zeros(5)]
    with pytest.raises(ValueError, match=r"weights\[7\].*expected shape \(4,\).*got \(5,\)"):
        model.set_weights(bad)
    with pytest.raises(ValueError, match="expected 8 arrays, got 7"):
        model.set_weights(old[:-1])
    for wrong in (np.full((4,), "a"), np.full((4,), None), np.ones(4) + 1j):
        with pytest.raises(TypeError, match=r"weights\[7\].*expected numbers, got (an array of dtype|None)"):
            model.set_weights([w + 1 for w in old[:-1]] + [wrong])
    for a, b in zip(old, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.set_weights([w + 1 for w in old])
    np.testing.assert_array_equal(model.get_weights()[0], old[0] + 1)


def test_sharing_layers_shares_weights():
    a = small()
    a.fit(X, LABELS, verbose=0)
    b = Sequential(a.layers[:-1])
    b.add(Dense(1, "sigmoid"))
    assert b.built and b.layers[0] is a.layers[0] and b.input_shape == a.input_shape
    before = a.predict(X, verbose=0)
    b.compile("sgd", "binary_crossentropy")
    b.fit(X, LABELS > 1, verbose=0)
    np.testing.assert_array_equal(a.layers[0].kernel.numpy(), b.get_weights()[0])
    assert (a.predict(X, verbose=0) != before).any()
    a.fit(X, LABELS, verbose=0)  # and back: both keep training one set of weights
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])


def test_models_nest():
    late = Sequential([Sequential([Dense(5)]), Dense(2)])
    late.build((None, 3))
    assert late.count_params() == 32 and late.layers[0].input_shape == (None, 3)
    inner = Sequential([Dense(5, "tanh", input_shape=(6,)), Dropout(0.1)], dtype="float64")
    outer = Sequential([inner, Dense(4)], dtype="float64")
    flat = Sequential([*inner.layers, outer.layers[1]], dtype="float64")
    np.testing.assert_array_equal(outer.predict(X, verbose=0), flat.predict(X, verbose=0))
    assert outer.count_params() == flat.count_params() == 6 * 5 + 5 + 5 * 4 + 4
    inner.trainable = False
    assert len(outer.trainable_weights) == 2 and clone_model(outer).count_params() == 59


def test_pop_and_get_layer():
    model = small()
    top = model.pop()
    assert isinstance(top, Dense) and model.output_shape == (None, 8)
    assert model.predict(X, verbose=0).shape == (48, 8)
    name = model.layers[1].name
    assert model.get_layer(name) is model.layers[1] is model.get_layer(index=-1)
    with pytest.raises(ValueError, match=f"expected the name of a layer, got '{name}x'. Did you mean '{name}'"):
        model.get_layer(name + "x")
    labels = RNG.integers(0, 2, 48)
    model.compile("sgd", "mse", metrics=["accuracy"])
    model.fit(X, X[:, [0] * 8], verbose=0)
    model.add(Dense(1, "sigmoid"))  # another kind of accuracy fits now
    model.fit(X, labels, verbose=0)
    found = model.evaluate(X, labels, verbose=0)[1]
    assert found == np.mean((model.predict(X, verbose=0)[:, 0] > 0.5) == labels)
    while model.layers:
        model.pop()
    with pytest.raises(ValueError, match="expected a model with layers"):
        model.pop()


# --- training -----------------------------------------------------------------------------------


def test_trained_like_the_reference():
    """Adam, clipping, a frozen layer, weights: 3 epochs in float64 as an independent NumPy network has them."""
    model = small(optimizer=fastnn.Adam(0.01, global_clipnorm=0.3))
    w = RNG.uniform(0.5, 2.0, 48)
    net = reference.Net(
        [("dense", {"activation": "elu"}), ("batch_norm", {}), ("dense", {"activation": "softmax"})],
        model.get_weights(), "sparse_categorical_crossentropy", reference.Adam(0.01, global_clipnorm=0.3),
    )  # fmt: skip
    batches = [(X[i : i + 10], LABELS[i : i + 10], w[i : i + 10]) for i in range(0, 48, 10)]
    values = net.train(batches)
    history = model.fit(X, LABELS, 10, sample_weight=w, shuffle=False, verbose=0)
    sizes = [len(b[0]) for b in batches]
    assert history.history["loss"][0] == pytest.approx(np.average(values, weights=sizes), rel=1e-12)
    net.train(batches * 2)
    model.fit(X, LABELS, 10, 2, sample_weight=w, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_freezing_works_without_a_new_compile_and_keeps_the_optimizer():
    model = small()
    model.fit(X, LABELS, 16, verbose=0)
    state = model.engine().get_state()["slots"]
    frozen = model.layers[0]
    frozen.trainable = False
    before = model.get_weights()
    model.fit(X, LABELS, 16, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[6] != after[6]).any() and model.optimizer.iterations == 6
    np.testing.assert_array_equal(
        model.engine().get_state()["slots"][frozen.kernel], state[frozen.kernel]
    )
    frozen.trainable = True
    model.fit(X, LABELS, 16, verbose=0)
    assert (model.get_weights()[0] != after[0]).any()
    model.trainable = False
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == 8


def test_a_new_optimizer_starts_anew_and_the_same_goes_on():
    model, optimizer = small(), fastnn.Adam()
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(X, LABELS, 16, verbose=0)
    first = model.layers[0].kernel
    moment = model.engine().get_state()["slots"][first][0]
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    np.testing.assert_array_equal(model.engine().get_state()["slots"][first][0], moment)
    assert model.engine().step == 3 and moment.any()
    model.compile(fastnn.Adam(), "sparse_categorical_crossentropy")
    assert model.engine().step == 0 and not model.engine().get_state()["slots"][first][0].any()


def test_by_hand_is_train_on_batch():
    a, b = small(loss="mse", optimizer="sgd"), small(loss=None, optimizer="sgd")
    target = RNG.uniform(size=(48, 4))
    a.train_on_batch(X, target)
    y = b.forward(X, training=True)
    dx = b.backward(2 * (y - target) / y.size)
    assert dx.shape == X.shape and len(b.gradients()) == 6
    b.apply_gradients()
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-12, atol=1e-14)
    assert a.optimizer.iterations == b.optimizer.iterations == 1


def test_one_batch_methods():
    model = small(metrics=["accuracy"])
    loss, accuracy = model.test_on_batch(X, LABELS)
    assert [loss, accuracy] == model.evaluate(X, LABELS, verbose=0)
    p = model.predict_on_batch(X)
    assert accuracy == np.mean(p.argmax(1) == LABELS)
    assert loss == pytest.approx(-np.log(p[range(48), LABELS]).mean(), rel=1e-12)
    assert model.train_on_batch(X, LABELS, return_dict=True).keys() == {"loss", "accuracy"}
    np.testing.assert_array_equal(model(X), model.predict(X, batch_size=7, verbose=0))
    assert model.predict(X[:0], verbose=0).shape == (0, 4)


def test_weight_decay_of_one_compile_is_not_that_of_the_next():
    for own in (None, 0.1):
        model = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(3,))], weight_decay=own)
        model.compile("sgd", "mse", weight_decay=0.5)
        assert model.weight_decay == 0.5
        assert fastnn.models.clone_model(model).weight_decay == (own or 0)
        model.compile("sgd", "mse")
        assert model.weight_decay == (own or 0)


def test_names_of_metrics_before_the_first_data():
    model = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(3,))])

    def far(t, p):
        return abs(t - p).max(axis=1)

    model.compile("sgd", "mse", metrics=["mae", far])
    assert model.metrics_names[2] == "far"


def test_order_of_weights_does_not_hang_on_what_is_frozen():
    """Keras: gamma, beta, moving mean, moving variance, whatever is frozen."""
    model = Sequential([BatchNormalization(input_shape=(1,))])
    norm = model.layers[0]
    norm.set_weights([[2.0], [50.0], [0.0], [1.0]])
    norm.gamma.trainable = False
    assert [v.name.split("/")[-1] for v in model.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [v.name.split("/")[-1] for v in model.trainable_weights] == ["beta"]
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    x = np.full((1, 1), 3.0)
    assert clone.predict(x) == model.predict(x)


def test_two_weights_of_one_name_are_both_trained():
    class Affine(fastnn.layers.Layer):
        def build(self, shape):
            self.a, self.b = self.add_weight(shape[1:], "ones"), self.add_weight(shape[1:], "zeros")

        def call(self, x, training=False):
            self.x = x
            return x * self.a.numpy() + self.b.numpy()

        def backward(self, dy):
            self.grads = [(dy * self.x).sum(0), dy.sum(0)]
            return dy * self.a.numpy()

    model = Sequential([Affine(input_shape=(3,))])
    model.compile(fastnn.SGD(0.5), "mse")
    x = np.random.default_rng(0).normal(size=(64, 3))
    model.fit(x, 2 * x + 1, epochs=100, verbose=0)
    np.testing.assert_allclose(model.get_weights(), [[2, 2, 2], [1, 1, 1]], rtol=1e-3)
