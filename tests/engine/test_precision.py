"""How exact matrix products are, in every mode of `set_float32_matmul_precision`; docs/precision.md has the figures.

Tiles of bfloat16 are tested where the CPU has them, and in builds with FASTNN_EMULATE_AVX512 as instruction set "amx";
elsewhere all modes are float32's own products. The least sizes are taken away: every size goes through the tiles."""

import threading
from collections import OrderedDict

import numpy as np
import pytest
from engine_tools import digest
from product_errors import DATA, FLOAT32_GRADE, LENGTHS, errors, kinds, normal, products, stated
from real_data import require_fashion_mnist

import fastnn
from fastnn import layers
from fastnn._core import kernels
from fastnn.datasets import fashion_mnist
from fastnn.engine import plan_cache, precision

TILES = kernels.has_tiles()
MODES = ("highest", "high", "medium")


@pytest.fixture(autouse=True)
def full_precision_afterwards():
    yield
    fastnn.set_float32_matmul_precision("highest")


def gain_from(monkeypatch, side):
    """As if layers with so many inputs and units gained by tiles, of any batch."""
    sizes = {splits: dict.fromkeys(least, ((1, side, side),)) for splits, least in precision.LEAST.items()}
    monkeypatch.setattr(precision, "LEAST", sizes)
    monkeypatch.setattr(plan_cache, "_kept", OrderedDict())  # those that are kept were made by the real sizes


