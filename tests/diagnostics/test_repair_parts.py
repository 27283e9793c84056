"""Parts of `fastnn.repair`: figures against NumPy and SciPy, edits of a blueprint, what a finding proposes."""

import numpy as np
import pytest
from scipy.special import expit, softmax

import fastnn
from fastnn.diagnostics.repair import edits, proposals
from fastnn.diagnostics.repair.blueprint import Blueprint
from fastnn.diagnostics.repair.task import Figures, Task, yardstick
from fastnn.diagnostics.repair.trial import Data
from fastnn.layers import Activation, Dense, Input

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 4, 50)


def model_of(*layers, features=3, optimizer="adam", loss="mse"):
    model = fastnn.Sequential([Input((features,)), *layers], dtype="float64")
    model.compile(optimizer, loss, seed=3)
    return model


@pytest.mark.parametrize(
    ("y", "units", "loss", "kind", "width"),
    [
        (CLASSES, 4, "sparse_categorical_crossentropy", "classes", 4),
        (CLASSES, 1, "binary_crossentropy", "classes", 4),
        (CLASSES, 1, "mse", "values", 1),
        (np.eye(4)[CLASSES], 4, "mse", "one-hot", 4),
        (CLASSES % 2, 1, "mse", "binary", 1),
        (CLASSES % 2, 2, "sparse_categorical_crossentropy", "classes", 2),
        (2 * (CLASSES % 2) - 1, 1, "hinge", "binary", 1),
        (RNG.integers(0, 2, (50, 3)), 3, "binary_crossentropy", "labels", 3),
        (RNG.normal(size=50), 1, "mse", "values", 1),
        (RNG.normal(size=(50, 2)), 2, "mae", "values", 2),
    ],
)
def test_task_of_targets(y, units, loss, kind, width):
    task = Task.of(y, units, fastnn.losses.get(loss))
    assert (task.kind, task.width) == (kind, width)


