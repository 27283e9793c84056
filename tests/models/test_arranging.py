"""Layers and operators that arrange, contract and divide: Dot, Divide, broadcasting, TimeDistributed.

References: NumPy (einsum, broadcasting), central differences; for TimeDistributed, the layer on each time step.
"""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.layers import Dense, Divide, Dot, Flatten, Input, TimeDistributed

RNG = np.random.default_rng(31)

# shapes, axes, what NumPy's einsum is asked for
DOTS = [
    ((7,), (7,), 1, "na,na->n"),
    ((7,), (7,), -1, "na,na->n"),
    ((3, 5), (4, 5), 2, "nab,ncb->nac"),
    ((5, 3), (5, 4), 1, "nba,nbc->nac"),
    ((3, 5), (5, 4), (2, 1), "nab,nbc->nac"),
    ((3, 5), (5,), (2, 1), "nab,nb->na"),
    ((5, 3), (5,), 1, "nba,nb->na"),
    ((5,), (3, 5), (1, -1), "nb,nab->na"),
    ((2, 5, 3), (4, 5), (2, 2), "nabc,ndb->nacd"),
    ((2, 17, 3), (17, 2, 2), (2, 1), "nabc,nbde->nacde"),
]


def network(merge, shapes):
    """Branches of one tensor, of some shapes, merged: a small model."""
    x = Input((6,))
    branches = [layers.Reshape(shape)(Dense(int(np.prod(shape)), "tanh")(x)) for shape in shapes]
    return fastnn.Model(x, Dense(2)(Flatten()(merge(branches))), dtype="float64")


def check(model):
    """Gradients agree with differences, and bits are the same for any number of threads."""
    x, y = RNG.normal(size=(21, 6)), RNG.normal(size=(21, 2))
    model.compile("sgd", "mse", seed=1)
    assert model.check_gradients(x, y).passed
    digests = set()
    for threads in (1, 2, 3, 8):
        twin = fastnn.models.clone_model(model)
        twin.set_weights(model.get_weights())
        twin.compile(fastnn.Adam(0.1), "mse", seed=1, threads=threads)
        twin.fit(x, y, epochs=2, batch_size=8, verbose=0)
        digests.add(b"".join(w.tobytes() for w in twin.get_weights()))
    assert len(digests) == 1


@pytest.mark.parametrize(("a", "b", "axes", "subscripts"), DOTS)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(a, b, axes, subscripts, normalize):
    inputs = [Input(a), Input(b)]
    model = fastnn.Model(inputs, layers.dot(inputs, axes, normalize=normalize), dtype="float64")
    x = [RNG.normal(size=(9, *shape)) for shape in (a, b)]
    x[0][0] = 0  # has no direction
    given = x
    if normalize:
        both = axes if isinstance(axes, tuple) else (axes, axes)
        given = [v / np.maximum(np.linalg.norm(v, axis=at, keepdims=True), 1e-7) for v, at in zip(x, both, strict=True)]
    expected = np.einsum(subscripts, *given)
    found = model.predict(x, verbose=0)
    assert model.output_shape == (None, *found.shape[1:])
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=1e-13)
    assert found.ndim == max(2, expected.ndim)
    check(network(Dot(axes, normalize=normalize), [a, b]))


@pytest.mark.parametrize("cls, function", [
    (layers.Add, np.add), (layers.Subtract, np.subtract), (layers.Multiply, np.multiply), (Divide, np.divide),
    (layers.Maximum, np.maximum), (layers.Minimum, np.minimum), (layers.Average, lambda a, b: (a + b) / 2),
])  # fmt: skip
@pytest.mark.parametrize("a, b", [((5,), (1,)), ((3, 1), (1, 4)), ((4,), (3, 4)), ((2, 3, 4), (3, 1)), ((19,), (19,))])
def test_merging_layers_broadcast_as_numpy_does(cls, function, a, b):
    inputs = [Input(a), Input(b)]
    model = fastnn.Model(inputs, cls()(inputs), dtype="float64")
    x = [RNG.normal(size=(9, *shape)) for shape in (a, b)]
    rank = max(len(a), len(b))
    wide = [v.reshape(9, *[1] * (rank - v.ndim + 1), *v.shape[1:]) for v in x]
    np.testing.assert_allclose(model.predict(x, verbose=0), function(*wide), rtol=1e-14)
    if cls is Divide:
        check(network(lambda branches: branches[0] / (branches[1] + 2.0), [a, b]))
    else:
        check(network(cls(), [a, b]))