@pytest.fixture
def any_size(monkeypatch):
    gain_from(monkeypatch, 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("data", DATA)
def test_errors_are_those_of_the_table(data, mode, any_size):
    how = precision.used(mode)
    if data not in kinds(how):
        pytest.skip("errors of the less exact products are tabled for two kinds of data")
    table = stated()
    for length in LENGTHS:
        rms, largest, sgemm_rms, sgemm_largest = errors(data, length, mode)
        limit_rms, limit_largest = table[how, data, length]
        assert rms <= limit_rms and largest <= limit_largest
        assert rms >= limit_rms / 2.5, "the table is too loose"
        if how in FLOAT32_GRADE:
            # a product in one chain of roundings is no worse than in any order, K / 2 of them at the most
            assert largest <= length * np.finfo(np.float32).eps / 2
            assert rms <= 6 * sgemm_rms or data not in ("normal", "wide")
        else:  # a split is off by 2^-8 of what it stands for at most; of bf16x3, lo * lo is left out as well
            limit = {"bf16": 2 * 2**-8 + 2**-16, "bf16x3": 3 * 2**-16}[how]
            assert largest <= limit + length * np.finfo(np.float32).eps / 2


@pytest.mark.skipif(not TILES, reason="this CPU has no tiles")
@pytest.mark.parametrize("shape", [(64, 48), (150, 70)])
@pytest.mark.parametrize("data", DATA)
def test_highest_by_tiles_is_as_exact_as_by_fma(data, shape, any_size):
    assert precision.used("highest") == "bf16x6" and precision.used("highest", "avx512") == "float32"
    for length in LENGTHS:
        by_fma = errors(data, length, "highest", "avx512", shape)[0]
        assert errors(data, length, "highest", shape=shape)[0] <= 1.1 * by_fma


def test_the_table_is_whole():
    all_products = ("float32", "bf16x6", "bf16x3", "bf16")
    assert set(stated()) == {(how, data, k) for how in all_products for data in kinds(how) for k in LENGTHS}


def close(found, exact, mode):
    rtol = {"float32": 1e-6, "bf16x6": 1e-6, "bf16x3": 2e-5, "bf16": 1e-2}[precision.used(mode)]
    return np.isclose(found, exact, rtol=rtol, atol=0)


@pytest.mark.parametrize("mode", MODES)
def test_ends_of_the_range(mode, any_size):
    big, tiny = np.float32(3e38), np.float32(1e-30)
    inf, nan = np.inf, np.nan
    a = np.array([[big, big], [big, -big], [tiny, tiny], [inf, 1], [inf, -inf], [nan, 1], [0, 1]], np.float32)
    y = products(np.repeat(a, 3, axis=0), np.ones((2, 5), np.float32), mode)[::3, 0]
    assert close(y[2], 2 * tiny, mode)
    y[2] = 0
    np.testing.assert_array_equal(y, [np.inf, 0, 0, np.inf, np.nan, np.nan, 1])
    # results below the smallest normal number may be flushed to 0, never be garbage
    y = products(np.full((4, 2), tiny), np.full((2, 3), np.float32(1e-12)), mode)
    assert ((y == 0) | np.isclose(y, 2e-42, rtol=1e-2)).all()


@pytest.mark.parametrize("mode", MODES)
def test_numbers_without_splits_do_no_harm_to_others(mode, any_size):
    """Samples with infinities, NaN and numbers next to the largest: elsewhere results stay what they are."""
    rng = np.random.default_rng(0)
    a, b = normal(rng, (150, 300)), normal(rng, (300, 70))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    a[3, 7], a[70, 0], a[149, 299] = np.inf, np.nan, 3.4e38
    b[:, 40] *= np.float32(2.0**-40)
    exact[:, 40] *= 2.0**-40
    y = products(a, b, mode)
    odd = np.isin(np.arange(150), [3, 70, 149])
    scale = np.sqrt(np.mean(exact**2, axis=0))
    tolerance = {"float32": 1e-5, "bf16x6": 1e-5, "bf16x3": 1e-4, "bf16": 5e-2}[precision.used(mode)]
    assert (abs(y - exact)[~odd] <= tolerance * scale).all()
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_array_equal(y[odd], np.float32(a[odd].astype(np.float64) @ b))


@pytest.mark.parametrize("mode", MODES)
def test_rows_of_an_earlier_call_leave_no_trace(mode, any_size):
    """A panel of samples that is not full has what was there before in its other lanes."""
    rng = np.random.default_rng(2)
    x, w = normal(rng, (128, 300)), normal(rng, (300, 40))

    def model():
        made = fastnn.Sequential([layers.Dense(40, "elu", input_shape=(300,)), layers.Dense(8)])
        made.compile("sgd", "mse", matmul_precision=mode)
        made.set_weights([w, np.zeros(40), w[:40, :8], np.zeros(8)])
        return made

    used, new = model(), model()
    odd = x.copy()
    odd[-1] = np.inf
    used.predict(odd, batch_size=128, verbose=0)
    for n in (127, 128):
        np.testing.assert_array_equal(
            used.predict(x[:n], batch_size=128, verbose=0), new.predict(x[:n], batch_size=128, verbose=0)
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", [10, 20])  # in either half of a panel of 32 samples
def test_lanes_that_few_samples_do_not_write_leave_no_trace(row, mode, monkeypatch):
    """The last batch has three samples: one layer writes three lanes and leaves the others as they were after the first
    batch, whose weight is 0; the next one has tiles, which take whole panels."""
    gain_from(monkeypatch, 50)
    rng = np.random.default_rng(3)
    x, y, w, w2 = (normal(rng, shape) for shape in [(35, 30), (35, 70), (30, 64), (64, 70)])
    w[0], w[0, 0], w2[0] = 0, 1, 1e-10

    def weights_after_an_epoch(first):
        model = fastnn.Sequential([layers.Dense(64, input_shape=(30,)), layers.Dense(70)])
        model.compile("sgd", "mse", matmul_precision=mode)
        model.set_weights([w, np.zeros(64), w2, np.zeros(70)])
        x[row] = 0
        x[row, 0] = first  # and so the first of 64
        model.fit(x, y, batch_size=32, shuffle=False, sample_weight=np.arange(35) >= 32, verbose=0)
        return model.get_weights()

    for found, expected in zip(weights_after_an_epoch(3e38), weights_after_an_epoch(1), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, np.zeros(70)), "nothing was learned"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("inputs", [40, 50])  # it comes in either half of a block of 32
def test_a_bias_is_no_factor(inputs, mode, any_size):
    """It lies behind the weights of its units: one without splits changes no other unit."""
    rng = np.random.default_rng(4)
    x, w = normal(rng, (40, inputs)), normal(rng, (inputs, 20))

    def outputs(bias):
        model = fastnn.Sequential([layers.Dense(20, input_shape=(inputs,))])
        model.compile("sgd", "mse", matmul_precision=mode)
        model.set_weights([w, np.where(np.arange(20) == 7, bias, 0)])
        return model.predict(x, verbose=0)

    others = np.arange(20) != 7
    np.testing.assert_array_equal(outputs(3e38)[:, others], outputs(0)[:, others])
    assert (outputs(3e38)[:, 7] == np.float32(3e38)).all()


def test_a_largest_number_is_not_rounded_to_infinity(any_size):
    """3.4e38 is nearer to 2^128 than to any bfloat16 below."""
    for mode in MODES:
        y = products(np.full((33, 4), np.float32(3.4e38)), np.full((4, 4), np.float32(2.0**-3)), mode)
        np.testing.assert_array_equal(y, np.float32(1.7e38))


def three_products(x, w, b, dy, mode):
    """y, dx and dw of a dense layer, each with the exact one and what its terms add up to in absolute value; and db."""
    model = fastnn.Sequential([layers.Dense(w.shape[1], input_shape=(w.shape[0],))])
    model.compile("sgd", "mse", matmul_precision=mode)
    model.set_weights([w, b])
    y = model.forward(x, training=True)
    dx = model.backward(dy)
    dw, db = model.gradients()
    results = []
    for found, left, right, more in [(y, x, w, b), (dx, dy, w.T, 0), (dw, x.T, dy, 0)]:
        left, right = left.astype(np.float64), right.astype(np.float64)
        results.append((found, left @ right + more, abs(left) @ abs(right) + abs(more)))
    return results, db


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", ["x", "w", "dy"])
def test_numbers_without_splits_in_any_factor(where, mode, any_size):
    """One number next to the largest, so near the ends that it is in the last block of every product."""
    rng = np.random.default_rng(1)
    x, w, dy = (normal(rng, shape) * np.float32(2.0**-30) for shape in [(530, 270), (270, 270), (530, 270)])
    {"x": x, "w": w, "dy": dy}[where][-4, -5] = 3.4e38
    limit = {"float32": 1e-6, "bf16x6": 1e-6, "bf16x3": 2e-5, "bf16": 1e-2}[precision.used(mode)]
    for found, exact, scale in three_products(x, w, np.zeros(270), dy, mode)[0]:
        assert (abs(found - exact) <= limit * scale).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch, inputs, units", [(1, 1, 1), (31, 33, 31), (32, 64, 32), (97, 100, 65), (600, 270, 40),
                                                  (40, 33, 270)])
