"""Plans that networks of one structure share: the same bits, nothing mixed up, no hold on any model."""

import copy
import gc
import inspect
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import constraints, layers, losses, optimizers, regularizers
from fastnn._core import executor
from fastnn.engine import plan_cache, program
from fastnn.engine.engine import Engine
from fastnn.engine.schedule import Split
from fastnn.training import arguments

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 6)).astype(np.float32)
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2]], 1)
LABELS = (X[:, 0] > 0).astype(np.int32)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(plan_cache, "_kept", type(plan_cache._kept)())


def network(
    between=(), dense=None, last=None, optimizer="adam", loss="mse", metrics=(), dtype=None, before=(), **kwargs
):
    first = layers.Dense(**{"units": 20, "activation": "relu", **(dense or {})})
    model = fastnn.Sequential([*before, first, *between, layers.Dense(2, **(last or {}))], dtype=dtype)
    model.build((None, 6))
    model.compile(optimizer, loss, metrics=list(metrics), **kwargs)
    return model


# A thunk for each thing that a plan depends on; all of them are different structures.
DIFFERENT = [
    lambda: network(),
    lambda: network(dense={"units": 21}),
    lambda: network(dense={"activation": "tanh"}),
    lambda: network(dense={"activation": fastnn.activations.leaky_relu}),
    lambda: network(dense={"activation": fastnn.activations.leaky_relu.using(negative_slope=0.5)}),
    lambda: network(dense={"use_bias": False}),
    lambda: network(dense={"trainable": False}),
    lambda: network(dense={"kernel_regularizer": regularizers.L2(0.1)}),
    lambda: network(dense={"kernel_regularizer": regularizers.L2(0.2)}),
    lambda: network(dense={"kernel_regularizer": regularizers.L1(0.1)}),
    lambda: network(dense={"bias_regularizer": regularizers.L2(0.1)}),
    lambda: network(dense={"kernel_regularizer": regularizers.OrthogonalRegularizer(0.1)}),
    lambda: network(dense={"kernel_regularizer": regularizers.OrthogonalRegularizer(0.2)}),
    lambda: network(dense={"kernel_regularizer": regularizers.OrthogonalRegularizer(0.1, "columns")}),
    lambda: network(dense={"activity_regularizer": regularizers.L2(0.1)}),
    lambda: network(dense={"activity_regularizer": regularizers.L2(0.2)}),
    lambda: network(dense={"kernel_constraint": constraints.MaxNorm(1.0)}),
    lambda: network(dense={"kernel_constraint": constraints.MaxNorm(2.0)}),
    lambda: network(dense={"kernel_constraint": constraints.MaxNorm(2.0, axis=1)}),
    lambda: network(dense={"kernel_constraint": "non_neg"}),
    lambda: network(last={"kernel_constraint": "non_neg"}),
    lambda: network(weight_decay=0.1),
    lambda: network(weight_decay=0.2),
    lambda: network(dtype="float64"),
    lambda: network([layers.Dense(20, "relu")]),
    lambda: network([layers.Dropout(0.1)]),
    lambda: network([layers.Dropout(0.2)]),
    lambda: network([layers.GaussianNoise(0.2)]),
    lambda: network([layers.BatchNormalization()]),
    lambda: network([layers.BatchNormalization(momentum=0.5)]),
    lambda: network([layers.BatchNormalization(epsilon=0.5)]),
    lambda: network([layers.BatchNormalization(trainable=False)]),
    lambda: network([layers.LayerNormalization()]),
    lambda: network([layers.PReLU()]),
    lambda: network(before=[layers.Rescaling(0.5)]),
    lambda: network(before=[layers.Rescaling(0.5, offset=1.0)]),
    lambda: network(loss="mae"),
    lambda: network(loss=losses.Huber(0.5)),
    lambda: network(loss=losses.Huber(0.7)),
    lambda: network(loss=losses.MeanSquaredError(reduction="sum")),
    lambda: network(loss="sparse_categorical_crossentropy"),
    lambda: network(last={"activation": "softmax"}, loss="sparse_categorical_crossentropy"),
    lambda: network(metrics=["mae"]),
    lambda: network(metrics=["mae", "mse"]),
    lambda: network(optimizer="sgd"),
    lambda: network(optimizer=optimizers.AdamW(weight_decay=0.1)),
    lambda: network(optimizer=optimizers.AdamW(weight_decay=0.2)),
    lambda: network(optimizer=optimizers.Adam(clipvalue=0.1)),
    lambda: network(optimizer=optimizers.Adam(clipnorm=0.1)),
    lambda: network(optimizer=optimizers.Adam(global_clipnorm=0.1)),
    lambda: network(optimizer=optimizers.Adam(gradient_accumulation_steps=2)),
    lambda: network(optimizer=optimizers.Adam(use_ema=True)),
    lambda: network(optimizer=optimizers.Adam(use_ema=True, ema_momentum=0.5)),
]


