"""`blend_weights`: the soft update of a target network."""

import numpy as np
import pytest

import fastnn
from fastnn import layers


def network(seed, optimizer="sgd", dtype="float32"):
    fastnn.set_random_seed(seed)
    made = fastnn.Sequential([
        layers.Dense(33, "relu", input_shape=(5,)), layers.BatchNormalization(), layers.PReLU(), layers.Dense(3)
    ], dtype=dtype)  # fmt: skip
    made.compile(optimizer, "mse")
    return made


@pytest.mark.parametrize("tau", [0.0, 0.005, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["compiled", "adam and none", "dtypes"])
def test_the_formula(tau, kind):
    target, online = network(1), network(2, "adam" if kind == "adam and none" else "sgd",
                                         "float64" if kind == "dtypes" else "float32")  # fmt: skip
    online.fit(np.ones((8, 5)), np.ones((8, 3)), verbose=0)
    ours, theirs = target.get_weights(), online.get_weights()
    for _ in range(3):
        target.blend_weights(online, tau)
        ours = [((1 - np.float32(tau)) * a + np.float32(tau) * b).astype(np.float32) if tau < 1 else b.astype("f4")
                for a, b in zip(ours, theirs, strict=True)]  # fmt: skip
    for a, b, c, d in zip(target.get_weights(), ours, online.get_weights(), theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)
        np.testing.assert_array_equal(c, d)


def test_predictions_training_and_saved_weights_see_it(tmp_path):
    target, online = network(1), network(2)
    x = np.ones((4, 5))
    target.predict(x, verbose=0), target.predict_on_batch(x), online.predict_on_batch(x)
    target.blend_weights(online, 1.0)
    np.testing.assert_array_equal(target.predict_on_batch(x), online.predict_on_batch(x))
    np.testing.assert_array_equal(target.predict(x, verbose=0), online.predict(x, verbose=0))
    target.save_weights(tmp_path / "w.fastnn")
    network(3).load_weights(tmp_path / "w.fastnn")
    y = target.forward(x, training=True)
    target.blend_weights(network(4), 0.5)
    with pytest.raises(RuntimeError, match="backward"):
        target.backward(y)
    target.train_on_batch(x, np.ones((4, 3)))


def test_no_array_is_made_after_the_first():
    import tracemalloc

    fastnn.set_random_seed(0)
    pair = [fastnn.Sequential([layers.Dense(400, input_shape=(500,))]) for _ in range(2)]
    for _ in range(3):
        pair[0].blend_weights(pair[1], 0.1)
    tracemalloc.start()
    pair[0].blend_weights(pair[1], 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 400 * 500 * 4  # one product, and not the weights in their own shapes


def test_shared_layers_and_a_model_itself():
    shared = layers.Dense(3)
    a = fastnn.Sequential([layers.Input((5,)), shared, layers.Dense(2)])
    b = fastnn.Sequential([layers.Input((5,)), shared, layers.Dense(2)])
    before, ours, theirs = shared.get_weights(), a.layers[1].get_weights(), b.layers[1].get_weights()
    a.blend_weights(b, 0.5)
    np.testing.assert_array_equal(shared.get_weights()[0], before[0])
    np.testing.assert_allclose(a.layers[1].get_weights()[0], (ours[0] + theirs[0]) / 2, rtol=1e-6)
    a.blend_weights(a, 0.5)


def test_errors():
    target = network(1)
    with pytest.raises(TypeError, match="model: expected a model, got 3"):
        target.blend_weights(3, 0.5)
    for tau in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="tau"):
            target.blend_weights(network(2), tau)
    with pytest.raises(ValueError, match=r"weights of the same shapes"):
        target.blend_weights(fastnn.Sequential([layers.Dense(3, input_shape=(5,))]), 0.5)
    with pytest.raises(ValueError, match="expected a built model"):
        target.blend_weights(fastnn.Sequential([layers.Dense(3)]), 0.5)