def test_figures_of_classes_are_those_of_scipy():
    z = RNG.normal(size=(50, 4))
    task = Task.of(CLASSES, 4, "sparse_categorical_crossentropy")
    right = np.mean(z.argmax(1) == CLASSES)
    loss = -np.mean(np.log(softmax(z, axis=1)[np.arange(50), CLASSES]))
    logits = model_of(Dense(4), loss=fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    probabilities = model_of(Dense(4, "softmax"), loss="sparse_categorical_crossentropy")
    for model, outputs in ((logits, z), (probabilities, softmax(z, axis=1))):
        found = task.figures(outputs, CLASSES, model)
        assert (found.score, found.loss) == pytest.approx((right, loss))
    one_hot = Task.of(np.eye(4)[CLASSES], 4, "mse").figures(softmax(z, axis=1), np.eye(4)[CLASSES], probabilities)
    assert one_hot == found


def test_figures_of_binary_targets_and_values():
    y, z = CLASSES % 2, RNG.normal(size=(50, 1))
    p = expit(z[:, 0])
    loss = -np.mean(np.log(np.where(y == 1, p, 1 - p)))
    found = Task.of(y, 1, "binary_crossentropy").figures(expit(z), y, model_of(Dense(1, "sigmoid")))
    assert (found.score, found.loss) == pytest.approx((np.mean((p > 0.5) == y), loss))
    margins = Task.of(2 * y - 1, 1, "hinge").figures(z, 2 * y - 1, model_of(Dense(1), loss="hinge"))
    assert margins.score == np.mean((z[:, 0] > 0) == y)
    values = RNG.normal(3, 2, 50)
    found = Task.of(values, 1, "mse").figures(z, values, model_of(Dense(1)))
    assert found.loss == pytest.approx(np.mean((z[:, 0] - values) ** 2) / np.var(values))
    assert Task.of(values, 1, "mse").figures(np.full((50, 1), np.nan), values, model_of(Dense(1))).score == -np.inf


def test_comparison_of_figures():
    a = Figures(0.9, 0.3, 0.01)
    assert Figures(0.92, 9.0, 0.01).better_than(a) and not Figures(0.88, 0.1, 0.01).better_than(a)
    assert Figures(0.895, 0.2, 0.01).better_than(a) and not Figures(0.905, 0.295, 0.01).better_than(a)


def test_yardstick_is_the_best_of_simple_methods():
    x = RNG.normal(size=(400, 2))
    linear, rings = x @ [2.0, -1.0], (np.hypot(*x.T) > 1.2).astype(int)
    data = x[:300], x[300:]
    assert yardstick(Task.of(linear, 1, "mse"), data[0], linear[:300], data[1], linear[300:]) > 0.999
    score = yardstick(Task.of(rings, 1, "mse"), data[0], rings[:300], data[1], rings[300:])
    near = [np.bincount(rings[:300][np.argsort(((data[0] - v) ** 2).sum(1))[:5]], minlength=2) for v in data[1]]
    assert score >= np.mean(np.argmax(near, axis=1) == rings[300:]) - 0.01 > 0.85  # a linear model: 0.5
    smooth = np.cos(2 * x[:, 0]) * x[:, 1]
    score = yardstick(Task.of(smooth, 1, "mse"), data[0], smooth[:300], data[1], smooth[300:])
    assert score > 0.9  # 200 random features; a linear model: 0.1


def test_blueprint_rebuilds_the_model_bit_for_bit():
    def build():
        return model_of(Dense(8, "relu"), Dense(2), optimizer=fastnn.SGD(0.01, momentum=0.9))

    from fastnn._base.random import seeded

    with seeded(11):
        model = build()
    again = Blueprint.of(model, 32, 10, (3,)).build(11)
    x, y = RNG.normal(size=(64, 3)), RNG.normal(size=(64, 2))
    for each in (model, again):
        each.fit(x, y, epochs=3, verbose=0)
    assert all((a == b).all() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))
    assert type(again.optimizer) is fastnn.SGD and again.optimizer is not model.optimizer


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_scaled_targets_train_sgd_as_standardised_ones_do(loss):
    """The rate follows the scale, so that gradient descent takes the same path."""
    x = RNG.normal(size=(128, 3))
    y = 5e4 + 2e3 * np.tanh(x @ [1.0, -2.0, 0.5])
    task = Task.of(y, 1, loss)
    model = model_of(Dense(8, "tanh"), Dense(1), optimizer=fastnn.SGD(0.1), loss=loss)
    plain = Blueprint.of(model, 32, 10, (3,))
    scaled = edits.scale_target(task).applied(plain)
    reference, found = plain.build(0), scaled.build(0)
    reference.fit(x, (y - y.mean()) / y.std(), epochs=10, verbose=0)
    found.fit(x, y, epochs=10, verbose=0)
    expected = reference.predict(x, verbose=0) * y.std() + y.mean()
    np.testing.assert_allclose(found.predict(x, verbose=0), expected, rtol=1e-7)
    assert edits.scale_target(task).applied(scaled) is None


def test_statistics_of_columns_and_of_pixels():
    table = RNG.normal([5, 3000], [1, 400], (200, 2))
    mean, variance = edits.statistics(np.c_[table, np.full(200, 7.0)])
    np.testing.assert_allclose(mean, [*table.mean(0), 7])
    np.testing.assert_allclose(variance, [*table.var(0), 1])
    pixels = RNG.integers(0, 256, (200, 64)).astype("uint8")
    pixels[:, 5] = 0
    pixels[0, 5] = 255  # rarely lit: a deviation of its own would blow it up
    mean, variance = edits.statistics(pixels)
    np.testing.assert_allclose(variance, pixels.var(0).mean())


def blueprint(*layers, **options):
    return Blueprint.of(model_of(*layers, **options), 32, 10, (3,))


def activations(b):
    return [b.activation_after(at)[1] for at in b.hidden()]