def test_all_three_products_against_float64(mode, batch, inputs, units, any_size):
    rng = np.random.default_rng(batch)
    x, w, b, dy = (normal(rng, shape) for shape in [(batch, inputs), (inputs, units), units, (batch, units)])
    limit = {"float32": 3e-7, "bf16x6": 3e-7, "bf16x3": 2e-5, "bf16": 1e-2}[precision.used(mode)]
    results, db = three_products(x, w, b, dy, mode)
    for found, exact, scale in results:
        assert (abs(found - exact) <= limit * scale + 1e-30).all()
    assert np.allclose(db, dy.sum(axis=0, dtype=np.float64), atol=1e-4)


LIMITS = {"float32": 1e-5, "bf16x6": 1e-5, "bf16x3": 2e-4, "bf16": 5e-2}  # of numbers of about 1 behind two layers


@pytest.mark.parametrize("mode", MODES)
def test_activations_come_after_the_last_block(mode, any_size):
    rng = np.random.default_rng(4)
    x, dy = normal(rng, (40, 300)), normal(rng, (40, 300))
    model = fastnn.Sequential([layers.Dense(270, "tanh", input_shape=(300,)), layers.Dense(300)])
    model.compile("sgd", "mse", matmul_precision=mode)
    w, b, w2, b2 = (a.astype(np.float64) for a in model.get_weights())
    h = np.tanh(x @ w + b)
    limit = LIMITS[precision.used(mode)]
    np.testing.assert_allclose(model.forward(x, training=True), h @ w2 + b2, rtol=0, atol=limit)
    np.testing.assert_allclose(model.backward(dy), (dy @ w2.T * (1 - h * h)) @ w.T, rtol=0, atol=2 * limit)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [70, 600])
