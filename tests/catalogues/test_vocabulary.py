"""Losses, metrics and optimizers of the whole vocabulary, through `compile`, `fit` and `evaluate`."""

import numpy as np
import pytest
import reference
from engine_tools import engine_of

import fastnn
from fastnn import activations, layers, losses, metrics, ops, optimizers
from fastnn._base.config import snake_case
from fastnn._core import kernels, rows

INPUTS, CLASSES, BATCH, STEPS = 7, 4, 24, 20

OPTIMIZERS = {
    "amsgrad": (optimizers.Adam, reference.AMSGrad, {"amsgrad": True}),
    "adamax": (optimizers.Adamax, reference.Adamax, {}),
    "nadam": (optimizers.Nadam, reference.Nadam, {}),
    "rmsprop": (optimizers.RMSprop, reference.RMSprop, {}),
    "rmsprop_momentum": (optimizers.RMSprop, reference.RMSprop, {"momentum": 0.9}),
    "rmsprop_centered": (optimizers.RMSprop, reference.RMSprop, {"centered": True, "epsilon": 1e-3}),
    "rmsprop_all": (
        optimizers.RMSprop, reference.RMSprop, {"centered": True, "momentum": 0.5, "epsilon": 1e-3},
    ),
    "adagrad": (optimizers.Adagrad, reference.Adagrad, {}),
    "adadelta": (optimizers.Adadelta, reference.Adadelta, {}),
    "lion": (optimizers.Lion, reference.Lion, {}),
    "rprop": (optimizers.Rprop, reference.Rprop, {}),
    "ftrl": (optimizers.Ftrl, reference.Ftrl, {"l1_regularization_strength": 0.01}),
}  # fmt: skip


def numbers(seed=0, n=STEPS * BATCH):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, INPUTS)), rng.integers(0, CLASSES, n).astype(np.int32)


def network(last="softmax", units=CLASSES, dtype="float64"):
    return fastnn.Sequential(
        [layers.Dense(9, activation="tanh", input_shape=(INPUTS,)), layers.Dense(units, activation=last)], dtype=dtype
    )


def spec(last="softmax"):
    return [("dense", {"activation": "tanh"}), ("dense", {"activation": last})]


