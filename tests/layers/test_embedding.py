"""Embedding: rows of a table, their gradient and update, and integers that are no rows.

References: NumPy's indexing and `np.add.at`, in float64, and the optimizers of `reference`.
"""

import tracemalloc

import numpy as np
import pytest
import reference
from engine_tools import engine_of

import fastnn
from fastnn import layers
from fastnn.layers import Concatenate, Dense, Embedding, Flatten, GlobalAveragePooling1D, Input

ROWS, WIDTH, N = 11, 5, 70
RNG = np.random.default_rng(12)
INDICES = RNG.integers(0, ROWS - 2, (N, 3))  # the last two rows never occur
TARGETS = RNG.normal(size=(N, 3 * WIDTH))


def model_of(*more, rows=ROWS, dtype="float64", optimizer="sgd", loss="mse", **options):
    fastnn.set_random_seed(2)
    model = fastnn.Sequential([Input((3,)), Embedding(rows, WIDTH, **options), Flatten(), *more], dtype=dtype)
    model.compile(optimizer, loss, seed=1)
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 4, 5, 16, 33])
@pytest.mark.parametrize("given", [np.int64, np.uint8, np.float64, np.int16])
def test_results_are_rows_of_the_table(dtype, width, given):
    model = fastnn.Sequential([Input((3,)), Embedding(ROWS, width)], dtype=dtype)
    (table,) = model.get_weights()
    assert table.shape == (ROWS, width) and np.abs(table).max() <= 0.05 and model.output_shape == (None, 3, width)
    found = model.predict(INDICES.astype(given), verbose=0)
    np.testing.assert_array_equal(found, table[INDICES])