def test_edits_of_activations_and_structure():
    b = blueprint(Dense(8, "sigmoid"), Dense(8), Activation("tanh"), Dense(8), Dense(8, "relu"), Dense(1))
    assert activations(b) == ["sigmoid", "tanh", "linear", "relu"]
    assert activations(edits.activate("relu").applied(b)) == ["relu"] * 4
    assert activations(edits.activate("relu", linear_only=True).applied(b)) == ["sigmoid", "tanh", "relu", "relu"]
    normal = edits.normalise().applied(b)
    assert activations(normal) == activations(b) and all(normal.normalised(at) for at in normal.hidden())
    assert edits.normalise().applied(normal) is None
    names = [type(layer).__name__ for layer in normal.build(0).layers[:3]]
    assert names == ["Dense", "BatchNormalization", "Activation"]
    assert len(edits.shallower(2).applied(b).hidden()) == 2 and edits.shallower(4).applied(b) is None
    assert edits.wider(16).applied(b).build(0).layers[0].units == 16
    init = edits.right_init().applied(b).build(0).layers
    kinds = [type(layer.kernel_initializer).__name__ for layer in init if isinstance(layer, Dense)]
    assert kinds == ["GlorotUniform"] * 3 + ["HeNormal", "GlorotUniform"]


def test_edits_of_training():
    b = blueprint(Dense(8, "relu"), Dense(1), optimizer=fastnn.SGD(10.0))
    assert edits.usual_rate().applied(b).rate == pytest.approx(0.05)
    assert edits.scaled_rate(0.1).applied(b).rate == pytest.approx(1.0)
    assert edits.adam().applied(b).build(0).optimizer.learning_rate == pytest.approx(3e-3)
    assert edits.adam().applied(edits.adam().applied(b)) is None
    assert edits.clip().applied(b).build(0).optimizer.global_clipnorm == 1.0
    summed = blueprint(Dense(1), loss=fastnn.losses.MeanSquaredError(reduction="sum"))
    assert edits.mean_loss().applied(summed).build(0).loss.reduction == "sum_over_batch_size"
    assert edits.mean_loss().applied(b) is None and b.rate == 10.0


def test_what_a_finding_proposes():
    b = blueprint(Dense(8, "sigmoid"), Dense(1), optimizer=fastnn.SGD(10.0))
    x, y = RNG.normal(size=(50, 3)), RNG.normal(size=50)
    available = proposals.of(Task.of(y, 1, "mse"), Data(x, y, x, y), b)
    assert set(available) == set(proposals.ORDER)
    assert set(proposals.FAMILIES) <= set(FAULTS) and {f for v in proposals.FAMILIES.values() for f in v} <= set(
        proposals.ORDER
    )

    def proposed(*faults, tried=(), kept=(), severity="error"):
        findings = [fastnn.diagnostics.Finding("FN1", f, severity, None, "m", "w", "f") for f in faults]
        return [edit.family for edit, _ in proposals.proposed(findings, available, set(tried), set(kept))]

    both = ["scale of x", "scale of y", "init", "rate", "rate", "optimizer", "clipping"]
    assert proposed("lr_too_high", "zero_init") == both
    assert proposed("zero_init", kept=["init"]) == [] == proposed("zero_init", severity="note")
    assert proposed("zero_init", tried=[available["init"][0].what]) == []


FAULTS = """vanishing_gradient exploding_gradient dying_relu saturated bad_init zero_init symmetric_units wrong_loss
    wrong_last_activation missing_activation activation_mismatch no_nonlinearity double_softmax unscaled_data
    unscaled_target target_out_of_range label_encoding shape_mismatch nan_data nan_source constant_feature
    constant_target random_target shuffled_labels duplicate_rows too_few_rows class_imbalance validation_leak
    wrong_metric lr_too_high lr_too_low lr_invalid wrong_optimizer low_adam_epsilon loss_reduction batch_size
    too_few_epochs too_few_units too_deep over_regularised dropout_too_high missing_bn bias_before_bn double_scaling
    oscillating_loss no_learning overfitting""".split()
