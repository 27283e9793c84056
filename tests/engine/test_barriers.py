"""Every barrier that is needed is there: shown by virtual teams, which know nothing of how barriers are derived.

(a) One real thread plays the threads of a team in adversarial orders (_core/virtual_team.pyx). Where a barrier is
    missing, weights, outputs, losses or the optimizer's state have other bits than those of one thread in some order.
(b) That the checker can fail is shown by removing the barriers of plans one by one: it must report each. What it does
    not report is a barrier too many, and must be in a table with the reason.
(c) What it does not see, the thread sanitizer may: races within one operation, and in what is not planned (races.py).
"""

import numpy as np
import pytest
import test_plans
from engine_tools import virtual_teams
from layer_bodies import BODIES, OF_CASES, WIDTHS

import fastnn
from fastnn import layers, losses, optimizers
from fastnn.engine import plan_cache, program
from fastnn.layers import BatchNormalization, Dense, Dropout, LayerNormalization

N = 330
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype(np.float32)
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2]], 1)
LABELS = (X[:, 0] > 0).astype(np.int32)
WEIGHTS = RNG.uniform(size=N).astype(np.float32)


def residual(**options):
    inner = [Dense(20, "relu"), BatchNormalization(), Dense(20)]
    return test_plans.network([layers.Residual(inner), layers.Activation("tanh")], **options)


def by_labels(**options):
    loss = losses.SparseCategoricalCrossentropy(ignore_class=0)
    return test_plans.network(last={"activation": "softmax"}, loss=loss, metrics=["accuracy"], **options)


def shared():
    """Layers that are used twice."""
    inner = [Dense(20, "tanh"), BatchNormalization(), layers.PReLU(), LayerNormalization()]
    return test_plans.network([layers.Residual(inner), Dropout(0.1), layers.Residual(inner)])


MORE = {
    "residual": residual,
    "shared": shared,
    "residual, clipped": lambda: residual(optimizer=optimizers.Adam(global_clipnorm=0.1)),
    "plain": lambda: test_plans.network([Dense(130, "elu")], {"units": 150}),
    "wide": lambda: test_plans.network([BatchNormalization(), Dropout(0.1), Dense(130, "elu")], {"units": 150}),
    "before": lambda: test_plans.network(before=[BatchNormalization()]),
    "norms": lambda: test_plans.network([LayerNormalization(), BatchNormalization(), layers.PReLU()]),
    "noise": lambda: test_plans.network([layers.GaussianDropout(0.1), layers.AlphaDropout(0.1), layers.RReLU()]),
    "maxout": lambda: test_plans.network([layers.Maxout(9, 3), layers.ActivityRegularization(0.1, 0.1)]),
    "labels": by_labels,
    "ranks": lambda: by_labels(weighted_metrics=["accuracy"]),
    "layer in Python": lambda: test_plans.network([test_plans.Twice()]),
    "loss in Python": lambda: test_plans.network(loss=test_plans.python_loss),
}
MODELS = {**{f"{i:02}": make for i, make in enumerate(test_plans.DIFFERENT)}, **MORE}


def fitted(model, y, batch_size, epochs=2, **options):
    options |= {"health": "every", "on_nan": "ignore"}
    history = model.fit(X, y, batch_size=batch_size, epochs=epochs, verbose=0, **options)
    yield from history.history.values()
    yield from (getattr(history.health, name) for name in (*history.health.QUANTITIES, "total_gradient_norm"))


def by_hand(model, y):
    for _ in range(2):
        out = model.forward(X[:70], training=True)
        yield out
        yield model.backward(np.cos(np.arange(out.size)).reshape(out.shape))
        yield from model.gradients()
        model.apply_gradients(check_finite=False)
        yield from model.get_weights()


# What a model does -> results; programs of every kind, layer by layer and in chunks, in one call and in many.
KINDS = {
    "train 16": lambda model, y: fitted(model, y, 16),
    "train 300": lambda model, y: fitted(model, y, 300, 3),
    "weighted 70": lambda model, y: fitted(model, y, 70, sample_weight=WEIGHTS),
    "train_on_batch": lambda model, y: [model.train_on_batch(X[:70], y[:70]) for _ in range(2)],
    "evaluate": lambda model, y: [model.evaluate(X, y, verbose=0)],
    "predict": lambda model, y: [model.predict(X, verbose=0)],
    "manual": by_hand,
    "derivative": lambda model, y: model.loss_and_grad(model.get_parameters(), X, y),
    "gradient": lambda model, y: [model.input_gradient(X, y), model.input_gradient(X[:70], y[:70], training=True)],
}


