"""Initial weights: the notes' numbers, the laws by scipy.stats, names, seeds."""

import numpy as np
import pytest
import reference
from scipy import stats

import fastnn
from fastnn import initializers
from fastnn._base import random

SHAPE = (784, 300)
# The notes' table for 784 -> 300, five digits: standard deviation of the normal, reach of the uniform law.
NOTES = {"glorot": (0.0429537, 0.0743980), "he": (0.0505076, 0.0874818), "lecun": (0.0357143, 0.0618590)}


@pytest.mark.parametrize("name", NOTES)
def test_normal_has_the_notes_deviation(name):
    sigma = NOTES[name][0]
    w = initializers.get(f"{name}_normal")(SHAPE, "float64").ravel()
    # the standard error of a deviation of n numbers is about sigma / sqrt(2 n); five of them
    assert abs(w.std() - sigma) < 5 * sigma / np.sqrt(2 * w.size)
    assert abs(w.mean()) < 5 * sigma / np.sqrt(w.size)
    cut = sigma / np.sqrt(1 - 4 * stats.norm.pdf(2) / (stats.norm.cdf(2) - stats.norm.cdf(-2)))
    assert 1.99 * cut < abs(w).max() <= 2 * cut * (1 + 1e-5)  # the table is rounded; the largest comes that near
    assert stats.kstest(w[:20000], stats.truncnorm(-2, 2, scale=cut).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", NOTES)
def test_uniform_has_the_notes_reach(name):
    sigma, reach = NOTES[name]
    w = initializers.get(f"{name}_uniform")(SHAPE, "float64").ravel()
    assert 0.9995 * reach < abs(w).max() <= reach * (1 + 1e-6)
    assert abs(w.std() - sigma) < 0.005 * sigma
    assert stats.kstest(w[:20000], stats.uniform(-reach, 2 * reach).cdf).pvalue > 1e-4


@pytest.mark.parametrize("mode, n", [("fan_in", 784), ("fan_out", 300), ("fan_avg", 542)])
@pytest.mark.parametrize("law", ["truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling(mode, n, law):
    w = initializers.VarianceScaling(2.0, mode, law)(SHAPE, "float64")
    assert w.var() == pytest.approx(2 / n, rel=0.02)


def test_untruncated_normal_reaches_further():
    w = initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal", seed=1)(SHAPE)
    assert abs(w).max() > 3.5 / 28
    assert stats.kstest(w.ravel()[:20000] * 28, "norm").pvalue > 1e-4


@pytest.mark.parametrize(
    "shape, fans", [((), (1, 1)), ((5,), (5, 5)), ((3, 7), (3, 7)), ((3, 4, 5), (12, 15))]
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans  # as Keras' compute_fans gives them


def test_plain_laws():
    big = (400, 400)
    assert (initializers.Zeros()((2, 3)) == 0).all() and (initializers.Ones()((2, 3)) == 1).all()
    assert (initializers.Constant(0.01)((4,), "float64") == 0.01).all()
    w = initializers.RandomNormal(1.0, 0.2)(big)
    assert w.mean() == pytest.approx(1, abs=0.01) and w.std() == pytest.approx(0.2, rel=0.02)
    w = initializers.RandomUniform(2.0, 3.0)(big)
    assert w.min() >= 2 and w.max() <= 3 and w.mean() == pytest.approx(2.5, abs=0.01)
    w = initializers.TruncatedNormal(0.0, 0.5)(big)
    assert abs(w).max() <= 1 and w.std() == pytest.approx(0.5 * 0.8796, rel=0.01)


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60), (5, 6, 20)])
def test_orthogonal(shape):
    w = initializers.Orthogonal(2.0, seed=3)(shape, "float64").reshape(-1, shape[-1])
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-13)


