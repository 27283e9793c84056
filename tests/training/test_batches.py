"""Data that comes in batches: the same bits as the array they were cut from, epochs, steps, and what is refused."""

import types

import numpy as np
import pytest

import fastnn
from fastnn import callbacks as cb

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 4)), RNG.integers(0, 3, 50)
W = RNG.uniform(0.5, 2, 50)


def model(**options):
    fastnn.set_random_seed(1)
    m = fastnn.Sequential([
        fastnn.layers.Dense(8, "relu"),  # not built: weights are drawn when the first data come
        fastnn.layers.BatchNormalization(), fastnn.layers.Dropout(0.2),
        fastnn.layers.Dense(3, "softmax")])  # fmt: skip
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], seed=3, **options)
    return m


def cut(size=16, weights=False):
    for i in range(0, 50, size):
        yield (X[i : i + size], Y[i : i + size], *([W[i : i + size]] if weights else []))


class Iterable:
    """Like a data set of TensorFlow: can be iterated again and again, has no length."""

    def __init__(self, **how):
        self.how, self.begun = how, 0

    def __iter__(self):
        self.begun += 1
        return cut(**self.how)


class Tensor:
    """A tensor of another library: an array comes out of __array__ only."""

    def __init__(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return self.value


class Loader:
    """Like a loader of PyTorch: a length, iteration, lists of tensors."""

    def __len__(self):
        return 4

    def __iter__(self):
        return ([Tensor(x), Tensor(y)] for x, y in cut())


class Numbered:
    """Like keras.utils.PyDataset."""

    def __init__(self, size=16):
        self.batches, self.asked, self.ends = list(cut(size)), [], 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        self.asked.append(i)
        return self.batches[i]

    def on_epoch_end(self):
        self.ends += 1


def endless(size=16):
    while True:
        yield from cut(size)


def same(a, b):
    return all(v.tobytes() == w.tobytes() for v, w in zip(a.get_weights(), b.get_weights(), strict=True))


def of_arrays(epochs=2, **options):
    m = model()
    m.fit(X, Y, 16, epochs, verbose=0, shuffle=False, **options)
    return m


@pytest.mark.parametrize("source", [Iterable, Loader, Numbered])
def test_same_bits_as_the_array(source):
    whole, m = of_arrays(), model()
    history = m.fit(source(), epochs=2, verbose=0, shuffle=False).history
    assert same(m, whole) and history == whole.history.history
    assert m.evaluate(source(), verbose=0) == pytest.approx(whole.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_allclose(m.predict(source(), verbose=0), whole.predict(X, verbose=0), rtol=1e-6)


def test_weights_and_classes():
    m = model()
    m.fit(Iterable(weights=True), epochs=2, verbose=0, class_weight={1: 2.0})
    assert same(m, of_arrays(sample_weight=W, class_weight={1: 2.0})) and not same(m, of_arrays())


def test_an_endless_generator():
    m = model()
    history = m.fit(endless(), epochs=2, steps_per_epoch=4, verbose=0)
    assert same(m, of_arrays()) and len(history.epoch) == 2
    m = model()  # epochs of 3 steps go on where the last one stopped: 6 of the 8 steps
    m.fit(endless(), epochs=2, steps_per_epoch=3, verbose=0)
    first = model()
    first.fit(endless(), epochs=1, steps_per_epoch=6, verbose=0)
    assert same(m, first)


def test_an_iterable_is_begun_again_when_it_ends():
    source, m = Iterable(), model()
    m.fit(source, epochs=2, steps_per_epoch=3, verbose=0)
    first = model()
    first.fit(endless(), epochs=1, steps_per_epoch=6, verbose=0)
    assert same(m, first) and source.begun == 2


def test_a_generator_is_one_epoch():
    m = model()
    with pytest.warns(UserWarning, match="x: the generator ended, training stops after epoch 1 of 5"):
        history = m.fit(cut(), epochs=5, verbose=0)
    assert history.epoch == [0] and same(m, of_arrays(1))
    m = model()
    with pytest.warns(UserWarning, match="x: expected 3 batches, got 1 before the generator ended"):
        history = m.fit(cut(), epochs=5, steps_per_epoch=3, verbose=0)
    assert history.epoch == [0, 1] and same(m, of_arrays(1))


def test_a_numbered_data_set_is_shuffled_by_batches():
    source, m = Numbered(), model()
    m.fit(source, epochs=3, verbose=0)
    asked = source.asked[1:]  # the first is a look at what it is
    epochs = [asked[i : i + 4] for i in (0, 4, 8)]
    assert all(sorted(e) == [0, 1, 2, 3] for e in epochs) and len(set(map(tuple, epochs))) > 1 and source.ends == 3
    again = Numbered()
    model().fit(again, epochs=3, verbose=0)
    assert again.asked == source.asked


def test_validation_and_hooks():
    class Count(cb.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            assert logs["loss"] > 0

    count, m = Count(), model()
    m.fit(Iterable(), epochs=2, validation_data=Iterable(), validation_steps=2, verbose=0, callbacks=[count])
    assert count.batches == 8 and count.params["steps"] is None
    value = m.evaluate(X[:32], Y[:32], verbose=0, return_dict=True)
    assert m.history.history["val_loss"][-1] == pytest.approx(value["loss"], rel=1e-6)
    m.fit(X, Y, validation_data=(X, Y), validation_steps=2, validation_batch_size=16, verbose=0,
          callbacks=[cb.EarlyStopping("val_accuracy")])  # fmt: skip
    value = m.evaluate(X, Y, batch_size=16, steps=2, verbose=0)
    assert m.history.history["val_loss"][-1] == pytest.approx(value[0], rel=1e-6)
    # "auto" finds the direction although no batch has been trained on yet
    model().fit(Iterable(), verbose=0, callbacks=[cb.EarlyStopping("accuracy")])


def test_steps_of_evaluate_and_predict():
    m = of_arrays()
    assert m.predict(X, 16, 0, 2).shape == (32, 3) and m.predict(endless(), steps=2, verbose=0).shape == (32, 3)
    assert m.predict((x for x, _ in cut()), verbose=0).shape == (50, 3)
    assert m.evaluate(endless(), steps=2, verbose=0)[0] == pytest.approx(m.evaluate(X[:32], Y[:32], verbose=0)[0])


def test_a_real_torch_loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    m = model()
    m.fit(torch.utils.data.DataLoader(data, batch_size=16), epochs=2, verbose=0)
    assert same(m, of_arrays())


def test_a_real_keras_data_set():
    keras = pytest.importorskip("keras")

    class Cut(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return list(cut())[i]

    m = model()
    m.fit(Cut(), epochs=2, shuffle=False, verbose=0)
    assert same(m, of_arrays())


BAD = [
    (lambda m: m.fit(cut(), Y), ValueError, "y: expected None, as x yields complete batches"),
    (lambda m: m.fit(cut(), batch_size=3), ValueError, "batch_size: expected None, as x yields"),
    (lambda m: m.fit(cut(), validation_split=0.5), ValueError, "validation_split: expected 0 for batches"),
    (lambda m: m.fit(x for x, _ in cut()), ValueError, r"x: expected batches \(x, y\)"),
    (lambda m: m.fit(iter([])), ValueError, "x: expected at least one batch, got none"),
    (lambda m: m.fit(types.SimpleNamespace()), TypeError, "x: expected"),
    (lambda m: m.fit(iter([(X, Y, W, W)])), ValueError, "got 4 parts"),
    (lambda m: m.fit(iter([(X, Y), (X[:, :2], Y)])), ValueError,
     r"x, batch 1, x: expected shape \(n, 4\), got \(50, 2\)"),
    (lambda m: m.fit(iter([(X, Y), (X, Y + 1)])), ValueError, "x, batch 1, y: expected classes 0 to 2.*got 3 in row"),
    (lambda m: m.fit(iter([(X, Y), (X * np.inf, Y)])), ValueError,
     "x, batch 1, x: .* got -?(inf|nan) in row 0, column 0"),
    (lambda m: m.fit(iter([(X[:0], Y[:0])])), ValueError, "x, batch 0, x: expected at least one row"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_errors(number):
    call, exception, words = BAD[number]
    with pytest.raises(exception, match=words):
        call(model())


def test_sparse_matrices_are_refused_with_advice():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"x: expected a dense array, got a sparse csr_matrix; use x.toarray\(\)"):
        model().fit(sparse.csr_matrix(X), Y)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library):
    frames = pytest.importorskip(library)
    names = list("abcd")
    frame = frames.DataFrame({n: X[:, i] for i, n in enumerate(names)})
    m = model()
    m.fit(frame, frames.Series(Y), 16, 2, verbose=0, shuffle=False, sample_weight=frames.Series(W))
    assert same(m, of_arrays(sample_weight=W))
    np.testing.assert_array_equal(m.predict(frame, verbose=0), m.predict(X, verbose=0))
    with pytest.raises(TypeError, match="x: expected numbers"):
        m.predict(frames.DataFrame({n: ["a", "b"] for n in names}))


@pytest.mark.slow
def test_a_memory_map_larger_than_it_should_be_in_memory(tmp_path):
    """4 GiB on a sparse file; a step or an epoch of a few must not read it all."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "big"
    rows = 1 << 22
    with open(path, "wb") as file:
        file.truncate(rows * 256 * 4)
    x = np.memmap(path, np.float32, "r", shape=(rows, 256))
    y = np.zeros(rows, np.int8)
    m = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(256,))])
    m.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(x[:1000], y[:1000], verbose=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    m.fit(x, y, steps_per_epoch=200, verbose=0, check_finite=False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 500_000  # KiB: labels and order of 4 million rows, and the pages that were touched


@pytest.mark.slow
def test_more_elements_than_32_bits_count(tmp_path):
    path = tmp_path / "big"
    rows = (1 << 31) // 64 + 1000
    with open(path, "wb") as file:
        file.truncate(rows * 64)
    x = np.memmap(path, np.uint8, "r+", shape=(rows, 64))
    x[-3:] = 7
    m = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(64,))])
    small = np.zeros((8, 64), np.uint8)
    small[-3:] = 7
    m.compile("sgd", "mse")
    np.testing.assert_array_equal(m.predict(x[-8:], verbose=0), m.predict(small, verbose=0))
    m.fit(x, np.zeros((rows, 2), np.int8), batch_size=1 << 20, epochs=1, steps_per_epoch=1, verbose=0, shuffle=False,
          check_finite=False)  # fmt: skip


def test_a_generator_of_validation_that_has_ended_is_no_zero():
    x, y = np.ones((16, 10), "f4"), np.zeros(16, int)
    with pytest.raises(ValueError, match="validation_data: expected at least one batch, got none"):
        model().fit(x, y, epochs=3, verbose=0, validation_data=iter([(x, y)]))


@pytest.mark.parametrize("of", [lambda batches: batches, iter])
def test_none_is_no_end(of):
    class Numbered:
        def __init__(self, batches):
            self.batches = batches

        def __len__(self):
            return len(self.batches)

        def __getitem__(self, i):
            return self.batches[i]

        def __iter__(self):
            return iter(self.batches)

    batch = np.ones((16, 10), "f4"), np.zeros(16, int)
    with pytest.raises(ValueError, match="x: expected batches .x, y."):
        model().fit(of(Numbered([batch, None, batch])), shuffle=False, verbose=0)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "2"])
def test_steps_are_a_whole_number(steps):
    batches = [(np.ones((16, 10), "f4"), np.zeros(16, int))]
    for call in (model().evaluate, model().predict):
        with pytest.raises((TypeError, ValueError), match="steps: expected"):
            call(iter(batches), steps=steps, verbose=0)
