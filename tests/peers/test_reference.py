"""The reference itself against SciPy, published numbers, Keras 3 and central differences."""

import ast
from pathlib import Path

import numpy as np
import pytest
import reference as ref
from cases import cases
from reference import SGD, Adam, Net, central_difference
from scipy import integrate, special, stats

LOGITS = np.array([[0.0, 0, 0], [1e8, -1e8, 0], [-104, 88, 3], [1, 2, 3], [-1e8, -1e8, -1e8]])
X = np.random.default_rng(1).normal(size=(7, 5)) * 2
LABELS = np.arange(7) * 3 % 5
PROBABILITIES = special.softmax(X, axis=-1)

def close(actual, expected, rtol=1e-13, atol=1e-15):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def test_imports_nothing_of_ours():
    tree = ast.parse(Path(ref.__file__).read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert modules == {"math", "numpy"}


# --- activations ----------------------------------------------------------------------------------


def test_values_against_scipy():
    lse = special.logsumexp(X, axis=-1, keepdims=True)
    close(X - ref.log_softmax(X), np.broadcast_to(lse, X.shape))
    close(ref.activation("softmax", LOGITS), special.softmax(LOGITS, axis=-1))
    close(ref.activation("log_softmax", LOGITS), special.log_softmax(LOGITS, axis=-1))
    close(ref.activation("sigmoid", LOGITS), special.expit(LOGITS))
    close(ref.activation("relu", X), np.clip(X, 0, None))
    close(ref.activation("elu", X), np.where(X > 0, X, special.expm1(X)))
    close(ref.activation("leaky_relu", X, negative_slope=0.3), np.maximum(X, 0.3 * X))
    bent = {"max_value": 2, "threshold": 1, "negative_slope": 0.5}
    close(ref.activation("relu", [-1.0, 0.5, 3], **bent), [-1, -0.25, 2])


def test_selu_keeps_mean_0_and_variance_1():
    """Its two constants are defined by that (Klambauer et al. 2017)."""
    z = np.linspace(-12, 12, 200001)  # the kink at 0 is a node
    y, density = ref.activation("selu", z), stats.norm.pdf(z)
    for power, expected in ((1, 0.0), (2, 1.0)):
        moment = integrate.simpson(y**power * density, x=z)
        assert moment == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", cases("activation"), ids=str)
def test_activation_gradient(case):
    x = case.draw(np.random.default_rng(1), X.shape, float)
    slope = case.reference(x)[1]
    numeric = central_difference(lambda: np.sum(case.reference(x)[0]), x)
    close(slope, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradient_over_a_row(name):
    x, dy = X.copy(), X[::-1] + 1
    numeric = central_difference(lambda: np.sum(dy * ref.activation(name, x)), x)
    close(ref.activation_backward(name, x, dy), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", cases("activation"), ids=str)
def test_derivatives_far_out_are_finite(case):
    if case.name == "exponential":
        return  # its derivative is its value
    with np.errstate(over="ignore"):
        assert np.isfinite(case.reference(LOGITS)[1]).all()


# --- losses and metrics ---------------------------------------------------------------------------


def test_loss_values_against_scipy():
    t = (X > 0.5) * 1.0
    close(ref.huber(X[::-1], X, delta=0.8)[0], special.huber(0.8, X - X[::-1]).mean(axis=-1))
    p = special.expit(X)
    expected = -(special.xlogy(t, p) + special.xlog1py(1 - t, -p)).mean(axis=-1)
    close(ref.binary_crossentropy(t, p)[0], expected)
    close(ref.binary_crossentropy(t, X, from_logits=True)[0], expected)
    picked = -special.log_softmax(X, axis=-1)[np.arange(7), LABELS]
    close(ref.sparse_categorical_crossentropy(LABELS, X, from_logits=True)[0], picked)
    close(ref.sparse_categorical_crossentropy(LABELS, 4 * PROBABILITIES)[0], picked)
    smooth = ref.categorical_crossentropy(np.eye(5)[LABELS], PROBABILITIES, label_smoothing=0.2)[0]
    close(smooth, 0.8 * picked - 0.2 * np.log(PROBABILITIES).mean(axis=-1))
    soft = special.softmax(-X, axis=-1)
    expected = (special.rel_entr(soft, PROBABILITIES) + special.entr(soft)).sum(axis=-1)
    close(ref.categorical_crossentropy(soft, X, from_logits=True)[0], expected)


@pytest.mark.parametrize("case", cases("loss"), ids=str)
def test_loss_gradient(case):
    rng, weight = np.random.default_rng(2), np.arange(1.0, 8)
    y, t = case.draw(rng, X.shape, float), case.targets(rng, *X.shape)
    slope = case.reference(t, y)[1]
    numeric = central_difference(lambda: np.sum(weight * case.reference(t, y)[0]), y)
    close(weight[:, None] * slope, numeric, rtol=2e-6, atol=1e-7)


def test_crossentropy_at_the_edges():
    value, slope = ref.sparse_categorical_crossentropy([0, 0, 1], LOGITS[:3], from_logits=True)
    close(value, [np.log(3), 0, 0])
    close(slope[0], [1 / 3 - 1, 1 / 3, 1 / 3])
    value, slope = ref.sparse_categorical_crossentropy([0, 0], np.array([[0.0, 1], [1, 0]]))
    close(value, [-np.log(1e-7), -np.log1p(-1e-7)])  # clipped, and no slope there
    assert not slope.any()


def test_metrics():
    one_hot = np.eye(5)[LABELS]
    hits = PROBABILITIES.argmax(axis=-1) == LABELS
    close(ref.METRICS["sparse_categorical_accuracy"](LABELS, PROBABILITIES), hits)
    close(ref.METRICS["categorical_accuracy"](one_hot, PROBABILITIES), hits)
    binary = np.array([[0, 1], [1, 1]]), np.array([[0.5, 0.6], [0.5, 1]])
    close(ref.METRICS["binary_accuracy"](*binary), [1, 0.5])
    close(ref.METRICS["mean_squared_error"](X[::-1], X), ((X[::-1] - X) ** 2).mean(axis=-1))


# --- random numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),  # Random123's kat_vectors, philox4x32 with 10 rounds
    [
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(counter, key, expected):
    words = [[int(w, 16) for w in text.split()] for text in (counter, key, expected)]
    np.testing.assert_array_equal(ref.philox4x32(*words[:2]), words[2])


def test_dropout_mask():
    where = {"seed": 2**40 + 5, "step": 7, "layer": 2}
    mask = ref.dropout_mask(1001, 100, 0.3, **where)
    assert set(np.unique(mask)) == {0.0, 1 / 0.7}
    assert mask.mean() == pytest.approx(1, abs=5 * np.sqrt(0.3 / 0.7 / mask.size))
    for b, f in np.ndindex(9, 3):
        word = ref.philox4x32((f, b // 4, 7, 2), (5, 2**8))[b % 4]
        assert (mask[b, f] > 0) == (word >= 0.3 * 2**32)
    for other in ({"seed": 5}, {"step": 8}, {"layer": 3}):
        same = ref.dropout_mask(1001, 100, 0.3, **{**where, **other}) == mask
        assert same.mean() == pytest.approx(0.7**2 + 0.3**2, abs=0.01)
    assert (ref.dropout_mask(5, 3, 0.0) == 1).all()


def test_standard_normal():
    words = np.array([0, 1, 2**20, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 1], np.uint32)
    close(ref.standard_normal(words), special.ndtri((words + 0.5) / 2.0**32), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ref.NOISES)
def test_noise_by_its_moments(name):
    """Mean and deviation that the papers promise, and dy/dx by a difference."""
    params = {"gaussian_noise": (0.3,), "rrelu": (0.1, 0.5)}.get(name, (0.2,))
    words = ref.random_words(400, 500, seed=3)
    x = np.random.default_rng(0).normal(size=words.shape)
    y, slope = ref.NOISES[name](x, words, *params)
    close((ref.NOISES[name](x + 1e-6 * np.sign(x), words, *params)[0] - y) / 1e-6 * np.sign(x), slope, 1e-6, 1e-6)
    mean, std = {
        "gaussian_noise": (0, np.sqrt(1.09)), "gaussian_dropout": (0, np.sqrt(1.25)), "alpha_dropout": (0, 1),
        "rrelu": (0.7 / np.sqrt(2 * np.pi), np.sqrt((1 + 0.09 + 0.16 / 12) / 2 - 0.49 / (2 * np.pi))),
    }[name]  # fmt: skip
    assert y.mean() == pytest.approx(mean, abs=0.01) and y.std() == pytest.approx(std, abs=0.01)


# --- clipping, optimizers, initializers -----------------------------------------------------------


def test_clipping_as_published():
    g = [np.array([0.9, 100.0])]
    close(ref.clip_gradients(g, clipvalue=1.0)[0], [0.9, 1.0])
    close(ref.clip_gradients(g, clipnorm=1.0)[0], [0.0089996, 0.9999595], rtol=1e-5)
    close(ref.clip_gradients([*g, np.array([0.5])], clipnorm=1.0)[1], [0.5])
    both = ref.clip_gradients([np.array([3.0]), np.array([4.0])], global_clipnorm=1.0)
    close(np.ravel(both), [0.6, 0.8])
    assert ref.clip_gradients([np.array([0.5])], global_clipnorm=1.0)[0] == 0.5


def test_optimizers_by_hand():
    """Two steps with gradients 1 and 2, from 0."""
    for optimizer, expected in (
        (SGD(0.1), -0.3),
        (SGD(0.1, momentum=0.5), -0.1 - 0.25),
        (SGD(0.1, momentum=0.5, nesterov=True), -0.15 - 0.325),
        (SGD(lambda step: [0.1, 0.01][step]), -0.12),
    ):
        w = [np.zeros(1)]
        optimizer.apply(w, [np.ones(1)])
        optimizer.apply(w, [2 * np.ones(1)])
        close(w[0], [expected])
    w = [np.zeros(3)]
    Adam(0.01).apply(w, [np.array([1e-3, -2.0, 0.0])])
    assert w[0] == pytest.approx([-0.01, 0.01, 0], rel=1e-2)  # lr · sign(g), but for epsilon
    close(w[0][0], -0.01 * 1e-3 / (1e-3 + 1e-7 / np.sqrt(1e-3)), rtol=1e-9)


def test_initializer_numbers():
    for options, sigma, limit in (
        ({"mode": "fan_avg"}, 0.0429537, 0.0743980),
        ({"scale": 2.0}, 0.0505076, 0.0874818),
        ({}, 0.0357143, 0.0618590),
    ):
        s = ref.variance_scaling_sigma(784, 300, **options)
        close([s, np.sqrt(3) * s], [sigma, limit], rtol=2e-6)
    close(ref.TRUNCATED_STDDEV, stats.truncnorm(-2, 2).std(), rtol=1e-12)


# --- batch normalisation and the whole network ----------------------------------------------------


def test_batch_norm():
    x = X * 1e-3 + 1e8
    y = ref.batch_norm(x, 2.0, 3.0, *ref.batch_norm_stats(x), epsilon=0.0)
    close(y.mean(axis=0), np.full(5, 3.0), rtol=1e-4)  # 1e8 has 15 digits of 1e-8 left
    close(y.var(axis=0), np.full(5, 4.0), rtol=1e-4)
    close(ref.batch_norm_stats(X)[1], X.var(axis=0))
    close(ref.moving_average(1.0, 2.0, 0.9), 1.1)


LAYERS = [
    ("flatten", {}),
    ("batch_norm", {"momentum": 0.9}),
    ("dense", {"activation": "elu", "l2": 0.01}),
    ("batch_norm", {"momentum": 0.9}),
    ("dense", {"activation": ("selu", {})}),
    ("dense", {"activation": "softmax"}),
]
SHAPES = [(6,)] * 4 + [(6, 9), (9,)] + [(9,)] * 4 + [(9, 7), (7,), (7, 4), (4,)]


def wave(shape, phase):
    return np.sin(1.0 + phase + 1.7 * np.arange(np.prod(shape))).reshape(shape)


def make_net(optimizer=None, layers=LAYERS, loss="sparse_categorical_crossentropy"):
    gammas_and_variances = (0, 3, 6, 9)
    weights = [wave(s, i) * 0.5 + 1.5 * (i in gammas_and_variances) for i, s in enumerate(SHAPES)]
    return Net(layers, weights, loss, optimizer, seed=3)


@pytest.mark.parametrize(
    ("optimizer", "loss", "total"),  # from Keras 3.15.1 in float64 on its torch backend
    [
        (SGD(0.1, clipvalue=0.02), 1.4049224540428573, -8.680709923822558),
        (SGD(0.05, 0.9, True, clipnorm=0.1), 1.481529542463599, -9.063372882518832),
        (Adam(0.01), 1.3301898222056439, -8.555080875500495),
        (Adam(0.01, global_clipnorm=0.2), 1.5563391754860136, -9.024044299522323),
    ],
    ids=["sgd-clipvalue", "nesterov-clipnorm", "adam", "adam-global_clipnorm"],
)
def test_fifty_steps_as_in_keras(optimizer, loss, total):
    net = make_net(optimizer)
    x, y = wave((32, 6), 0.5) * 2, np.arange(32) * 7 // 3 % 4
    parts = [slice(i, i + 8) for i in (0, 8, 16, 24)]
    assert len(net.train((x[parts[i % 4]], y[parts[i % 4]]) for i in range(50))) == 50
    close(net.loss_and_grads(x, y, training=False)[0], loss, rtol=1e-11)
    close(sum(np.sum(w * wave(w.shape, 0.25)) for w in net.weights), total, rtol=1e-11)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mean_squared_error"])
@pytest.mark.parametrize("frozen", [None, 2, 3])
def test_network_gradient(training, loss, frozen):
    layers = [(kind, dict(spec)) for kind, spec in LAYERS]
    layers.insert(5, ("dropout", {"rate": 0.4}))
    if frozen:
        layers[frozen][1]["trainable"] = False
    net = make_net(layers=layers, loss=loss)
    x = wave((8, 3, 2), 0.5) * 2
    y = np.arange(8) % 4 if loss.startswith("sparse") else wave((8, 4), 2)
    averages = [net.weights[i].copy() for i in (2, 3, 8, 9)]

    def value():
        for i, a in zip((2, 3, 8, 9), averages, strict=True):
            net.weights[i][...] = a
        return net.loss_and_grads(x, y, np.arange(8.0), training)[0]

    value()
    grads = list(net.grads)
    missing = {0: {2, 3, 8, 9}, 2: {2, 3, 4, 5, 8, 9}, 3: {2, 3, 6, 7, 8, 9}}[frozen or 0]
    live = set(range(14)) - missing
    if not training:  # inference mode: gamma and beta of every batch_norm are constants too
        live -= {0, 1, 6, 7}
    assert {i for i, g in enumerate(grads) if g is not None} == live
    for i in live:
        close(grads[i], central_difference(value, net.weights[i]), rtol=1e-5, atol=1e-8)


def test_network_dropout_and_sample_weights():
    net = Net([("dropout", {"rate": 0.5}), ("dropout", {"rate": 0.3})], [], optimizer=SGD(), seed=9)
    net.steps = 4
    y = net.forward(X, training=True)
    masks = [ref.dropout_mask(7, 5, r, seed=9, step=4, layer=i) for i, r in enumerate((0.5, 0.3))]
    close(y, X * masks[0] * masks[1])
    weight = np.arange(7.0)
    loss = net.loss_and_grads(X, X + 2, weight, training=False)[0]
    close(loss, 4 * weight.sum() / 7)  # divided by the batch, not by the weights


def test_central_difference_of_note_003():
    x = np.ones(1)
    assert central_difference(lambda: x[0] ** 3, x, step=0.01)[0] == pytest.approx(3.0001)