def batches(x, y):
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, schedule):
    ours, theirs, options = OPTIMIZERS[name]
    ours_options = dict(options)
    theirs_options = {k: v for k, v in options.items() if k != "amsgrad"}
    model = network()
    model.compile(ours(0.01, **ours_options), "sparse_categorical_crossentropy", seed=1)
    net = reference.Net(
        spec(), model.get_weights(), "sparse_categorical_crossentropy", theirs(0.01, **theirs_options)
    )
    x, y = numbers()
    engine_of(model, schedule=schedule).fit_block(
        x, y, None, None, 0, len(x), BATCH, np.full(STEPS, 0.01)
    )
    net.train(batches(x, y))
    for a, b in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_optimizers_have_keras_defaults():
    """Signatures of Keras 3.15; a change there is a decision here."""
    wanted = {
        "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
        "Adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
        "AdamW": {"learning_rate": 0.001, "weight_decay": 0.004, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "Adamax": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "Nadam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "RMSprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
        "Adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
        "Adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
        "Lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
        "Ftrl": {"learning_rate": 0.001, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1, "beta": 0.0},
    }  # fmt: skip
    for name, values in wanted.items():
        config = optimizers.get(name.lower()).get_config()
        assert {k: config[k] for k in values} == values
    assert optimizers.RMSprop(lr=0.5).learning_rate == 0.5


def test_optimizers_come_back_from_their_config():
    made = optimizers.RMSprop(0.1, momentum=0.5, centered=True)
    again = optimizers.get(made.describe())
    assert again.for_core() == made.for_core()
    assert made.row == "rmsprop_centered_momentum"


# Of the losses that need them: arguments, and the output activation.
LOSSES = {
    "mean_squared_logarithmic_error": ({}, "softplus"),
    "huber": ({"delta": 0.5}, "linear"),
    "poisson": ({}, "softplus"),
    "kl_divergence": ({}, "softmax"),
    "quantile": ({"quantile": 0.8}, "linear"),
    "binary_crossentropy": ({"label_smoothing": 0.1}, "sigmoid"),
    "binary_focal_crossentropy": ({"gamma": 1.5, "label_smoothing": 0.1}, "sigmoid"),
    "categorical_crossentropy": ({"label_smoothing": 0.1}, "softmax"),
}
OF_NUMBERS = [snake_case(name) for name in losses.names() if losses.get(name).target == "values"]


def test_every_loss_is_trained():
    """Those of class labels below, all others by `test_loss`."""
    assert len(OF_NUMBERS) >= 16
    others = set(map(snake_case, losses.names())) - set(OF_NUMBERS)
    assert others == {"sparse_categorical_crossentropy", "nll_loss"}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_loss(name):
    options, last = LOSSES.get(name, ({}, "linear"))
    x, labels = numbers()
    y = np.eye(CLASSES)[labels]
    model = network(last)
    loss = type(losses.get(name))(**options)
    model.compile(optimizers.Adam(0.01), loss, metrics=[type(loss)(**options)])
    net = reference.Net(spec(last), model.get_weights(), (name, options), reference.Adam(0.01))
    history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history
    expected = np.mean(net.train(batches(x, y)))
    assert history["loss"][0] == pytest.approx(expected, rel=1e-8)
    for a, b in zip(model.get_weights(), net.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)
    found = model.evaluate(x, y, verbose=0)
    value, _ = reference.LOSSES[name](y, model.predict(x, verbose=0), **options)
    assert found == pytest.approx([value.mean()] * 2, rel=1e-7)
    assert loss(y, model.predict(x, verbose=0)) == pytest.approx(value.mean(), rel=1e-7)
    np.testing.assert_allclose(getattr(losses, name)(y, model.predict(x, verbose=0), **options), value, rtol=1e-7)


def test_log_softmax_and_nll_are_softmax_and_crossentropy_bit_for_bit():
    x, y = numbers()
    weights = []
    for last, loss in (("softmax", "sparse_categorical_crossentropy"), ("log_softmax", "NLLLoss")):
        model = network(last)
        model.compile("adam", loss, metrics=["accuracy", losses.get(loss)], seed=3)
        weights.append(weights[0][1] if weights else model.get_weights())
        model.set_weights(weights[-1])
        history = model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0).history
        assert history.pop(losses.get(loss).name) == pytest.approx(history["loss"], rel=1e-12)
        weights[-1] = (b"".join(w.tobytes() for w in model.get_weights()), weights[-1], history)
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[0], model.test_on_batch(x, y)[0], rtol=1e-12)
    assert weights[0][0] == weights[1][0]
    assert weights[0][2] == weights[1][2]