def structure(model):
    targets = LABELS if model.loss.target == "labels" else Y
    arguments.data(model, X, targets)
    return model.engine().structure


def test_all_that_matters_is_in_the_structure():
    found = [structure(make()) for make in DIFFERENT]
    for i, one in enumerate(found):
        assert one is not None
        assert [k for k, other in enumerate(found) if other == one] == [i]


@pytest.mark.parametrize("same", [
    lambda: network(),
    lambda: network(optimizer=optimizers.Adam(0.5, beta_1=0.5, epsilon=0.1)),
    lambda: network(optimizer=optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))),
    lambda: network(seed=7, threads=2),
    lambda: network(dense={"kernel_initializer": "he_normal", "name": "another"}),
])  # fmt: skip
def test_rates_seeds_and_weights_are_not(same):
    assert structure(same()) == structure(network())


def test_every_argument_of_an_engine_is_thought_of():
    """A new one belongs into `plans.structure`, unless plans cannot depend on it; then here."""
    in_the_structure = {"graph", "x", "y", "dtype", "loss", "optimizer", "metrics", "weighted_metrics", "isa",
                         "weight_decay", "store", "counters", "loss_weights", "metric_outputs", "order"}  # fmt: skip
    of_the_request, of_no_plan = {"schedule", "precision"}, {"self", "seed", "threads"}
    assert set(inspect.signature(Engine.__init__).parameters) == in_the_structure | of_the_request | of_no_plan


def seeded(make, seed):
    fastnn.set_random_seed(seed)
    return make()


def all_of(model):
    """Everything a model can be made to do, one after the other, as bits."""
    y = LABELS if model.loss.target == "labels" else Y
    for batch_size in (16, 70, 300):  # the last two in chunks, one of them with several slots
        yield from model.fit(X, y, batch_size=batch_size, epochs=2, verbose=0).history.values()
    yield from (model.evaluate(X, y, verbose=0), model.predict(X, verbose=0), model.train_on_batch(X[:8], y[:8]))
    yield from (model.predict(X[:1], verbose=0), model.train_on_batch(X[:8], y[:8]), *model.get_weights())


def bits(found):
    return [np.asarray(a).tobytes() for a in found]


@pytest.mark.parametrize("make", DIFFERENT)
def test_models_of_one_plan_do_what_they_would_do_alone(make, monkeypatch):
    first = bits(all_of(seeded(make, 1)))
    plan_cache._kept.clear()
    second = bits(all_of(seeded(make, 2)))
    assert first != second
    monkeypatch.setattr(program.lowering, "lower", None)  # nothing is planned from here on
    pair = [all_of(seeded(make, seed)) for seed in (1, 2)]
    both = list(zip(*pair, strict=True))  # in turns
    assert [bits(found) for found in zip(*both, strict=True)] == [first, second]


@pytest.mark.parametrize("batch_size", [16, 70])
def test_networks_of_one_plan_train_side_by_side(batch_size):
    """Each in memory of its own: whatever they do at the same time, and with whatever is kept within a step."""

    def build():
        between = [layers.BatchNormalization(), layers.Dense(30, "tanh"), layers.Dropout(0.1)]
        return network(between, {"activation": None, "kernel_regularizer": regularizers.L2(0.1)})

    options = {"epochs": 150, "batch_size": batch_size, "validation_split": 0.2, "keep": "all", "seed": 0, "verbose": 0}
    one, four = (fastnn.sweep(build, 8, X, Y, workers=n, **options) for n in (1, 4))
    assert one.history == four.history
    weights = ([bits(found.models[k].get_weights()) for k in range(8)] for found in (one, four))
    assert next(weights) == next(weights)


class Twice(layers.Layer):
    def call(self, x, training):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def python_loss(y_true, y_pred):
    return ((y_pred - y_true) ** 2).mean(1), y_pred - y_true


