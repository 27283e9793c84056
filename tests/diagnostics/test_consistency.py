"""Parts of a model that do not fit together: refused or warned of, and what fits is not warned of."""

import copy
import warnings

import numpy as np
import pytest
from consistency_tools import BINARY, LABELS, SPARSE, T, X, Z, codes, stack, warned

import fastnn
from fastnn import diagnostics, layers, losses, metrics
from fastnn.diagnostics import ConsistencyWarning

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
        (3, "threshold", "categorical_crossentropy", "outputs-are-no-probabilities"),
        (1, "softplus", "bce", "outputs-are-no-probabilities"),
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
        ([layers.Dense(3), layers.LeakyReLU(-0.5)], "categorical_crossentropy", []),
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
        model.fit(X, y[:, :1] if y.ndim == 2 and model.out_shape == (1,) else y, verbose=0,
                  on_nan="ignore")  # the Poisson loss of negative outputs is NaN

    assert warned(act) == []


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
    assert [f.code for f in found] == ["FN101", "FN112"]
    assert all(f.message in str(f) and f.fix in str(f) and f.code in str(f) for f in found)


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