def test_a_fused_step_is_that_by_hand(batch, mode, any_size):
    """`fit` updates weights as soon as their gradient is there; 300 inputs are several parts, 600 samples two blocks
    (with fewer weights they would be shared out, and each part of them one block)."""
    rng = np.random.default_rng(5)
    x, t = normal(rng, (batch, 300)), normal(rng, (batch, 200))
    model = fastnn.Sequential([layers.Dense(200, input_shape=(300,))])
    model.compile(fastnn.SGD(1.0), "mse", matmul_precision=mode)
    w, b = (a.astype(np.float64) for a in model.get_weights())
    dy = 2 * (x @ w + b - t) / t.size
    model.fit(x, t, batch_size=batch, shuffle=False, verbose=0)
    limit = LIMITS[precision.used(mode)]
    for found, before, gradient in zip(model.get_weights(), (w, b), (x.T @ dy, dy.sum(axis=0)), strict=True):
        np.testing.assert_allclose((before - found) / gradient.std(), gradient / gradient.std(), rtol=0, atol=limit * 5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [70, 600])
def test_a_step_behind_batch_normalization_in_every_mode(batch, mode, any_size):
    """There dW gives the gradients of gamma and beta as well."""
    rng = np.random.default_rng(0)
    x, y = 3 * normal(rng, (batch, 40)) + 1, normal(rng, (batch, 33))

    def weights_after_a_step(dtype):
        fastnn.set_random_seed(1)
        stack = [layers.BatchNormalization(), layers.Dense(50, "tanh"), layers.BatchNormalization(), layers.Dense(33)]
        model = fastnn.Sequential([layers.Input((40,), dtype=dtype), *stack])
        model.compile(fastnn.SGD(0.1), "mse", matmul_precision=mode)
        model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
        return model.get_weights()

    limit = {"float32": 1e-6, "bf16x6": 1e-6, "bf16x3": 1e-5, "bf16": 2e-3}[precision.used(mode)]
    for found, exact in zip(weights_after_a_step("float32"), weights_after_a_step("float64"), strict=True):
        assert np.allclose(found, exact, rtol=limit, atol=limit)


def train(mode, threads, schedule=None, epochs=2):
    x, y = normal(np.random.default_rng(0), (300, 40)), np.arange(300) % 5
    fastnn.set_random_seed(1)
    stack = [layers.Dense(50, "tanh"), layers.Dropout(0.1), layers.Dense(70, "relu"), layers.Dense(5, "softmax")]
    if schedule == "layers":
        stack.insert(1, layers.BatchNormalization())
    model = fastnn.Sequential(stack)
    model.compile("adam", "sparse_categorical_crossentropy", threads=threads, matmul_precision=mode)
    model.fit(x, y, epochs=epochs, verbose=0, batch_size=300 if schedule == "samples" else 100)
    model.predict(x, verbose=0)
    schedules = {program.plan.schedule for key, program in model.engine()._programs.items() if key[0] == "train"}
    assert schedules == {schedule or "layers"}
    return digest(model.engine())


@pytest.mark.parametrize("schedule", ["layers", "samples"])
def test_same_bits_for_any_number_of_threads_in_every_mode(schedule, any_size):
    digests = {mode: {train(mode, threads, schedule) for threads in (1, 2, 3, 8)} for mode in MODES}
    assert all(len(found) == 1 for found in digests.values())
    assert len(set.union(*digests.values())) == (len(MODES) if TILES else 1), "a mode does nothing, or changes float32"


def test_sizes_that_gain():
    assert precision.splits_for("dense_fwd", 0, 10**4, 10**4, 10**4) == 0
    for splits, least in precision.LEAST.items():
        for kernel, sizes in least.items():
            for batch, smaller, larger in sizes:
                assert precision.splits_for(kernel, splits, batch, smaller, larger) == splits
                assert precision.splits_for(kernel, splits, batch, larger, smaller) == splits
            batch, smaller, larger = map(min, zip(*sizes, strict=True))
            assert precision.splits_for(kernel, splits, batch - 1, 10**4, 10**4) == 0
            assert precision.splits_for(kernel, splits, 10**4, 10**4, smaller - 1) == 0
            assert precision.splits_for(kernel, splits, 10**4, larger - 1, larger - 1) == 0


