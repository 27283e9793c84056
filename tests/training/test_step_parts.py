"""forward, backward and apply_gradients, one by one, against reference.py."""

import numpy as np
import pytest
from training_tools import BATCH, CLASSES, assert_same, data, pair

import fastnn
from fastnn import layers


@pytest.mark.parametrize("kind", ["dense", "bn", "dropout"])
def test_forward_backward_apply(kind):
    """By hand, with a loss of the caller's: the same gradients, the same step."""
    engine, model, net = pair(kind)
    x, _ = data(4, BATCH)
    target = np.random.default_rng(5).normal(size=(BATCH, CLASSES))
    for _ in range(3):
        y = engine.forward(x, training=True)
        np.testing.assert_allclose(y, net.forward(x, True), rtol=1e-10)
        dy = y - target
        dx, expected = engine.backward(dy), net.backward(dy)
        np.testing.assert_allclose(dx, expected, rtol=1e-8, atol=1e-11)
        wanted = [g for g in net.grads if g is not None]
        for ours, theirs in zip(engine.gradients(), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-11)
        engine.apply_gradients(0.01)
        live = [(w, g) for w, g in zip(net.weights, net.grads, strict=True) if g is not None]
        net.optimizer.apply(*zip(*live, strict=True))
        net.steps += 1
    assert_same(model, net, 1e-9)


def by_hand():
    """A model of which a batch has been through forward and backward; its weights, gradients, and a rate."""
    fastnn.set_random_seed(2)
    model = fastnn.Sequential([layers.Dense(7, "tanh", input_shape=(5,)), layers.Dense(3)], dtype="float64")
    model.compile(fastnn.SGD(0.5))
    x = np.random.default_rng(0).normal(size=(8, 5))
    model.forward(x, training=True)
    model.backward(np.ones((8, 3)))
    return model, x, model.get_weights(), model.gradients()


@pytest.mark.parametrize("between", ["predict", "train", "set_weights", "assign"])
def test_a_step_by_hand_changes_the_weights_wherever_they_are(between):
    """Between `backward` and `apply_gradients` another model that shares a layer, or an assignment, has them."""
    model, x, weights, gradients = by_hand()
    other = fastnn.Sequential(model.layers[:1])
    if between == "predict":
        other.predict(x, verbose=0)
    elif between == "train":
        other.compile("sgd", "mse")
        other.fit(x, np.ones((8, 7)), verbose=0)
    elif between == "set_weights":
        model.set_weights([w + 1 for w in weights])
    else:
        model.layers[0].kernel.assign(weights[0] - 1)
    now = model.get_weights()
    assert between == "predict" or not np.array_equal(now[0], weights[0])
    model.apply_gradients()
    for w, before, gradient in zip(model.get_weights(), now, gradients, strict=True):
        np.testing.assert_allclose(w, before - 0.5 * gradient, rtol=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 7, 9])
def test_rows_of_dy_are_those_of_the_batch(rows):
    model, _, _, gradients = by_hand()
    with pytest.raises(ValueError, match=f"dy: expected 8 rows, .* got {rows}"):
        model.backward(np.ones((rows, 3)))
    for now, before in zip(model.gradients(), gradients, strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_batch_of_no_rows_cannot_be_trained_on():
    model = by_hand()[0]
    with pytest.raises(ValueError, match="x: expected at least one row"):
        model.forward(np.zeros((0, 5)), training=True)
    assert model.forward(np.zeros((0, 5))).shape == (0, 3)


@pytest.mark.parametrize("at, shape", [(0, (5, 8)), (0, (35,)), (1, (1, 7)), (1, (16, 7)), (2, (7, 1)), (3, None)])
def test_gradients_that_are_given_have_the_shapes_of_weights(at, shape):
    model, _, weights, gradients = by_hand()
    given = [np.zeros(w.shape) for w in weights]
    given[at : at + 1] = [] if shape is None else [np.zeros(shape)]
    with pytest.raises(ValueError, match="gradients: expected arrays of shapes"):
        model.apply_gradients(given)
    model.apply_gradients()  # those of `backward` are still there
    for w, before, gradient in zip(model.get_weights(), weights, gradients, strict=True):
        np.testing.assert_allclose(w, before - 0.5 * gradient, rtol=1e-12)


def test_there_is_nothing_to_train_on_without_a_loss():
    model = by_hand()[0]
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=f"{call.__name__}: expected a model compiled with a loss"):
            call(np.zeros((4, 5)), np.zeros((4, 3)))


def test_gradients_are_those_of_the_last_backward_or_none():
    model, x, weights, _ = by_hand()
    new = fastnn.Sequential([layers.Dense(2, input_shape=(5,))])
    new.compile("sgd", "mse")
    for call in (new.gradients, new.apply_gradients):
        with pytest.raises(RuntimeError, match=f"{call.__name__}: "):
            call()
    model.compile("sgd", "mse")
    model.forward(x, training=True)
    model.backward(np.ones((8, 3)))
    assert len(model.gradients()) == len(weights)
    for _ in range(3):  # the long way, then the short one
        model.train_on_batch(x, np.ones((8, 3)))
        for call in (model.gradients, model.apply_gradients):
            with pytest.raises(RuntimeError, match=f"{call.__name__}: "):
                call()
        model.forward(x, training=True)
        with pytest.raises(RuntimeError, match="gradients: "):
            model.gradients()
        model.backward(np.ones((8, 3)))