def gradient(table, indices, targets):
    """Of the mean squared error of the rows."""
    dy = 2 * (table[indices].reshape(targets.shape) - targets) / targets.size
    found = np.zeros_like(table)
    np.add.at(found, indices, dy.reshape(*indices.shape, table.shape[1]))
    return found


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("batch", [16, 70])
def test_training_is_that_of_numpy(schedule, batch):
    """Adam moves rows that do not occur any more: its moments decay. A penalty and decay reach all rows."""
    model = model_of(optimizer=fastnn.AdamW(0.05, weight_decay=0.1), embeddings_regularizer=fastnn.regularizers.L2(0.3))
    (table,) = model.get_weights()
    steps = reference.AdamW(0.05, weight_decay=0.1)
    engine = engine_of(model, schedule=schedule)
    for _ in range(3):
        engine.fit_block(INDICES, TARGETS, None, None, 0, N, batch, np.full(-(-N // batch), 0.05))
        for start in range(0, N, batch):
            part = slice(start, start + batch)
            grad = gradient(table, INDICES[part], TARGETS[part]) + 2 * 0.3 * table
            steps.apply([table], [grad])
    np.testing.assert_allclose(model.get_weights()[0], table, rtol=1e-9, atol=1e-12)


def test_an_embedding_of_two_inputs_sums_their_gradients():
    table = Embedding(ROWS, WIDTH)
    a, b = Input((2,)), Input((1,))
    both = Concatenate()([Flatten()(table(a)), Flatten()(table(b))])
    model = fastnn.Model([a, b], both, dtype="float64")
    model.compile(fastnn.SGD(1.0), "mse")
    (before,) = model.get_weights()
    model.train_on_batch([INDICES[:, :2], INDICES[:, 2:]], TARGETS)
    moved = before - model.get_weights()[0]
    np.testing.assert_allclose(moved, gradient(before, INDICES, TARGETS), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("optimizer", ["adam", fastnn.SGD(0.1, clipnorm=0.1)], ids=["adam", "clipped"])
@pytest.mark.parametrize("n", [N, 600])  # 600 samples in a batch: chunks, in slots
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_number_of_threads(optimizer, n, dtype):
    x, found = np.random.default_rng(4).integers(0, ROWS, (n, 3)), set()
    y = np.random.default_rng(5).normal(size=(n, 2))
    for threads in (1, 2, 3, 8):
        model = model_of(Dense(7, "tanh"), Dense(2), dtype=dtype, optimizer=optimizer)
        model.fit(x, y, batch_size=512, epochs=3, threads=threads, verbose=0)
        found.add(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(found) == 1


def test_nothing_is_allocated_after_the_first_step():
    more = [layers.TimeDistributed(layers.Maxout(3)), layers.Permute((2, 1)), GlobalAveragePooling1D(), Dense(2)]
    stack = [Input((3,)), Embedding(ROWS, WIDTH), *more]
    model = fastnn.Sequential(stack)
    model.compile("adam", "mse", seed=1)
    engine, y, rates = engine_of(model, threads=2), np.zeros((N, 2), np.float32), np.full(5, 1e-3)
    for _ in range(3):
        engine.fit_block(INDICES, y, None, None, 0, N, 16, rates)
    tracemalloc.start()
    engine.fit_block(INDICES, y, None, None, 0, N, 16, rates)
    before = tracemalloc.take_snapshot()
    for _ in range(50):
        engine.fit_block(INDICES, y, None, None, 0, N, 16, rates)
    changes = tracemalloc.take_snapshot().compare_to(before, "filename")
    tracemalloc.stop()
    assert sum(d.size_diff for d in changes if "tracemalloc" not in d.traceback[0].filename) < 2000


def test_gradients_agree_with_differences():
    model = model_of(Dense(4, "tanh"), Dense(2))
    assert model.check_gradients(INDICES, RNG.normal(size=(N, 2))).passed
    assert not model.input_gradient(INDICES, RNG.normal(size=(N, 2))).any()


@pytest.mark.parametrize(("wrong", "words"), [
    (ROWS, f"expected integers 0 to {ROWS - 1} for an Embedding of {ROWS} rows, got {ROWS} in row 4"),
    (-1, ".*got -1 in row 4"), (2.5, ".*got 2.5 in row 4"),
])  # fmt: skip
def test_integers_that_are_no_rows(wrong, words):
    x = INDICES.astype(type(wrong))
    x[4, 1] = wrong
    model = model_of(Dense(2))
    functional = fastnn.Model([a := Input((3,), name="words"), b := Input((2,))],
                              Concatenate()([GlobalAveragePooling1D()(Embedding(ROWS, 2)(a)), b]))  # fmt: skip
    for call in (
        lambda: model.predict(x, verbose=0), lambda: model.fit(x, TARGETS[:, :2], verbose=0),
        lambda: model.train_on_batch(x, TARGETS[:, :2]), lambda: model.predict_on_batch(x),
    ):  # fmt: skip
        model.predict_on_batch(INDICES)
        with pytest.raises(ValueError, match="x: " + words):
            call()
    with pytest.raises(ValueError, match=r"x\['words'\]: " + words):
        functional.predict([x, TARGETS[:, :2]], verbose=0)


def test_an_index_that_a_layer_makes_and_is_no_row_gives_nan():
    model = fastnn.Sequential([Input((2,)), layers.Rescaling(1.0), Embedding(4, 5)], dtype="float64")
    found = model.predict(np.array([[0.0, 3.0], [4.0, 1.0], [-0.5, 2.0]]), verbose=0)
    assert np.isnan(found).all(axis=2).tolist() == [[False, False], [True, False], [True, False]]


def test_arguments(tmp_path):
    table = RNG.normal(size=(ROWS, WIDTH))
    layer = Embedding(ROWS, WIDTH, "he_normal", "l1", "unit_norm", weights=[table], name="words")
    model = fastnn.Sequential([Input((3,)), layer, GlobalAveragePooling1D()], dtype="float64")
    np.testing.assert_array_equal(model.get_weights()[0], table)
    again = layers.from_description(layer.describe())
    assert again.get_config() == layer.get_config() and "weights" not in layer.get_config()
    model.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn")
    assert loaded.predict(INDICES, verbose=0).tobytes() == model.predict(INDICES, verbose=0).tobytes()
    model.compile("sgd", "mse")
    model.train_on_batch(INDICES, RNG.normal(size=(N, WIDTH)))
    np.testing.assert_allclose(np.linalg.norm(model.get_weights()[0], axis=0), 1, rtol=1e-6)
    layer.trainable = False
    before = model.get_weights()[0]
    model.train_on_batch(INDICES, RNG.normal(size=(N, WIDTH)))
    np.testing.assert_array_equal(before, model.get_weights()[0])


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Embedding(0, 3), "input_dim"), (lambda: Embedding(3, 2.5), "output_dim"),
    (lambda: Embedding(3, 2, mask_zero=True), "mask_zero: expected False"),
    (lambda: Embedding(3, 2, embeddings_regularizer="orthogonal_regularizer"), "expected L1, L2 or L1L2"),
    (lambda: fastnn.Sequential([Input((1,)), Embedding(2**24 + 1, 1)]), "expected at most 16777216 in float32"),
    (lambda: fastnn.Sequential([Input((1,)), Embedding(3, 2, weights=np.ones((2, 2)))]), r"expected shape \(3, 2\)"),
])  # fmt: skip
def test_errors(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()
