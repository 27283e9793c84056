"""The doctor's rules about a training: found where it comes to nothing, and no warnings where it learns."""

import numpy as np
import pytest
from doctor_cases import LABELS, REAL, YES, X, binary, net, real, stack

import fastnn
from fastnn import initializers, optimizers
from fastnn.diagnostics.doctor import check
from fastnn.layers import Activation, BatchNormalization, Dense

pytestmark = pytest.mark.filterwarnings("ignore::fastnn.diagnostics.ConsistencyWarning")


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(check, "strict", True)


def fit(model, x=X, y=LABELS, epochs=10, batch_size=32, valid=None):
    return model.fit(x, y, epochs=epochs, batch_size=batch_size, validation_data=valid, verbose=0, health="every")


def curves(loss, model=None, y=LABELS, **others):
    """A history with given curves."""
    history = fit(model or net(metrics=["accuracy"]), y=y, epochs=1, valid=(X[:60], y[:60]))
    history.epoch = list(range(len(loss)))
    history.params["steps"] = 7
    history.history = {"loss": list(loss)} | {name: list(values) for name, values in others.items()}
    return history


def falling(n=20, to=0.01):
    return np.geomspace(1.0, to, n)


RANDOM = np.random.default_rng(9).integers(0, 3, 200)
NOISE = np.random.default_rng(8).normal(size=(200, 6)).astype("float32")
RARE = np.where(np.arange(200) < 20, 1.0, 0.0)
GOOD = lambda: fit(net(), epochs=30)  # noqa: E731
VALID = dict(val_loss=np.geomspace(1, 0.02, 20))
RISING = dict(val_loss=[*np.geomspace(1, 0.3, 8), *np.linspace(0.4, 2, 12)], accuracy=np.linspace(0.3, 1, 20),
              val_accuracy=np.linspace(0.3, 0.6, 20))  # fmt: skip

# code: (a training of it, a training without it)
TRAINING = {
    "FN501": (lambda: fit(net(*stack(20, activation="sigmoid", init="glorot_uniform"), opt="sgd"), epochs=1), GOOD),
    "FN502": (lambda: fit(net(*stack(2), opt=optimizers.Adam(10.0)), y=RANDOM, epochs=10), GOOD),
    "FN503": (lambda: fit(net(opt=optimizers.SGD(1e-5)), epochs=5), GOOD),
    "FN504": (lambda: fit(net(), epochs=1), GOOD),
    "FN505": (lambda: fit(net(*stack(2, bias_initializer=initializers.Constant(-20.0)))),
              lambda: fit(net(*stack(2, activation="tanh")))),
    "FN506": (lambda: fit(net(*stack(2, activation="tanh", init=initializers.RandomNormal(stddev=50.0)),
                              opt=optimizers.SGD(1e-9))), GOOD),
    "FN507": (lambda: curves(np.full(40, 1.3)), lambda: curves(falling())),
    "FN508": (lambda: curves(np.tile([0.5, 1.5], 10)), lambda: curves(falling())),
    "FN509": (lambda: curves(falling(), **RISING), lambda: curves(falling(), **VALID)),
    "FN510": (lambda: curves(falling(), val_loss=np.full(20, 1.5)), lambda: curves(falling(), **VALID)),
    "FN511": (lambda: curves(np.full(20, 0.4), binary(metrics=["accuracy"])(), RARE, accuracy=np.full(20, 0.9)),
              lambda: curves(falling(), binary(metrics=["accuracy"])(), YES, accuracy=np.full(20, 0.9))),
    "FN512": (lambda: fit(net(), x=NOISE, y=RANDOM, epochs=40, valid=(NOISE[:60] + 2, RANDOM[60:120])), GOOD),
    "FN513": (lambda: fit(real(*stack(2), opt=optimizers.SGD(1e6))(), y=REAL), GOOD),
    "FN514": (lambda: fit(net(), epochs=1, batch_size=1), GOOD),
    "FN515": (lambda: fit(net(opt=optimizers.Adadelta(1e-3)), epochs=20),
              lambda: fit(net(opt=optimizers.Adadelta(1.0)), epochs=20)),
}  # fmt: skip


def findings(history):
    try:
        return history().findings
    except ArithmeticError as error:  # of a value that is not finite
        return [error.finding]


@pytest.mark.parametrize("code", TRAINING)
def test_a_rule_finds_what_it_is_for(code):
    assert code in [f.code for f in findings(TRAINING[code][0])]


@pytest.mark.parametrize("code", TRAINING)
def test_a_rule_finds_nothing_in_what_is_right(code):
    assert code not in [f.code for f in findings(TRAINING[code][1]) if f.severity != "note"]


def deep(kind):
    """20 layers."""
    sizes = dict(units=32)
    if kind == "sigmoid":
        return stack(20, activation="sigmoid", init="glorot_uniform", **sizes)
    if kind == "selu":
        return stack(20, activation="selu", init="lecun_normal", **sizes)
    if kind == "relu":
        return stack(20, **sizes)
    return [layer for _ in range(20) for layer in (Dense(32, use_bias=False), BatchNormalization(), Activation("relu"))]