@pytest.mark.parametrize("make", [
    lambda: network([Twice()]), lambda: network(loss=python_loss),
    lambda: network(metrics=[lambda y_true, y_pred: np.zeros(len(y_true))]),
])  # fmt: skip
def test_what_calls_python_is_planned_for_each_model(make):
    model = make()
    model.fit(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert model.engine().structure is None and not plan_cache._kept


def test_as_many_plans_are_kept_as_is_said_and_no_large_ones(monkeypatch):
    monkeypatch.setattr(plan_cache, "MOST", 3)
    model = network()
    for batch_size in (7, 8, 9, 10):
        model.fit(X, Y, batch_size=batch_size, verbose=0, health=False)
        network().fit(X, Y, batch_size=8, verbose=0, health=False)  # the one used last goes last
    assert [request[1] for _, request in plan_cache._kept] == [9, 10, 8]
    monkeypatch.setattr(plan_cache, "LARGEST", 100)
    before = list(plan_cache._kept)
    network(dense={"kernel_constraint": constraints.MaxNorm(2.0, axis=1)}).fit(X, Y, verbose=0)
    assert list(plan_cache._kept) == before


@pytest.mark.parametrize("large", [False, True])
def test_a_model_leaves_memory_with_its_last_name(large):
    """Without a look for cycles, though its plans and its history are still there."""
    width = 600 if large else 6
    model = network(
        [layers.BatchNormalization(), layers.Dropout(0.1), layers.Dense(width), layers.Dense(width)], metrics=["mae"]
    )
    gc.collect()
    gc.disable()
    try:
        history = model.fit(X, Y, epochs=3, validation_split=0.2, verbose=0)
        for _ in range(2):
            model.predict(X, verbose=0), model.train_on_batch(X[:4], Y[:4]), model.predict(X[:1], verbose=0)
        # layers of small models stay for `history.findings`, see doctor/seen.py
        parts = [weakref.ref(o) for o in (model, model.engine(), model.engine().store)]
        parts += [weakref.ref(o) for o in (*model.layers, *model.weights) if large]
        assert history.model is model
        del model
        assert [part() for part in parts if part() is not None] == []
        assert history.model is None and len(history.history["val_mae"]) == 3 and plan_cache._kept
        if large:
            with pytest.raises(RuntimeError, match="findings: expected that the model of the history exists"):
                history.findings  # noqa: B018
        else:
            assert isinstance(history.findings, list)
    finally:
        gc.enable()


def test_a_copy_has_a_history_of_its_own():
    model = network()
    model.fit(X, Y, epochs=2, verbose=0)
    twin = copy.deepcopy(model)
    assert twin.history.model is twin and model.history.model is model
    assert twin.history.history == model.history.history


SHARED = regularizers.L2(0.01)


def change_regularizer(model):
    model.layers[0].kernel_regularizer.l2 = 5.0


def change_factor(model):
    model.layers[0].kernel_regularizer.factor = 5.0


def change_constraint(model):
    model.layers[0].kernel_constraint.numbers = (0.0, 0.01, 1.0)


def change_decay(model):
    model.optimizer.weight_decay = 3.0


def put_another(model):
    model.layers[0].kernel.regularizer = regularizers.L2(5.0)


@pytest.mark.parametrize("dense, optimizer, change", [
    ({"kernel_regularizer": lambda: regularizers.L2(0.01)}, lambda: "sgd", change_regularizer),
    ({"kernel_regularizer": lambda: SHARED}, lambda: "sgd", change_regularizer),
    ({"kernel_regularizer": lambda: regularizers.L2(0.01)}, lambda: "sgd", put_another),
    ({"kernel_regularizer": lambda: regularizers.OrthogonalRegularizer(0.01)}, lambda: "sgd", change_factor),
    ({"kernel_constraint": lambda: constraints.MaxNorm(0.5)}, lambda: "sgd", change_constraint),
    ({}, lambda: optimizers.AdamW(0.01, weight_decay=0.01), change_decay),
])  # fmt: skip
def test_numbers_that_are_changed_later_reach_no_plan_of_others(dense, optimizer, change):
    """Nor one of the model itself, before the next compile: not even for a size of batches that is new to it."""
    made = []

    def trained(batch, model=None):
        if model is None:
            fastnn.set_random_seed(1)
            model = network(dense={n: make() for n, make in dense.items()}, optimizer=optimizer(), seed=3)
        made.append(model)
        model.fit(X, Y, batch_size=batch, shuffle=False, verbose=0)
        return model.get_weights()

    l2 = SHARED.l2
    try:
        both = trained(32), trained(70, made[0])
        alone = trained(70)
        plan_cache._kept.clear()
        first = trained(32)
        change(made[-1])
        second = trained(70, made[-1])
        SHARED.l2 = l2
        new = trained(70)
    finally:
        SHARED.l2 = l2
    for found, expected in ((first, both[0]), (second, both[1]), (new, alone)):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("part, most", [("p", 13), ("n", 10), ("s", 8), ("fn", 3)])
def test_more_operands_than_an_operation_has_room_for_are_refused(part, most):
    """They would be written past its end; as many as fit are taken."""
    split = Split.of_items("one", 1, (1, 1, 0, 1))

    def plan(count):
        given = {"p": [], "n": [], "s": [], "fn": []} | {part: [None if part in ("p", "fn") else 0] * count}
        executor.Operations(
            None, np.float32, [("add", *given.values(), split, False)], [], ("arena",), (), None, None, 8, 8, 1
        )

    plan(most)
    with pytest.raises(ValueError, match=f"operation 0, add: expected at most {most} of {part}, got {most + 1}"):
        plan(most + 1)