def test_orthogonal_is_uniform_on_the_sphere():
    """The first entry of a random unit vector of three dimensions is uniform in [-1, 1] (Archimedes)."""
    first = [initializers.Orthogonal(seed=i)((3, 3), "float64")[0, 0] for i in range(2000)]
    assert stats.kstest(first, stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_identity():
    np.testing.assert_array_equal(initializers.Identity(0.5)((2, 3)), [[0.5, 0, 0], [0, 0.5, 0]])
    for name, shape in (("Identity", (3,)), ("Identity", (2, 2, 2)), ("Orthogonal", (3,))):
        with pytest.raises(ValueError, match=f"{name}: expected a shape with .*two axes.*got"):
            initializers.get(name)(shape)


def test_keras_lower_case_names():
    assert initializers.he_normal is initializers.HeNormal and initializers.get("OrthogonalInitializer")
    assert initializers.variance_scaling is initializers.VarianceScaling and initializers.zeros()((1,)) == 0


def test_dtype_and_shape():
    for dtype in ("float32", "float64"):
        w = initializers.HeNormal()((3, 0, 2), dtype)
        assert w.shape == (3, 0, 2) and w.dtype == dtype
    assert initializers.HeNormal()((2, 2)).dtype == np.float32


def test_both_dtypes_draw_the_same_numbers():
    init = initializers.GlorotUniform(seed=3)
    np.testing.assert_array_equal(init((9, 4), "float64").astype("float32"), init((9, 4)))


def test_seeds():
    seeded, free = initializers.HeNormal(seed=5), initializers.HeNormal()
    assert (seeded((4, 4)) == seeded((4, 4))).all()
    assert (free((4, 4)) != free((4, 4))).any()
    fastnn.set_random_seed(1)
    first = [free((4, 4)), free((4, 4))]
    fastnn.set_random_seed(1)
    again = [free((4, 4)), free((4, 4))]
    np.testing.assert_array_equal(first, again)


def test_numpy_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy state is the point
    fastnn.set_random_seed(3)
    initializers.HeNormal()((4, 4))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", ["he_normal", "HeNormal", "HE_NORMAL", "henormal"])
def test_names_in_any_case(name):
    assert type(initializers.get(name)).__name__ == "HeNormal"


def test_every_name_is_found_and_described():
    assert len(initializers.names()) == 15
    for name in initializers.names():
        init = initializers.get(name)
        again = initializers.get(init.describe())
        assert type(again) is type(init) and again.get_config() == init.get_config()
        assert getattr(initializers, name) is type(init)


def test_unknown_name_lists_names_and_asks_for_the_object():
    with pytest.raises(ValueError, match="he_avg_init.*HeNormal.*VarianceScaling.*pass the object"):
        fastnn.layers.Dense(10, kernel_initializer="he_avg_init")


def test_function_and_class_as_initializer():
    layer = fastnn.layers.Dense(
        2, kernel_initializer=lambda shape, dtype: np.full(shape, 2, dtype),
        bias_initializer=initializers.Ones, input_shape=(3,),
    )  # fmt: skip
    kernel, bias = fastnn.Sequential([layer]).get_weights()
    assert (kernel == 2).all() and (bias == 1).all()


def test_initializer_of_a_wrong_shape():
    layer = fastnn.layers.Dense(2, kernel_initializer=lambda shape, dtype: np.ones(5))
    with pytest.raises(ValueError, match=r"expected shape \(3, 2\), got \(5,\)"):
        fastnn.Sequential([fastnn.Input((3,)), layer])


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"scale": 0}, "scale.*above 0"),
        ({"mode": "fan_on"}, "mode.*fan_in.*Did you mean"),
        ({"distribution": "gauss"}, "distribution.*truncated_normal"),
        ({"seed": -1}, "seed.*0 to"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        initializers.VarianceScaling(**arguments)


def test_random_permutation_is_pinned():
    """The order of an epoch is that of Philox' words for it."""
    from fastnn._base.random import permutation

    for n in (0, 1, 2, 3, 5, 1000, 4096, 70_001):
        for seed, epoch in ((7, 0), (2**64 - 1, 3)):
            words = reference.philox4x32((np.arange(n // 2 + 1), 0, epoch, 2**32 - 1), (seed & 0xFFFFFFFF, seed >> 32))
            words = words.astype(np.uint64)
            bits = np.stack([words[:, 0] | words[:, 1] << 32, words[:, 2] | words[:, 3] << 32], axis=1).ravel()[:n]
            order = permutation(seed, epoch, n)
            assert order.dtype == np.int64
            np.testing.assert_array_equal(order, np.argsort(bits, kind="stable"))
    several = permutation(7, 4, 33, epochs=3)
    np.testing.assert_array_equal(several, np.concatenate([permutation(7, e, 33) for e in (4, 5, 6)]))
    order = permutation(7, 0, 1000)
    assert (order != permutation(7, 1, 1000)).any() and (order != permutation(8, 0, 1000)).any()


def test_seeds_are_made_as_numpy_makes_them():
    """Of any length, with and without numbers of children, as many words as are asked for."""
    numbers = [0, 1, 2**31, 2**32 - 1, 2**32, 2**63 + 5, 2**64 - 1, 2**96 + 1, 2**128 - 1, 2**160 + 7]
    for entropy in numbers:
        for spawned in ((), (0,), (7,), (2**32 + 3,), (1, 2**40, 3)):
            for n in (1, 2, 5):
                ours = random.seed_words(entropy, spawned, n)
                numpys = np.random.SeedSequence(entropy, spawn_key=spawned).generate_state(n, np.uint64)
                np.testing.assert_array_equal(ours, numpys)
    for seed in (0, 5, 2**64 - 1):
        ours, numpys = random.generator(seed), np.random.Generator(np.random.Philox(seed))
        np.testing.assert_array_equal(ours.standard_normal(9), numpys.standard_normal(9))