def weighted_gradient(loss, x, y, w, dtype="float64", schedule=None, batch=BATCH):
    """Weights after a step of SGD at rate 1, taken from those before, and the loss it reports."""
    model = network(dtype=dtype)
    model.compile(optimizers.SGD(1.0), loss, seed=0)
    model.set_weights([np.linspace(-1, 1, v.size).reshape(v.shape) for v in model.get_weights()])
    before = model.get_weights()
    model.resolve_targets(y)
    engine = engine_of(model, schedule=schedule)
    y = np.ascontiguousarray(y, np.int32)
    _, total, _ = engine.fit_block(x, y, w, None, 0, len(x), batch, np.ones(-(-len(x) // batch)))
    return [a - b for a, b in zip(before, model.get_weights(), strict=True)], total / len(x)


@pytest.mark.parametrize("schedule", ["layers", "samples"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [5, 300])
def test_reductions_and_ignored_classes(schedule, weighted, n):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, INPUTS)), rng.integers(0, CLASSES, n)
    w = rng.uniform(0.5, 2, n) if weighted else None
    values = np.ones(n) if w is None else w
    keep = y != 2

    def crossentropy(**options):
        return losses.SparseCategoricalCrossentropy(**options)

    def plain(weights):  # the sum over the batch of weight * loss, by the plain mean
        change, loss = weighted_gradient(crossentropy(), x, y, weights * n, schedule=schedule, batch=n)
        return change, loss

    cases = [
        (crossentropy(reduction="mean"), values / n, 1),
        (crossentropy(reduction="sum"), values, n),
        (crossentropy(reduction="mean_with_sample_weight"), values / values.sum(), 1),
        (crossentropy(ignore_class=2), values * keep / keep.sum(), 1),
        (crossentropy(ignore_class=2, reduction="sum"), values * keep, n),
        (
            crossentropy(ignore_class=2, reduction="mean_with_sample_weight"),
            values * keep / (values * keep).sum(),
            1,
        ),
    ]
    for loss, weights, _ in cases:
        change, got = weighted_gradient(loss, x, y, w, schedule=schedule, batch=n)
        right, value = plain(weights)
        assert got == pytest.approx(value, rel=1e-10), loss
        for a, b in zip(change, right, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_class_to_ignore_need_not_be_a_class():
    x, y = numbers(n=50)
    model = network()
    model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=255))
    y[::3] = 255
    model.fit(x, y, verbose=0)
    got = model.evaluate(x, y, batch_size=50, verbose=0)
    p = model.predict(x, verbose=0)
    keep = y != 255
    assert got == pytest.approx(-np.log(p[keep, y[keep]]).mean(), rel=1e-9)
    assert losses.SparseCategoricalCrossentropy(ignore_class=255)(y, p) == pytest.approx(got, rel=1e-9)
    with pytest.raises(ValueError, match="expected classes 0 to 3"):
        model.fit(x, np.where(y == 255, 254, y), verbose=0)
    for number in (2**31, -(2**31) - 1, 2**32):  # labels are 32-bit numbers: these would be another class
        with pytest.raises(ValueError, match="ignore_class: expected"):
            losses.SparseCategoricalCrossentropy(ignore_class=number)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_focal_loss_of_predictions_outside_of_0_to_1(gamma, dtype):
    """As in Keras they count like the ends, and have no gradient."""
    t, outside, ends = (np.array(a, dtype)[:, None] for a in ([1, 0, 1, 0], [1.2, -0.2, -0.2, 1.2], [1, 0, 0, 1]))
    value = losses.BinaryFocalCrossentropy(gamma=gamma, reduction="none")
    np.testing.assert_allclose(value(t, outside), value(t, ends), rtol=1e-2, atol=1e-9)
    model = fastnn.Sequential([fastnn.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))], dtype=dtype)
    model.compile(fastnn.SGD(1.0), losses.BinaryFocalCrossentropy(gamma=gamma))
    model.fit(outside, t, verbose=0)
    assert np.isfinite(model.get_weights()[0]).all()
    right = model.get_weights()
    model.fit(outside[:2], t[:2], verbose=0)
    for a, b in zip(model.get_weights(), right, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_loss_without_reduction_cannot_be_minimised():
    loss = losses.MeanSquaredError(reduction="none")
    np.testing.assert_array_equal(loss([[0.0], [1.0]], [[1.0], [3.0]]), [1, 4])
    model = network("linear")
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match="expected reduction a mean or 'sum'.*got 'none'"):
        model.fit(np.zeros((4, INPUTS)), np.zeros((4, CLASSES)), verbose=0)


# --- metrics --------------------------------------------------------------------------------------


def f_scores(t, yes, beta):
    tp, fp, fn = ((a * b).sum(axis=0) for a, b in ((t, yes), (1 - t, yes), (t, 1 - yes)))
    return (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp), t.sum(axis=0)


