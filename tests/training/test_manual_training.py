"""Training loops by hand: what `backward` follows, and numbers that must not reach the weights."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

RNG = np.random.default_rng(0)
X, DY = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2))


def small(**how):
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([layers.Dense(3, "tanh", input_shape=(4,)), layers.Dense(2)], dtype="float64")
    model.compile("sgd", **how)
    return model


def kernel_gradient(model, x, dy):
    """Of the first kernel, written out."""
    w, b, v, _ = model.get_weights()
    return x.T @ (dy @ v.T * (1 - np.tanh(x @ w + b) ** 2))


def other_with_its_first_layer(model):
    other = fastnn.Sequential([model.layers[0], layers.Dense(1)])
    other.compile("sgd", "mse")
    return other


def assign(model):
    model.layers[0].bias.assign(np.ones(3))


def compile_again(model):
    model.compile("sgd", "mse")


def freeze(model):
    model.layers[1].trainable = False


def step(model):
    model.backward(DY)
    model.apply_gradients()


CHANGES = {
    "an inference forward": (lambda m: m.forward(X[::-1]), "forward without training=True came after it"),
    "one of another size": (lambda m: m(X[:1]), "forward without training=True came after it"),
    "fit": (lambda m: m.fit(X, DY, verbose=0), "the model was trained after it"),
    "train_on_batch": (lambda m: m.train_on_batch(X, DY), "the model was trained after it"),
    "train_on_batch again": (lambda m: m.train_on_batch(X, DY), "the model was trained after it"),
    "a step": (step, "apply_gradients changed the weights after it"),
    "weights": (lambda m: m.set_weights([w + 1 for w in m.get_weights()]), "its weights were assigned"),
    "one weight": (assign, "its weights were assigned"),
    "a shared layer": (lambda m: other_with_its_first_layer(m).fit(X, X[:, 0], verbose=0), "trained by another model"),
    "a frozen layer": (freeze, "the model was changed after it"),
    "compile": (compile_again, r"expected a call of forward\(x, training=True\)"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_backward_after_a_change(what):
    """It would be the gradient of nothing: activations of one state, weights of another."""
    change, message = CHANGES[what]
    model = small(loss="mse")
    if what == "train_on_batch again":
        model.train_on_batch(X, DY)
    model.forward(X, training=True)
    change(model)
    with pytest.raises(RuntimeError, match=f"backward: .*{message}"):
        model.backward(DY)
    model.layers[1].trainable = True
    model.forward(X, training=True)
    model.backward(DY)
    np.testing.assert_allclose(model.gradients()[0], kernel_gradient(model, X, DY), rtol=1e-10)


HARMLESS = {
    "predict": lambda m: m.predict(X[:2], verbose=0),
    "predict_on_batch": lambda m: m.predict_on_batch(X[:2]),
    "evaluate": lambda m: m.evaluate(X, DY, verbose=0),
    "a model that shares a layer": lambda m: fastnn.Sequential(m.layers[:1]).predict(X, verbose=0),
    "the same weights": lambda m: m.set_weights(m.get_weights()),
    "backward": lambda m: m.backward(-DY),
    "a rate": lambda m: setattr(m.optimizer, "learning_rate", 0.5),
    "gradients by the input": lambda m: m.input_gradient(X, dy=DY),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_backward_after_what_changes_nothing(what):
    model = small(loss="mse")
    model.forward(X, training=True)
    HARMLESS[what](model)
    model.backward(DY)
    np.testing.assert_allclose(model.gradients()[0], kernel_gradient(model, X, DY), rtol=1e-10)


class Square(layers.Layer):
    def call(self, x, training):
        self.x = x
        return x**2

    def backward(self, dy):
        return 2 * self.x * dy


def test_a_layer_in_numpy_that_was_called_again():
    """It keeps what `backward` needs on itself."""
    model = fastnn.Sequential([Square(input_shape=(4,)), layers.Dense(2)])
    model.forward(X, training=True)
    model.predict(X[:2], verbose=0)
    with pytest.raises(RuntimeError, match="layer 'square.*was called again"):
        model.backward(DY)


# --- non-finite numbers ---


def weights_after(model, action, message):
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        action()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_apply_gradients_names_the_weight(bad):
    model = small()
    model.forward(X, training=True)
    model.backward(DY)
    gradients = model.gradients()
    gradients[2][1, 0] = bad
    name = model.layers[1].kernel.name
    message = f"apply_gradients: the gradient of {name}: .* got {bad} in row 1, column 0.*check_finite=False"
    weights_after(model, lambda: model.apply_gradients(gradients), message)
    assert model.optimizer.iterations == 0
    model.apply_gradients(gradients, check_finite=False)
    assert not np.isfinite(model.get_weights()[2]).all() and np.isfinite(model.get_weights()[0]).all()


def test_a_gradient_that_overflows():
    """No NaN came from the user: float32 is not enough."""
    model = fastnn.Sequential([layers.Dense(2, input_shape=(4,))])
    model.compile("sgd")
    model.forward(np.full((6, 4), 1e20), training=True)
    model.backward(np.full((6, 2), 1e20))
    weights_after(model, model.apply_gradients, "kernel: .* got inf in row 0, column 0")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_every_other_way_in(bad):
    model = small(loss="mse")
    x, dy = X.copy(), DY.copy()
    x[3, 2] = dy[4, 1] = bad
    for _ in range(2):  # the second time the short way for known batches
        weights_after(model, lambda: model.train_on_batch(x, DY), f"x: .* got {bad} in row 3, column 2.*check_finite")
        weights_after(model, lambda: model.train_on_batch(X, dy), f"y: .* got {bad} in row 4, column 1")
        model.train_on_batch(X, DY)
    weights_after(model, lambda: model.train_on_batch(X, DY, sample_weight=[1, 1, bad, 1, 1, 1]),
                  f"sample_weight: expected finite.*got {bad} in row 2")  # fmt: skip
    model.forward(X, training=True)
    weights_after(model, lambda: model.backward(dy), f"dy: .* got {bad} in row 4, column 1.*check_finite=False")
    weights = model.get_weights()
    weights[1][2] = bad
    weights_after(model, lambda: model.set_weights(weights), rf"weights\[1\] of .*: .* got {bad} in row 2")
    model.set_weights(weights, check_finite=False)
    np.testing.assert_array_equal(model.get_weights()[1], weights[1])
    model.train_on_batch(x, DY, check_finite=False)
    assert not np.isfinite(model.get_weights()[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_look_finds_every_place(dtype):
    """In arrays of any length, at any place, of any alignment to the vectors."""
    from fastnn._core.beyond import find_beyond

    for n in (1, 2, 3, 4, 7, 8, 15, 31, 32, 33, 64, 65, 100):
        for start in (0, 1, 3):
            array = np.zeros(n + start, dtype)[start:]
            assert find_beyond(array) == -1
            for place in range(n):
                for bad in (np.nan, np.inf, -np.inf):
                    array[place] = bad
                    assert find_beyond(array) == place and find_beyond(array, 1.0, False) == -1
                array[place] = -2
                assert find_beyond(array, 1.5, False) == find_beyond(array, 1.5) == place
                array[place] = 0
    largest = np.finfo(dtype).max
    assert find_beyond(np.array([largest, -largest, 0, np.finfo(dtype).tiny / 4] * 20, dtype)) == -1
    with pytest.raises(TypeError, match="expected contiguous rows"):
        find_beyond(np.zeros((4, 4), dtype).T[:, ::2])