@pytest.mark.parametrize("kind", ["sigmoid", "relu", "selu", "bn"])
def test_twenty_layers_within_the_first_epoch(kind):
    """Sigmoid layers lose the gradient, before and after one epoch; the others do not."""
    model = net(*deep(kind))
    before = {f.fault for f in model.check(X, LABELS) if f.severity != "note"}
    after = {f.fault for f in model.fit(X, LABELS, verbose=0).findings if f.severity != "note"}
    for faults in (before, after):
        assert ("vanishing_gradient" in faults) == (kind == "sigmoid")


def test_dead_units_of_a_large_rate_are_told_from_saturated_ones():
    """Both by a large rate: relu units die, tanh units saturate."""
    def faults(activation):
        history = fit(net(*stack(3, 32, activation=activation), opt=optimizers.Adam(1.0)), epochs=6)
        return {f.fault for f in history.findings if f.code in ("FN505", "FN506")}

    assert faults("relu") == {"dying_relu"} and faults("tanh") == {"saturated"}


def test_a_callback_reads_findings_during_training():
    seen = []

    class Read(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([f.code for f in self.model.history.findings])

    net(opt=optimizers.SGD(1e-7)).fit(X, LABELS, epochs=2, callbacks=[Read()], verbose=0)
    assert len(seen) == 2 and seen[0] == [] and "FN403" in seen[1]  # the history notes an epoch after all callbacks


def test_findings_outlive_the_model_and_later_changes():
    model = net(opt=optimizers.SGD(1e-7))
    history = fit(model, epochs=2)
    before = list(history.findings)
    model.compile("adam", "sparse_categorical_crossentropy")
    assert history.findings == before != []
    del model
    assert history.findings == before


def test_without_health_and_without_epochs():
    model = net(opt=optimizers.SGD(1e-7))
    assert "FN403" in [f.code for f in model.fit(X, LABELS, epochs=3, health=False, verbose=0).findings]
    assert model.fit(X, LABELS, epochs=0, verbose=0).findings == []


def test_batches_have_findings_of_the_training():
    model = net(opt=optimizers.SGD(1e-7))
    batches = [(X[i : i + 50], LABELS[i : i + 50]) for i in range(0, 200, 50)]
    assert "FN403" in [f.code for f in model.fit(Lot(batches), epochs=2, verbose=0).findings]


def serious(history):
    return {f.fault for f in history.findings if f.severity != "note"}


@pytest.mark.parametrize(
    "steps, batch_size, faults", [(1, 200, {"batch_size", "too_few_epochs"}), (20, 10, set())]
)
def test_a_full_batch_that_is_not_done_is_found_though_it_has_learned(steps, batch_size, faults):
    """The loss is a third of that of a constant, log 3, and falls by 10 % per epoch."""
    history = curves(1.1 * 0.9 ** np.arange(12))
    history.params["steps"], history.seen.batch_size = steps, batch_size
    assert serious(history) == faults


@pytest.mark.parametrize("rate, found", [(0.05, True), (0.02, False)])
def test_a_high_rate_of_adam_and_a_poor_loss(rate, found):
    history = curves(np.full(12, 0.7), net(opt=optimizers.Adam(rate), metrics=["accuracy"]))
    assert ("lr_too_high" in serious(history)) == found


@pytest.mark.parametrize("rate, found", [(0.05, True), (0.02, False)])
def test_small_swings_of_a_poor_loss_count_if_the_rate_is_high(rate, found):
    """The loss changes by 5 % per epoch."""
    history = curves(np.tile([0.7, 0.735], 8), net(opt=optimizers.Adam(rate), metrics=["accuracy"]))
    assert ("oscillating_loss" in serious(history)) == found


@pytest.mark.parametrize("optimizer, share, faults", [
    (optimizers.SGD(1e-3), 0.55, {"wrong_optimizer", "lr_too_low"}), (optimizers.SGD(1e-3), 0.45, set()),
    (optimizers.Adagrad(1e-3), 0.45, {"wrong_optimizer"}), (optimizers.Adagrad(1e-3), 0.3, set()),
    (optimizers.SGD(1e-3, momentum=0.9), 0.55, set()), (optimizers.Adam(1e-3), 0.55, set()),
])  # fmt: skip
def test_a_slow_optimizer_is_named_while_the_loss_still_falls(optimizer, share, faults):
    """A share of the loss of a constant, after 140 steps, falling by 1 % per epoch."""
    loss = share * np.log(3) * 1.01 ** np.arange(20)[::-1]
    history = curves(loss, net(opt=optimizer, metrics=["accuracy"]))
    assert serious(history) == faults


@pytest.mark.parametrize("spread, found", [(1.0, False), (0.1, True)])
def test_overfitting_is_measured_by_a_constant_of_the_validation_targets(spread, found):
    """A validation loss of 0.05: less than the variance 0.5 of its targets, or far more."""
    history = fit(real()(), y=REAL, valid=(X, REAL), epochs=1)
    history.epoch = list(range(20))
    history.seen.validation_y = (spread * np.tile([-1, 1], 100)).astype("float32").reshape(-1, 1)
    history.history = {"loss": list(falling(to=1e-3)), "val_loss": [1.0] * 12 + [0.05] * 8}
    assert ("overfitting" in serious(history)) == found


class Lot:
    """A data set of batches."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]