@pytest.mark.parametrize("function", [
    lambda a, b: a / b, lambda a, b: 1 / b - a, lambda a, b: 2 / (a * a + 1) + b, lambda a, b: -3 / b / a,
])  # fmt: skip
def test_quotients_of_symbolic_tensors(function):
    a, b = Input((4,)), Input((4,))
    model = fastnn.Model([a, b], function(a, b), dtype="float64")
    x = [RNG.normal(size=(7, 4)), RNG.uniform(0.5, 2, (7, 4))]
    np.testing.assert_allclose(model.predict(x, verbose=0), function(*x), rtol=1e-13)
    twin = fastnn.models.clone_model(model)
    assert twin.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()


INNER = {
    "dense": lambda: Dense(3, "tanh"),
    "maxout": lambda: layers.Maxout(3, 2),
    "dropout": lambda: layers.Dropout(0.4),
    "model": lambda: fastnn.Sequential([Dense(4, "tanh"), layers.LayerNormalization(), Dense(2)]),
    "normalization": lambda: layers.LayerNormalization(),
    "penalty": lambda: Dense(3, activity_regularizer="l2"),
}


@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("shape", [(4, 5), (1, 3)])
def test_time_distributed_is_the_layer_on_each_step(name, shape):
    inner = INNER[name]()
    wrapped = TimeDistributed(inner)
    model = fastnn.Sequential([Input(shape), wrapped], dtype="float64")
    x = RNG.normal(size=(9, *shape))
    one = fastnn.Sequential([Input(shape[1:]), inner], dtype="float64")
    expected = np.stack([one.predict(x[:, t], verbose=0) for t in range(shape[0])], axis=1)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-13, atol=1e-14)
    assert model.output_shape == (None, *expected.shape[1:])
    assert [v.name for v in wrapped.weights] == [v.name for v in inner.weights]
    small = fastnn.Sequential([Input((6,)), Dense(20, "tanh"), layers.Reshape((4, 5)), TimeDistributed(INNER[name]()),
                               Flatten(), Dense(2)], dtype="float64")  # fmt: skip
    check(small)


def test_time_distributed_is_saved_cloned_and_frozen(tmp_path):
    model = fastnn.Sequential([Input((4, 5)), TimeDistributed(layers.Maxout(3)), Flatten(), Dense(1)], dtype="float64")
    x = RNG.normal(size=(9, 4, 5))
    model.save(tmp_path / "m.fastnn")
    loaded, twin = fastnn.models.load_model(tmp_path / "m.fastnn"), fastnn.models.clone_model(model)
    twin.set_weights(model.get_weights())
    for other in (loaded, twin):
        assert other.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2 and not model.layers[0].layer.trainable
    with pytest.raises(TypeError, match="layer: expected a layer, got 3"):
        TimeDistributed(3)
    with pytest.raises(ValueError, match=r"samples \(T, ...\) of at least two axes, got \(5,\)"):
        fastnn.Sequential([Input((5,)), TimeDistributed(Dense(1))])


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Dot(1)([Input((3,)), Input((4,))]), r"axes 1 of equal size, got shapes \(3,\) and \(4,\)"),
    (lambda: Dot(0)([Input((3,)), Input((3,))]), "not the batch axis"),
    (lambda: Dot((1, 2, 3)), "expected an axis, or one for each"),
    (lambda: Dot(1)([Input((3,))] * 3), "list of 2 inputs, got 3"),
    (lambda: layers.Permute((1, 3)), r"each of 1, 2, ..., rank once, such as \(2, 1\), got \(1, 3\)"),
    (lambda: layers.Permute((2, 1))(Input((3,))), r"2 axes, as many as dims=\(2, 1\) has, got shape \(3,\)"),
    (lambda: layers.RepeatVector(0), "n: expected"),
    (lambda: layers.RepeatVector(2)(Input((3, 4))), "expected a flat input"),
    (lambda: layers.GlobalMaxPooling1D()(Input((3,))), r"samples \(T, features\), got shape \(3,\)"),
    (lambda: layers.Add()([Input((2, 3)), Input((2, 4))]), "expected inputs of equal shape, or that can be broadcast"),
])  # fmt: skip
def test_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()