@pytest.mark.skipif(not TILES, reason="this CPU has no tiles")
def test_a_mode_reaches_the_next_call_and_float64_never(any_size):
    x = normal(np.random.default_rng(0), (40, 60))
    stack = [layers.Dense(50, input_shape=(60,))]
    model = fastnn.Sequential(stack)
    exact = [model.predict_on_batch(x) for _ in range(3)][-1]  # the short way of small batches
    with fastnn.float32_matmul_precision("medium"):
        other = model.predict_on_batch(x)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(model.predict_on_batch(x)))
        thread.start()
        thread.join()
        assert [model.predict_on_batch(x).tobytes() for _ in range(3)] == [other.tobytes()] * 3
    assert seen[0].tobytes() == exact.tobytes() != other.tobytes()
    assert np.allclose(other, exact, atol=0.1)
    assert model.predict_on_batch(x).tobytes() == exact.tobytes()
    double = fastnn.Sequential([layers.Dense(50, input_shape=(60,), dtype="float64")])
    before = double.predict(x, verbose=0)
    with fastnn.float32_matmul_precision("medium"):
        assert double.predict(x, verbose=0).tobytes() == before.tobytes()


def test_training_reaches_the_same_accuracy_in_every_mode():
    require_fashion_mnist()
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    x, x_test = x[:3000] / np.float32(255), x_test[:2000] / np.float32(255)
    reached = {}
    for mode in MODES:
        fastnn.set_random_seed(0)
        stack = [layers.Flatten(), layers.Dense(300, "relu"), layers.Dense(100, "relu"), layers.Dense(10, "softmax")]
        model = fastnn.Sequential(stack)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], matmul_precision=mode)
        model.fit(x, y[:3000], batch_size=128, epochs=5, verbose=0)
        reached[mode] = model.evaluate(x_test, y_test[:2000], verbose=0)[1]
    assert reached["highest"] > 0.7
    assert max(reached.values()) - min(reached.values()) < 0.02


@pytest.mark.skipif(TILES, reason="this CPU has tiles")
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_modes_without_a_unit_for_them_are_float32_to_the_bit(threads):
    assert {precision.used(m) for m in MODES} == {"float32"}
    digests = set()
    x, y = normal(np.random.default_rng(0), (256, 40)), np.arange(256) % 5
    for mode in MODES:
        with fastnn.float32_matmul_precision(mode):
            fastnn.set_random_seed(1)
            stack = [layers.Dense(50, "tanh"), layers.BatchNormalization(), layers.Dense(5, "softmax")]
            model = fastnn.Sequential(stack)
            model.compile("adam", "sparse_categorical_crossentropy", threads=threads, matmul_precision=mode)
            model.fit(x, y, epochs=2, verbose=0)
            digests.add(digest(model.engine()))
    assert len(digests) == 1


def test_setting_and_asking():
    assert fastnn.get_float32_matmul_precision() == "highest"
    fastnn.set_float32_matmul_precision("HIGH")
    assert fastnn.get_float32_matmul_precision() == "high"
    seen = []
    with fastnn.float32_matmul_precision("medium"):
        other = threading.Thread(target=lambda: seen.append(fastnn.get_float32_matmul_precision()))
        other.start()
        other.join()
        with fastnn.float32_matmul_precision("highest"):
            seen.append(fastnn.get_float32_matmul_precision())
        seen.append(fastnn.get_float32_matmul_precision())
    assert seen == ["high", "highest", "medium"]
    assert fastnn.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize("call", [
    fastnn.set_float32_matmul_precision, fastnn.float32_matmul_precision, precision.used,
    lambda name: fastnn.Sequential([layers.Dense(1)]).compile("sgd", "mse", matmul_precision=name),
])  # fmt: skip
def test_unknown_modes(call):
    with pytest.raises(ValueError, match="precision: expected one of 'highest', 'high', 'medium', got 'higher'."):
        call("higher")


def test_the_mode_of_a_model_is_in_its_file(tmp_path):
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", matmul_precision="high")
    model.save(tmp_path / "m")
    assert fastnn.models.load_model(tmp_path / "m").matmul_precision == "high"


def test_a_context_may_be_entered_again_within_itself():
    context = precision.float32_matmul_precision("high")
    with context, context:
        assert precision.get_float32_matmul_precision() == "high"
    assert precision.get_float32_matmul_precision() == "highest"
