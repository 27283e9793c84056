"""Parts of a model that do not fit together: refused or warned of, and what fits is not warned of."""

import copy
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import diagnostics, layers, losses, metrics
from fastnn.diagnostics import ConsistencyWarning

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 4))
BINARY = (RNG.random(40) < 0.4) * 1.0
LABELS = RNG.integers(0, 3, 40)
Z = np.array([[0.3], [0.2], [-0.1], [2], [-3], [0.45]])
T = np.array([1, 1, 0, 1, 0, 1.0])


def stack(*parts, shape=(4,)):
    return fastnn.Sequential([layers.Input(shape), *parts], dtype="float64")


def codes(caught):
    """Codes of the warnings that were caught."""
    return [str(w.message).rsplit("[", 1)[1][:-1] for w in caught if w.category is ConsistencyWarning]


def warned(act):
    """The codes of what a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return codes(caught)


# --- one unit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [metrics.F1Score, metrics.FBetaScore])
def test_f_score_of_one_output_needs_a_threshold(metric):
    """The largest of one output is that output, whatever it is: every sample is a yes."""
    model = stack(layers.Dense(1, "sigmoid"))
    message = rf"threshold: .* got None; pass {metric.__name__}\(threshold=0.5\)"
    for asked in ({"metrics": [metric()]}, {"weighted_metrics": [metric()]}):
        with pytest.raises(ValueError, match=message):
            model.compile("sgd", "bce", **asked)
    unbuilt = fastnn.Sequential([layers.Dense(1, "sigmoid")])
    unbuilt.compile("sgd", "bce", metrics=[metric()])
    with pytest.raises(ValueError, match=message):
        unbuilt.fit(X, BINARY, verbose=0)


@pytest.mark.parametrize(("loss", "cut"), [("mse", 0.5), (losses.BinaryCrossentropy(from_logits=True), 0.0)])
def test_f_score_of_one_output_by_name(loss, cut):
    sklearn = pytest.importorskip("sklearn.metrics")
    model = stack(layers.Activation("linear"), shape=(1,))
    model.compile("sgd", loss, metrics=["f1_score", metrics.F1Score(threshold=cut, name="object")])
    y = np.where(Z > 0.4, 0.9, 0.1) if cut else Z * [[1], [-1], [-1], [1], [1], [1]]
    found = model.evaluate(y, T, verbose=0)[1:]
    right = sklearn.f1_score(T, y[:, 0] > cut)
    assert 0.5 < right < 1 and found == pytest.approx([right] * 2, rel=1e-12)


@pytest.mark.parametrize("end", ["softmax", "log_softmax"])
@pytest.mark.parametrize("apart", [False, True])
def test_softmax_over_one_unit(end, apart):
    def layer(end, units=1):
        return [layers.Dense(units), layers.Activation(end)] if apart else [layers.Dense(units, end)]

    model = stack(*layer(end))
    assert "softmax-of-one-unit" in warned(lambda: model.compile("sgd", "mse"))
    assert "softmax-of-one-unit" not in warned(lambda: model.fit(X, BINARY, verbose=0))  # once for a model
    assert "softmax-of-one-unit" in warned(lambda: model.compile("sgd", "mse"))
    with pytest.warns(ConsistencyWarning, match=rf"^{end} over one unit .*activation='sigmoid'"):
        stack(*layer(end)).compile("sgd", "mse")
    assert warned(lambda: stack(*layer(end, 2)).compile("sgd", "mse")) == []


def test_classes_of_one_unit():
    model = stack(layers.Dense(1, "sigmoid"))
    assert warned(lambda: model.compile("sgd", "categorical_crossentropy")) == ["classes-of-one-unit"]
    with pytest.warns(ConsistencyWarning, match="CategoricalAccuracy compares several outputs"):
        model.compile("sgd", "bce", metrics=[metrics.CategoricalAccuracy()])


# --- probabilities and logits ---------------------------------------------------------------------

SPARSE = losses.SparseCategoricalCrossentropy
CATEGORICAL = losses.CategoricalCrossentropy
FOCAL = losses.BinaryFocalCrossentropy


@pytest.mark.parametrize(
    ("outputs", "end", "loss"),
    [
        (3, "softmax", SPARSE(from_logits=True)),
        (3, "softmax", CATEGORICAL(from_logits=True)),
        (1, "sigmoid", losses.BinaryCrossentropy(from_logits=True)),
        (1, "hard_sigmoid", losses.BinaryCrossentropy(from_logits=True)),
        (1, "sigmoid", FOCAL(from_logits=True)),
        (3, "log_softmax", losses.BinaryCrossentropy(from_logits=True)),
    ],
)
def test_probabilities_taken_for_logits(outputs, end, loss):
    apart = [layers.Dense(outputs), layers.Activation(end), layers.Dropout(0.1)]
    for model in (stack(layers.Dense(outputs, end)), stack(*apart)):
        with pytest.warns(ConsistencyWarning, match=f"ends with {end} and .*from_logits=True.*from_logits=False"):
            model.compile("sgd", loss)


@pytest.mark.parametrize(
    ("outputs", "end", "loss", "code"),
    [
        (1, "linear", "bce", "outputs-are-no-probabilities"),
        (1, "tanh", "bce", "outputs-are-no-probabilities"),
        (3, "linear", "sparse_categorical_crossentropy", "outputs-are-no-probabilities"),
        (3, "log_softmax", "categorical_crossentropy", "log-probabilities-as-probabilities"),
        (1, "sigmoid", "hinge", "hinge-of-probabilities"),
    ],
)
def test_outputs_that_are_no_probabilities(outputs, end, loss, code):
    assert warned(lambda: stack(layers.Dense(outputs, end)).compile("sgd", loss)) == [code]


class Own(layers.Layer):
    """Of which nobody knows what it gives."""

    def emit(self, graph, x):
        return x


@pytest.mark.parametrize(
    ("parts", "loss", "asked"),
    [
        ([layers.Dense(3, "softmax")], "sparse_categorical_crossentropy", ["accuracy"]),
        ([layers.Dense(3, "softmax"), layers.Dropout(0.1)], "categorical_crossentropy", ["auc"]),
        ([layers.Dense(3), layers.Softmax()], "categorical_crossentropy", [metrics.F1Score("macro")]),
        ([layers.Dense(3)], SPARSE(from_logits=True), ["accuracy", metrics.SparseCategoricalAccuracy()]),
        ([layers.Dense(3, "log_softmax")], SPARSE(from_logits=True), ["accuracy"]),
        ([layers.Dense(1, "sigmoid")], "bce", ["accuracy", metrics.AUC(), metrics.AUC(200, name="grid"), "precision"]),
        ([layers.Dense(1)], losses.BinaryCrossentropy(from_logits=True), ["accuracy", "auc"]),
        ([layers.Dense(1, "tanh")], "hinge", ["accuracy", metrics.BinaryAccuracy(threshold=0)]),
        ([layers.Dense(1)], "mse", [metrics.BinaryAccuracy(threshold=3.0), "mae"]),
        ([layers.Dense(3, "softplus")], "categorical_crossentropy", []),
        ([Own()], "bce", [metrics.BinaryAccuracy()]),
        ([Own()], losses.BinaryCrossentropy(from_logits=True), ["accuracy"]),
        ([layers.Dense(1)], "poisson", []),
    ],
)
def test_what_fits_is_not_warned_of(parts, loss, asked):
    model = stack(*parts)

    def act():
        model.compile("sgd", loss, metrics=asked)
        y = LABELS if "parse" in str(loss) else np.eye(max(model.out_shape[0], 4))[LABELS][:, : model.out_shape[0]]
        model.fit(X, y[:, :1] if y.ndim == 2 and model.out_shape == (1,) else y, verbose=0)

    assert warned(act) == []


# --- metrics beside a loss of logits --------------------------------------------------------------

LOGITS = losses.BinaryCrossentropy(from_logits=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def entropy(t, p):
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("accuracy", 1.0), ("acc", 1.0), ("binary_accuracy", 1.0), ("BinaryAccuracy", 1.0), ("precision", 1.0),
        ("recall", 1.0), ("true_positives", 4.0), ("false_negatives", 0.0), ("f1_score", 1.0), ("auc", 1.0),
        ("bce", entropy(T, sigmoid(Z[:, 0]))), ("crossentropy", entropy(T, sigmoid(Z[:, 0]))),
        ("binary_crossentropy", entropy(T, sigmoid(Z[:, 0]))),
    ],
)  # fmt: skip
def test_names_follow_the_logits(name, right):
    model = stack(layers.Activation("linear"), shape=(1,))
    for asked in ({"metrics": [name]}, {"weighted_metrics": [name]}):
        found = []
        assert warned(lambda: model.compile("sgd", LOGITS, **asked)) == []  # noqa: B023
        assert warned(lambda: found.append(model.evaluate(Z, T, verbose=0))) == []  # noqa: B023
        assert found[0][1] == pytest.approx(right, rel=1e-12)


def test_names_follow_the_logits_of_classes():
    sklearn = pytest.importorskip("sklearn.metrics")
    z = RNG.normal(size=(40, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    model = stack(layers.Activation("linear"), shape=(3,))
    model.compile("sgd", SPARSE(from_logits=True), metrics=["accuracy", "ce", "log_loss"])
    right = [sklearn.accuracy_score(LABELS, p.argmax(axis=1)), *[sklearn.log_loss(LABELS, p)] * 2]
    assert model.evaluate(z, LABELS, verbose=0)[1:] == pytest.approx(right, rel=1e-12)
    t = np.eye(3)[LABELS]
    smooth = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile("sgd", smooth, metrics=["categorical_crossentropy"])
    assert model.evaluate(z, t, verbose=0)[1] == pytest.approx(right[1], rel=1e-12)


def test_names_follow_a_loss_that_is_compiled_later():
    """And objects of the user stay as they are."""
    own = metrics.BinaryAccuracy(name="own")
    model = stack(layers.Activation("linear"), shape=(1,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistencyWarning)
        for loss, right in (("mse", 0.5), (LOGITS, 1.0), ("mse", 0.5), ("hinge", 1.0)):
            model.compile("sgd", loss, metrics=["binary_accuracy", own])
            y = 2 * T - 1 if loss == "hinge" else T
            assert model.evaluate(Z, y, verbose=0)[1:] == [right, 0.5]
    assert own.threshold == 0.5


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (metrics.BinaryAccuracy, "threshold=0"),
        (metrics.Precision, "thresholds=0"),
        (metrics.Recall, "thresholds=0"),
        (metrics.FalseNegatives, "thresholds=0"),
        (lambda: metrics.F1Score(threshold=0.5), "threshold=0"),
        (lambda: metrics.AUC(num_thresholds=200), "from_logits=True"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=200), "no num_thresholds"),
        (metrics.BinaryCrossentropy, "from_logits=True"),
        (lambda: losses.binary_crossentropy, "from_logits=True"),
        (lambda: losses.BinaryFocalCrossentropy(), "from_logits=True"),
        (metrics.KLDivergence, "a softmax"),
    ],
)
def test_objects_that_cannot_know(make, remedy):
    model = stack(layers.Dense(1))
    for asked in ({"metrics": [make()]}, {"weighted_metrics": [make()]}):
        with pytest.warns(ConsistencyWarning, match=f"does not match .* logits. Use {remedy}") as caught:
            model.compile("sgd", LOGITS, **asked)
        assert codes(caught) == ["metric-of-other-outputs"]
        assert warned(lambda: model.fit(X, BINARY, verbose=0)) == []


def test_each_object_is_named():
    model = stack(layers.Dense(1))
    asked = [metrics.BinaryAccuracy(), metrics.Precision(), metrics.BinaryAccuracy(name="b")]
    with pytest.warns(ConsistencyWarning) as caught:
        model.compile("sgd", LOGITS, metrics=asked)
    assert [str(w.message).split()[0] for w in caught] == ["BinaryAccuracy", "Precision"]


def test_the_other_way_round():
    """Metrics of logits beside a model of probabilities."""
    model = stack(layers.Dense(1, "sigmoid"))
    asked = [metrics.BinaryCrossentropy(from_logits=True), metrics.AUC(50, from_logits=True)]
    asked += [metrics.BinaryAccuracy(threshold=0)]
    assert warned(lambda: model.compile("sgd", "bce", metrics=asked)) == ["metric-of-other-outputs"] * 3


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (metrics.BinaryAccuracy(), "binary-accuracy-of-classes"),
        (metrics.Accuracy(), "accuracy-by-equality"),
        (metrics.TopKCategoricalAccuracy(3), "top-k-of-all"),
    ],
)
def test_accuracies_that_mislead(asked, code):
    model = stack(layers.Dense(3, "softmax"))
    assert warned(lambda: model.compile("sgd", "categorical_crossentropy", metrics=[asked])) == [code]


# --- Normalization --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.fit(X, BINARY, verbose=0),
        lambda model: model.evaluate(X, BINARY, verbose=0),
        lambda model: model.predict(X, verbose=0),
        lambda model: model.train_on_batch(X, BINARY),
        lambda model: model.forward(X, training=True),
        lambda model: model.find_learning_rate(X, BINARY),
    ],
)
def test_normalization_that_was_not_adapted(use):
    def network(**options):
        model = stack(layers.Normalization(**options), layers.Dense(1, "sigmoid"))
        assert warned(lambda: model.compile("sgd", "bce")) == []  # it may be adapted later
        return model

    model = network()
    with pytest.warns(ConsistencyWarning, match=r"layer 1 of the model, a Normalization.*adapt\(x\)"):
        use(model)
    assert warned(lambda: use(model)) == []
    adapted = network()
    adapted.layers[0].adapt(X)
    given = network(mean=0.0, variance=1.0)
    for other in (adapted, given):
        assert warned(lambda: use(other)) == []  # noqa: B023


def test_normalization_of_data_that_is_standard():
    """Adapted, with the numbers of one that was not."""
    layer = layers.Normalization(dtype="float64")
    layer.adapt(np.array([[1.0] * 4, [-1.0] * 4]))
    assert not layer.mean.numpy().any() and (layer.variance.numpy() == 1).all()
    assert warned(lambda: stack(layer).predict(X, verbose=0)) == []


def test_normalization_from_a_file(tmp_path):
    model = stack(layers.Normalization(), layers.Dense(1, "sigmoid"))
    model.layers[0].adapt(3 * X + 1)
    model.compile("sgd", "bce")
    model.save(tmp_path / "model.fastnn")
    assert warned(lambda: fastnn.models.load_model(tmp_path / "model.fastnn").predict(X, verbose=0)) == []
    assert warned(lambda: copy.deepcopy(model).predict(X, verbose=0)) == []


# --- the list itself, and how it warns --------------------------------------------------------------


def test_findings():
    model = stack(layers.Normalization(), layers.Dense(1, "softmax"))
    with pytest.raises(ValueError, match="compile"):
        diagnostics.findings(model)
    with pytest.raises(ValueError, match="expected a built model"):
        diagnostics.findings(fastnn.Sequential([layers.Dense(1)]))
    with pytest.warns(ConsistencyWarning):
        model.compile("sgd", "mse")
    found = diagnostics.findings(model)
    assert [f.code for f in found] == ["softmax-of-one-unit", "normalization-not-adapted"]
    assert all(f.message in str(f) and f.remedy in str(f) and f.code in str(f) for f in found)


def test_a_warning_names_the_line_of_the_caller_and_loops_warn_once():
    model = stack(layers.Dense(1, "softmax"))
    with pytest.warns(ConsistencyWarning) as caught:
        model.compile("sgd", "mse")
    assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # Python's own, for scripts: each text once for a line
        for _ in range(4):
            stack(layers.Normalization(), layers.Dense(1, "softmax")).compile("sgd", "mse")
            stack(layers.Normalization(), layers.Dense(1)).predict(X, verbose=0)
    assert codes(caught) == ["softmax-of-one-unit", "normalization-not-adapted"]


def test_errors_if_warnings_are_errors():
    model = stack(layers.Dense(1, "softmax"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConsistencyWarning)
        with pytest.raises(ConsistencyWarning):
            model.compile("sgd", "mse")
    model.fit(X, BINARY, verbose=0)  # it is compiled nevertheless


def test_looking_costs_no_search_for_misspelt_names(monkeypatch):
    """`getattr` of what a layer has not looks for what was meant: 3 ms, at each `compile` and each plan."""
    model = stack(layers.Dense(3, "relu"), layers.Dense(1, "sigmoid"))
    monkeypatch.setattr("fastnn.layers.base.suggest", lambda *args: pytest.fail("looked for a misspelt name"))
    model.compile("sgd", "bce", metrics=["accuracy"])
    model.fit(X, BINARY, verbose=0)