def roc_area(t, y):
    """Share of pairs (positive, negative) in the right order."""
    a, b = y[t == 1][:, None], y[t == 0][None]
    return np.mean((a > b) + 0.5 * (a == b))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_metrics_of_sums(threads):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, INPUTS))
    t = (rng.random((500, CLASSES)) < 0.4).astype(float)
    asked = [
        metrics.Precision(), metrics.Recall(), metrics.Precision(thresholds=0.3, class_id=2, name="third"),
        metrics.F1Score("macro", 0.5), metrics.FBetaScore("weighted", 2.0, 0.5, name="f2"),
        metrics.F1Score("micro", 0.5, name="micro"), "R2Score", "AUC", metrics.AUC(curve="PR", name="pr"), "rmse",
        "cosine_similarity", "TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "log_loss",
    ]  # fmt: skip
    model = network("sigmoid")
    model.compile("sgd", "bce", metrics=asked, threads=threads)
    found = model.evaluate(x, t, batch_size=77, verbose=0, return_dict=True)
    y = model.predict(x, verbose=0)
    yes = (y > 0.5) * 1.0
    scores, sizes = f_scores(t, yes, 1)
    f2, _ = f_scores(t, yes, 2)
    precision, recall = (t * yes).sum() / yes.sum(), (t * yes).sum() / t.sum()
    residual, spread = ((t - y) ** 2).sum(axis=0), ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    assert list(found)[1:4] == ["precision", "recall", "third"]
    wanted = {
        "precision": precision,
        "recall": recall,
        "third": (t * (y > 0.3))[:, 2].sum() / (y > 0.3)[:, 2].sum(),
        "f1_score": scores.mean(),
        "f2": np.average(f2, weights=sizes),
        "micro": 2 * precision * recall / (precision + recall),
        "R2Score": np.mean(1 - residual / spread),
        "rmse": np.sqrt(np.mean((t - y) ** 2)),
        "cosine_similarity": -reference.cosine_similarity(t, y)[0].mean(),
        "TruePositives": (t * yes).sum(),
        "FalsePositives": ((1 - t) * yes).sum(),
        "TrueNegatives": ((1 - t) * (1 - yes)).sum(),
        "FalseNegatives": (t * (1 - yes)).sum(),
        "log_loss": reference.categorical_crossentropy(t, y)[0].mean(),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
    assert found["AUC"] == pytest.approx(roc_area(t.ravel(), y.ravel()), abs=0.01)
    assert 0 < found["pr"] < 1
    history = model.fit(x, t, batch_size=32, epochs=2, shuffle=False, verbose=0).history
    assert all(np.isfinite(history[name]).all() for name in found)


def test_metrics_of_an_epoch_do_not_depend_on_its_pieces():
    """Sums of a fit in one piece are those of single batches, where a callback looks at each."""
    x, y = numbers()
    y = np.eye(CLASSES)[y]
    got = []
    for hooks in ([], [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]):
        fastnn.set_random_seed(0)
        model = network()
        model.compile("adam", "categorical_crossentropy", metrics=["AUC", "accuracy", "R2Score"], seed=1)
        got.append(model.fit(x, y, epochs=2, verbose=0, callbacks=hooks).history)
    assert got[0] == got[1]


def test_auc_of_keras_documentation():
    """The example of keras.metrics.AUC: 3 thresholds, 0.75."""
    sums = ops.metric("histogram", np.array([[0.0, 0, 1, 1]]).T, np.array([[0, 0.5, 0.3, 0.9]]).T, num_thresholds=3)
    assert metrics.AUC(num_thresholds=3).result(sums, 4) == 0.75


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds: expected an integer of at least 2"),
        (lambda: metrics.AUC(curve="ROK"), "Did you mean 'ROC'"),
        (lambda: metrics.Precision([0.1, 0.9]), "expected a single number"),
        (lambda: metrics.F1Score().check(3), "expected 'micro', 'macro'"),
        (lambda: metrics.Recall(class_id=3).check(3), "class_id: expected 0 to 2"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power"),
        (lambda: losses.Huber(delta=0), "delta: expected a finite number above 0"),
        (lambda: losses.get("hubber"), "Did you mean 'Huber'"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- activations ----------------------------------------------------------------------------------


def test_names_of_activations():
    for name in ("Swish", "SiLU", "hard_swish", "HardSwish", "GELU", "LogSigmoid", "relu6", "softShrink"):
        assert activations.get(name).row in activations.names()
    assert activations.swish is activations.silu
    assert activations.relu([-1.0, 3.0], 0.5, 2.0).tolist() == [-0.5, 2.0]
    assert activations.gelu([1.0], approximate=True)[0] == pytest.approx(0.841192, abs=1e-6)
    chosen = layers.Dense(2, activation=activations.gelu.using(approximate=True)).activation
    assert chosen.values == {"approximate": 1.0}
    with pytest.raises(TypeError, match="multiple values for alpha"):
        activations.elu([1.0], 0.5, alpha=1.0)
    with pytest.raises(TypeError, match="at most 1 parameters, got 2"):
        activations.elu([1.0], 0.5, 1.0)


# --- names ----------------------------------------------------------------------------------------


def test_optimizers_are_top_level_names():
    for name in optimizers.names():
        assert getattr(fastnn, name) is getattr(optimizers, name)
    assert set(optimizers.names()) < set(dir(fastnn))
    with pytest.raises(AttributeError, match="Did you mean 'RMSprop'"):
        fastnn.RMSpropp  # noqa: B018
    with pytest.raises(ImportError, match="Did you mean 'Nadam'"):
        from fastnn import Naddam  # noqa: F401


def test_rmsprop_is_what_compile_takes():
    model = network()
    model.compile(loss="sparse_categorical_crossentropy")
    assert isinstance(model.optimizer, optimizers.RMSprop)
    x, y = numbers()
    assert model.fit(x, y, epochs=3, verbose=0).history["loss"][-1] < np.log(CLASSES) * 1.5


NEEDED = {
    "Huber": {"delta": 2.0}, "PrecisionAtRecall": {"recall": 0.5}, "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5}, "SpecificityAtSensitivity": {"sensitivity": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("module", [losses, metrics, optimizers])
def test_everything_comes_back_from_its_description(module):
    assert len(module.names()) >= 11
    for name in module.names():
        made = getattr(module, name)(**NEEDED.get(name, {}))
        again = module.deserialize(module.serialize(made))
        assert type(again) is type(made)
        assert again.get_config() == made.get_config()
        assert again.name == made.name
        assert repr(again) == repr(made)


def test_activations_come_back_from_their_description():
    for name in activations.names():
        assert activations.deserialize(activations.serialize(activations.get(name))) is activations.get(name)
    leaky = activations.leaky_relu.using(negative_slope=0.125)
    assert activations.deserialize(activations.serialize(leaky)) == leaky


def test_aliases():
    pairs = {
        "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
    }  # fmt: skip
    for short, long in pairs.items():
        for name in (short, short.upper()):
            assert losses.get(name).name == long
            assert metrics.get(name).row == metrics.get(long).row == long
    x, y = numbers()
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc", "ce", metrics.sparse_categorical_accuracy])
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(found) == ["loss", "acc", "ce", "sparse_categorical_accuracy"]
    assert found["acc"] == found["sparse_categorical_accuracy"]
    assert found["ce"] == pytest.approx(found["loss"])


def test_losses_as_functions_take_parameters_by_place():
    t, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[3.0, 1.5], [1.0, -2.0]])
    np.testing.assert_array_equal(losses.huber(t, y, 2.0), losses.Huber(2.0, reduction="none")(t, y))
    np.testing.assert_array_equal(metrics.huber(t, y, delta=2.0), losses.huber(t, y, 2.0))
    np.testing.assert_allclose(
        losses.binary_crossentropy(t, y, True, 0.1),
        losses.BinaryCrossentropy(True, label_smoothing=0.1, reduction="none")(t, y),
    )
    with pytest.raises(TypeError, match="at most 3 arguments, y_true, y_pred, delta, got 4"):
        losses.huber(t, y, 1.0, 2.0)
    with pytest.raises(TypeError, match="multiple values for delta"):
        losses.huber(t, y, 1.0, delta=2.0)
    assert losses.MeanSquaredError(dtype="float64")(np.float32([[0.1]]), np.float32([[0.3]])) != (
        losses.MeanSquaredError()(np.float32([[0.1]]), np.float32([[0.3]]))
    )


def test_accuracies_as_functions():
    y = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    assert metrics.sparse_categorical_accuracy([1, 1, 1], y).tolist() == [1, 0, 1]
    assert metrics.categorical_accuracy(np.eye(2)[[1, 1, 1]], y).tolist() == [1, 0, 1]
    assert metrics.binary_accuracy(np.eye(2)[[1, 1, 1]], y, threshold=0.85).tolist() == [1, 0.5, 0.5]
    assert metrics.sparse_top_k_categorical_accuracy([0, 1, 0], y, k=1).tolist() == [0, 0, 0]


def test_softmax_along_an_axis():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    e = np.exp(x)
    np.testing.assert_allclose(activations.softmax(x, axis=1), e / e.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(activations.log_softmax(x, 0), x - np.log(e.sum(axis=0)), rtol=1e-12)
    with pytest.raises(TypeError, match="unexpected keyword"):
        activations.softmax(x, alpha=1)


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("PrecisionAtRecall", "recall", "precision"),
        ("RecallAtPrecision", "precision", "recall"),
        ("SensitivityAtSpecificity", "specificity", "recall"),
        ("SpecificityAtSensitivity", "recall", "specificity"),
    ],
)
def test_metrics_at_the_best_threshold(name, given, wanted):
    rng = np.random.default_rng(4)
    t, y = (rng.random((300, 3)) < 0.4) * 1.0, rng.random((300, 3))
    for thresholds in (2, 11, 200):
        rates = {"precision": [], "recall": [], "specificity": []}
        for k in range(thresholds):
            # the kernel, like Keras, takes an output as above a threshold k / (n - 1) that it does not reach
            yes = (y > k / (thresholds - 1)) | (k == 0)
            rates["precision"].append((t * yes).sum() / max(yes.sum(), 1))
            rates["recall"].append((t * yes).sum() / t.sum())
            rates["specificity"].append(((1 - t) * ~yes).sum() / (1 - t).sum())
        for least in (0.0, 0.3, 0.45, 0.9, 1.0):
            right = max([w for w, g in zip(rates[wanted], rates[given], strict=True) if g >= least], default=0.0)
            metric = getattr(metrics, name)(least, num_thresholds=thresholds)
            sums = ops.metric(metric.row, t, y, **dict(zip(metric.parameters, metric.params, strict=True)))
            assert metric.result(sums, len(t)) == pytest.approx(right, rel=1e-12)


def test_adjusted_r2():
    rng = np.random.default_rng(0)
    t, y = rng.normal(size=(2, 40, 1))
    sums = ops.metric("squares", t, y)
    plain, adjusted = metrics.R2Score().result(sums, 40), metrics.R2Score(num_regressors=3).result(sums, 40)
    assert adjusted == pytest.approx(1 - (1 - plain) * 39 / 36)
    assert metrics.R2Score(num_regressors=39).result(sums, 40) == plain


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_clipped_as_in_keras(dtype, isa):
    """To [1e-7, 1 - 1e-7]; the derivative is 0 outside."""
    y = np.array([[0.0], [1.0], [1e-9], [0.5]], dtype)
    t = np.array([[1.0], [0.0], [1.0], [1.0]], dtype)
    low, high = dtype == "float32", np.log(np.array(1e-7, dtype))
    top = np.log1p(-np.array(1 - 1e-7, dtype).astype(dtype)) if low else high
    rows.use(isa)
    try:
        value, slope = ops.binary_crossentropy(t, y)
        pair, pair_slope = ops.crossentropy(np.hstack([t, 1 - t]), np.hstack([y, 1 - y]))
    finally:
        rows.use(None)
    np.testing.assert_allclose(value, [-high, -top, -high, np.log(2)], rtol=1e-5)
    assert slope[:3].tolist() == [[0.0]] * 3 and slope[3] == -2
    np.testing.assert_allclose(pair[[0, 2, 3]], [-high, -high, np.log(2)], rtol=1e-5)
    assert not pair_slope[:3].any() and pair_slope[3].any()


@pytest.mark.parametrize("isa", kernels.targets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flat_parts_have_no_slope(dtype, isa):
    """Where a function is cut off its derivative is 0, right up to the cut."""
    rows.use(isa)
    try:
        x = np.array([-0.5, 0.5, 5.5, 6.5, 100.0], dtype)
        y = ops.relu6(x)
        slope = ops.relu6_grad(np.ones_like(y), y)
        p = np.array([[0.0], [1e-8], [0.25], [0.95], [1.05], [2.0]], dtype)
        value, kl_slope = ops.kl_divergence(np.full_like(p, 0.5), p)
    finally:
        rows.use(None)
    assert y.tolist() == [0, 0.5, 5.5, 6, 6]
    assert slope.tolist() == [0, 1, 1, 0, 0]
    assert value[4] == value[5] == pytest.approx(0.5 * np.log(0.5))
    assert (kl_slope[[0, 1, 4, 5]] == 0).all()
    np.testing.assert_allclose(kl_slope[2:4, 0], [-2, -0.5 / 0.95], rtol=1e-6)
