"""``loss="crossentropy"``: the cross-entropy that fits the model and its targets."""

import copy

import numpy as np
import pytest
import reference as ref

import fastnn
from fastnn import layers, losses

X = np.random.default_rng(0).normal(size=(12, 4))
LABELS = np.arange(12) % 3
ONE_HOT, YES = np.eye(3)[LABELS], (LABELS > 0) * 1.0
SEVERAL = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])[LABELS]


def model(units, activation, name="crossentropy", **options):
    made = fastnn.Sequential([layers.Dense(units, activation, input_shape=(4,))], dtype="float64")
    made.compile(fastnn.SGD(0.0), name, seed=1, **options)
    return made


CASES = [
    (1, "sigmoid", YES, "BinaryCrossentropy", lambda z: ref.binary_crossentropy(YES[:, None], z, True)),
    (1, None, YES, "BinaryCrossentropy", lambda z: ref.binary_crossentropy(YES[:, None], z, True)),
    (3, "softmax", LABELS, "SparseCategoricalCrossentropy", lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, "softmax", LABELS[:, None], "SparseCategoricalCrossentropy",
     lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, None, LABELS, "SparseCategoricalCrossentropy", lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, "log_softmax", LABELS, "SparseCategoricalCrossentropy",
     lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, "softmax", ONE_HOT, "CategoricalCrossentropy", lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, None, ONE_HOT, "CategoricalCrossentropy", lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, "log_softmax", ONE_HOT, "CategoricalCrossentropy", lambda z: ref.categorical_crossentropy(ONE_HOT, z, True)),
    (3, "sigmoid", SEVERAL, "BinaryCrossentropy", lambda z: ref.binary_crossentropy(SEVERAL, z, True)),
]  # fmt: skip


@pytest.mark.parametrize(("units", "activation", "y", "cls", "right"), CASES)
@pytest.mark.parametrize("name", ["crossentropy", "ce", "log_loss"])
def test_the_one_that_fits(units, activation, y, cls, right, name):
    made = model(units, activation, name)
    assert made.loss == name
    made.predict(X, verbose=0)  # planned before any targets came
    kernel, bias = made.get_weights()
    value, _ = right(X @ kernel + bias)
    found = made.fit(X, y, batch_size=12, verbose=0).history["loss"][0]
    assert type(made.loss).__name__ == cls
    assert found == pytest.approx(np.mean(value), rel=1e-12)
    for ask in (made.evaluate, made.test_on_batch, made.train_on_batch):
        assert ask(X, y, **({"verbose": 0} if ask == made.evaluate else {})) == pytest.approx(np.mean(value), rel=1e-12)


def test_as_the_metric_of_the_name():
    made = model(3, "softmax", metrics=["crossentropy", "accuracy"])
    found = made.evaluate(X, LABELS, verbose=0)
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_the_first_targets_decide():
    made = model(3, "softmax")
    made.fit(X, LABELS, verbose=0)
    with pytest.raises(ValueError, match=r"y: expected class labels of shape \(n,\), got shape \(12, 3\)"):
        made.evaluate(X, ONE_HOT, verbose=0)
    made.compile("sgd", "crossentropy")
    made.fit(X, ONE_HOT, verbose=0, validation_data=(X, ONE_HOT))
    made.pop()
    made.add(layers.Dense(1, "sigmoid"))
    made.fit(X, YES, verbose=0)
    assert type(made.loss) is losses.BinaryCrossentropy


def test_copies_and_files(tmp_path):
    made = model(3, "softmax")
    for used in (False, True):
        made.save(tmp_path / "m", overwrite=True)
        for other in (copy.deepcopy(made), fastnn.models.load_model(tmp_path / "m")):
            assert other.evaluate(X, LABELS, verbose=0) == made.evaluate(X, LABELS, verbose=0)
        assert used is False or type(made.loss) is losses.SparseCategoricalCrossentropy


def test_sweep():
    def best(name):
        fastnn.set_random_seed(0)
        result = fastnn.sweep(lambda n: model(3, "softmax", name), [{"n": 1}, {"n": 2}], X, LABELS, epochs=2, verbose=0)
        return result.best["loss"]

    assert best("crossentropy") == best("sparse_categorical_crossentropy")


def test_alone_it_says_which_there_are():
    with pytest.raises(ValueError, match="'SparseCategoricalCrossentropy'.*depends on the model and its targets"):
        losses.get("crossentropy")