def orders(team):
    """Of any two threads, either comes before the other in one of the first two; the others mix that."""
    forwards = tuple(range(team))
    return dict.fromkeys([forwards, forwards[::-1], forwards[1:] + forwards[:1], forwards[::2] + forwards[1::2]])


ADVERSARIAL = [order for team in (2, 3, 4, 8) for order in orders(team)]


def bits(make, kind):
    """All that a new model gives, and all memory that outlasts a step."""
    fastnn.set_random_seed(1)
    model = make()
    found = KINDS[kind](model, LABELS if model.loss.target == "labels" else Y)
    return [np.asarray(a).tobytes() for a in [*found, *model.get_weights(), *model.engine().store.flat.values()]]


def played(make, kind, *order):
    with virtual_teams(*order):
        return bits(make, kind)


def differing(make, kind):
    """The first order whose bits are not those of one thread, or None."""
    one = played(make, kind, 0)
    return next((order for order in ADVERSARIAL if played(make, kind, *order) != one), None)


@pytest.fixture(autouse=True)
def plans(monkeypatch):
    """Plans that are made in the test: the barriers of those that are cached for others may be changed as well."""
    made = []

    class Noted(program.Plan):
        def __init__(self, planner):
            super().__init__(planner)
            made.append(self)

    monkeypatch.setattr(plan_cache, "_kept", type(plan_cache._kept)())
    monkeypatch.setattr(program, "Plan", Noted)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_every_order_gives_the_bits_of_one_thread(name, kind):
    assert differing(MODELS[name], kind) is None


@pytest.mark.parametrize("kind", ["train 16", "weighted 70"])
@pytest.mark.parametrize("name", OF_CASES)
def test_every_layer_in_every_order(name, kind):
    assert differing(lambda: test_plans.network(BODIES[name](), {"units": WIDTHS[name]}), kind) is None


def test_a_virtual_team_does_what_real_threads_do():
    """Nor do not-a-numbers in its activations and scratch leave a trace."""
    for name in ("00", "28", "wide", "labels"):
        for kind in KINDS:
            assert played(MODELS[name], kind, 2, 0, 1) == bits(MODELS[name], kind), (name, kind)


def test_orders_that_are_none_are_refused():
    for order in ((), (1,), (0, 0), (0, 2), range(65)):
        with pytest.raises(ValueError, match="order: expected each of 0, 1"), virtual_teams(*order):
            MODELS["00"]().predict(X, verbose=0)


def unseen(make, kind, plans):
    """{(plan, operation): (kernels since the barrier before, kernel)} of barriers that can go unseen; their number."""
    plan_cache._kept.clear()
    one = played(make, kind, 0)  # plans, and their barriers, are from here on those in the cache
    found, count = [], 0
    for plan in list(plans):
        operations, barriers = plan.operations, plan.operations.barriers
        kernels = [op[0] for op in plan.ops]
        for i, barrier in enumerate(barriers):
            count += 1
            operations.barriers = barriers[:i] + barriers[i + 1 :]
            if all(played(make, kind, *order) == one for order in ADVERSARIAL):
                found.append((kernels[barriers[i - 1] if i else 0 : barrier], kernels[barrier]))
        operations.barriers = barriers
    return found, count


STEPS = ("train 16", "train 300", "weighted 70", "train_on_batch")


@pytest.mark.parametrize("name, kinds", [
    ("plain", (*STEPS, "evaluate", "predict", "derivative")),
    ("wide", STEPS),  # batch normalisation, dropout
    ("residual", STEPS),
    ("labels", STEPS),
    ("28", (*STEPS, "manual")),
    ("25", STEPS),
])  # fmt: skip
def test_any_barrier_that_is_removed_is_reported(name, kinds, plans):
    total = 0
    for kind in kinds:
        plans.clear()
        found, count = unseen(MODELS[name], kind, plans)
        assert found == [], kind
        total += count
    assert total >= len(kinds)


def test_barriers_that_can_go_are_few(plans):
    """Those that no order reports: needless ones, of which one waits for the same as another, or only here, where an
    operation has so little work that one thread has it all. A planner that waits without need makes more of them."""
    found = total = 0
    for name in MODELS:
        for kind in KINDS:
            plans.clear()
            missed, count = unseen(MODELS[name], kind, plans)
            found, total = found + len(missed), total + count
    assert total > 1000
    assert found < 0.13 * total, f"{found} of {total}"
