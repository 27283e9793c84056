"""The doctor: each rule finds what it is for and nothing in what is right; findings can be read and silenced."""

import json
import subprocess
import sys

import numpy as np
import pytest
from doctor_cases import CASES, HOT, LABELS, REAL, X, found, net, real, stack
from places import ROOT

import fastnn
from fastnn import diagnostics
from fastnn.diagnostics.doctor import check, page, rules
from fastnn.diagnostics.doctor.finding import SEVERITIES, Finding, Findings
from fastnn.diagnostics.doctor.ranking import ranked
from fastnn.diagnostics.doctor.registry import FAULTS, RULES
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout

rules.load()
pytestmark = pytest.mark.filterwarnings("ignore::fastnn.diagnostics.ConsistencyWarning")


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """Errors of rules are raised."""
    monkeypatch.setattr(check, "strict", True)


@pytest.mark.parametrize("code", CASES)
def test_a_rule_finds_what_it_is_for(code):
    mine = [f for f in found(CASES[code][0]) if f.code == code]
    assert mine, code
    for f in mine:
        assert f.fault in FAULTS and f.severity in SEVERITIES and f.message and f.fix
        assert f.reference.startswith(f"docs/findings.md#{code.lower()}")
        json.dumps(f.to_dict())


@pytest.mark.parametrize("code", CASES)
def test_a_rule_finds_nothing_in_what_is_right(code):
    assert code not in [f.code for f in found(CASES[code][1])]


def test_every_rule_has_cases():
    from test_doctor_in_training import TRAINING

    assert set(RULES) == set(CASES) | set(TRAINING)


def test_every_rule_is_explained():
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    for rule in RULES.values():
        assert rule.text and rule.title, rule.code


def test_the_page_is_that_of_the_registry():
    """Written by ``python -m fastnn.diagnostics.doctor.page``."""
    assert (ROOT / "docs" / "findings.md").read_text(encoding="utf-8") == page.text()


# --- nothing is changed ---------------------------------------------------------------------------------------------


def test_check_changes_nothing():
    parts = [Dense(16), BatchNormalization(), Dropout(0.2)]
    model = net(*parts, opt=fastnn.Adam(0.01, use_ema=True))
    model.fit(X, LABELS, epochs=1, verbose=0)
    twin = net(*(type(p).from_config(p.get_config()) for p in parts), opt=fastnn.Adam(0.01, use_ema=True))
    twin.fit(X, LABELS, epochs=1, verbose=0)
    assert not [f for f in model.check(X, LABELS, (X[:9], LABELS[:9])) if f.severity == "error"]
    assert model.optimizer.iterations == twin.optimizer.iterations
    for m in (model, twin):
        m.fit(X, LABELS, epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))


def test_check_of_a_model_without_weights_leaves_the_random_state():
    def weights(checked):
        fastnn.set_random_seed(3)
        model = fastnn.Sequential([Dense(8, "relu"), Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        if checked:
            assert model.check(X, LABELS + 1)[0].fault == "label_encoding"
            assert not model.built
        model.fit(X, LABELS, verbose=0)
        return model.get_weights()

    assert all((a == b).all() for a, b in zip(weights(True), weights(False), strict=True))


def test_before_compile_and_without_data():
    model = fastnn.Sequential([Dense(8, kernel_initializer="zeros", input_shape=(6,)), Dense(3)])
    assert [f.fault for f in model.check()] == ["zero_init", "no_nonlinearity"]
    assert fastnn.Sequential([Dense(3)]).check() == []
    assert [f.fault for f in fastnn.Sequential([Dense(3)]).check(1e5 * X)] == ["unscaled_data"]


def test_batches_are_refused():
    with pytest.raises(TypeError, match=r"x: expected an array, got batches \(generator\); pass the arrays of one"):
        net().check((X, LABELS) for _ in range(2))
    with pytest.raises(TypeError, match="x: expected an array, as y is given, got None"):
        net().check(y=LABELS)


def test_findings_do_not_depend_on_the_number_of_threads():
    def all_of(threads):
        fastnn.set_random_seed(0)
        model = net(*stack(12, activation="sigmoid", init="glorot_uniform"))
        first = model.check(X, LABELS)
        history = model.fit(X, LABELS, epochs=2, verbose=0, threads=threads)
        return [(f.code, f.severity, f.evidence) for f in (*first, *history.findings)]

    assert len(all_of(1)) > 2 and all_of(1) == all_of(2)


# --- healthy models -------------------------------------------------------------------------------------------------


def serious(findings):
    return [str(f) for f in findings if f.severity != "note"]


@pytest.mark.parametrize("name", ["best", "relu", "prelu", "bn-before", "bn-elu", "selu-100"])
def test_the_models_of_the_notes_are_healthy(name):
    from fastnn.models import presets

    (x, y), (x_test, y_test) = fastnn.datasets.digits.load_data()
    fastnn.set_random_seed(0)
    x, x_test = ((a / 16 - 0.3).astype("float32") / 0.37 for a in (x, x_test))
    model = presets.build(name, x.shape[1:], 10)
    deep, epochs = name == "selu-100", 10 if name == "selu-100" else 3
    rate = fastnn.optimizers.schedules.OneCycle(3e-4, epochs * 45) if deep else 1e-3
    model.compile(fastnn.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert serious(model.check(x, y, (x_test, y_test))) == []
    findings = model.fit(x, y, epochs=epochs, validation_data=(x_test, y_test), verbose=0).findings
    # A hundred layers learn slowly; how slowly depends on the last bit of the sums, but nothing else is wrong.
    slow = {"lr_too_low", "too_few_epochs"} if deep else set()
    assert serious(f for f in findings if f.fault not in slow) == []


def test_the_model_of_the_readme_is_healthy():
    from fastnn.layers import Flatten

    (x, y), test = fastnn.datasets.digits.load_data()
    model = fastnn.Sequential([
        Flatten(input_shape=[8, 8]), BatchNormalization(), Dense(100, "elu", kernel_initializer="he_normal"),
        BatchNormalization(), Dense(10, "softmax"),
    ])  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    assert serious(model.check(x, y, test)) == []
    assert serious(model.fit(x, y, epochs=5, validation_data=test, verbose=0).findings) == []


@pytest.mark.parametrize("kind", ["sgd", "adam", "rmsprop"])
def test_regressions_and_small_tables_are_healthy(kind):
    model = real(Dense(32, "tanh"), opt=kind, metrics=["mae"])()
    assert serious(model.check(X, REAL)) == []
    assert serious(net(opt=kind).check(X[:40, :3].repeat(2, axis=1), LABELS[:40])) == []


def test_a_model_in_float64_with_nested_parts():
    from fastnn.layers import Residual

    parts = [Residual([Dense(8, "relu"), Dense(6)]), fastnn.Sequential([Dense(8, "relu")]), Dense(3, "softmax")]
    model = fastnn.Sequential([fastnn.layers.Input((6,)), *parts], dtype="float64")
    model.compile("adam", "categorical_crossentropy")
    assert serious(model.check(X, HOT)) == []


# --- the list -------------------------------------------------------------------------------------------------------


def test_a_list_of_findings_says_what_to_do():
    model = net(loss="categorical_crossentropy")
    findings = model.check(100 * X, LABELS)
    assert [f.severity for f in findings] == ["error", "warning"]
    assert "What to do: Use sparse_categorical_crossentropy, or one-hot rows." in str(findings)
    assert "<th" in findings._repr_html_() and "sparse_categorical_crossentropy" in findings._repr_html_()
    assert str(Findings()) == "No findings."
    assert isinstance(findings[0], fastnn.Finding) and fastnn.Finding is diagnostics.Finding


def test_labels_are_read_in_words():
    findings = net(Dense(8), BatchNormalization(), Activation("relu"), opt=fastnn.Adam(1.0)).check(X, LABELS)
    said = {line.partition(":")[2].partition("[")[0].strip() for line in str(findings).splitlines() if "[FN" in line}
    assert {"learning rate too high", "bias before batch normalisation in layer " + findings[-1].layer} <= said


@pytest.mark.parametrize("constant, severity", [(1, "note"), (3, "warning"), (5, "warning")])
def test_constant_columns_of_half_a_table(constant, severity):
    findings = net().check(np.where(np.arange(6) < constant, 1, X).astype("float32"), LABELS)
    assert [f.severity for f in findings if f.code == "FN223"] == [severity]


def test_silenced_by_code_and_by_name():
    model = net()
    assert [f.code for f in model.check(100 * X)] == ["FN222"]
    assert model.check(100 * X, ignore=["FN222"]) == [] == model.check(100 * X, ignore="input-scale")
    with diagnostics.ignore("fn222"):
        assert model.check(100 * X) == []
    assert model.check(100 * X)
    try:
        diagnostics.ignore("FN222")
        assert model.check(100 * X) == []
    finally:
        diagnostics.ignore.reset()
    with pytest.raises(ValueError, match="expected the code of a finding, got 'FN22'"):
        model.check(ignore=["FN22"])


def test_compile_prints_no_silenced_finding(recwarn):
    with diagnostics.ignore("FN101"):
        fastnn.Sequential([Dense(1, "softmax", input_shape=(3,))]).compile("adam", "mse")
    assert not recwarn


def make(code, fault, severity, likelihood):
    return Finding(code, fault, severity, None, "m", "w", "f", likelihood=likelihood)


def test_what_another_finding_explains_comes_after_it():
    cause = make("FN222", "unscaled_data", "warning", 0.7)
    symptom = make("FN513", "exploding_gradient", "error", 0.9)
    other = make("FN204", "shape_mismatch", "error", 0.5)
    assert [f.code for f in ranked([symptom, cause])] == ["FN222", "FN513"]
    assert [f.code for f in ranked([symptom, cause, other])][0] == "FN204"
    assert [f.code for f in ranked([symptom, make("FN222", "unscaled_data", "note", 0.7)])] == ["FN513", "FN222"]


# --- errors and the command -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "fault"),
    [(X[:, :5], LABELS, "shape_mismatch"), (X, LABELS[:9], "shape_mismatch"), (X, LABELS + 1, "label_encoding"),
     (X, HOT, "label_encoding"), (np.where(X > 2, np.inf, X), LABELS, "nan_data")],
)  # fmt: skip
def test_errors_of_fit_carry_a_finding(x, y, fault):
    with pytest.raises(ValueError) as caught:
        net().fit(x, y, verbose=0)
    assert caught.value.finding.fault == fault and caught.value.finding.severity == "error"


def test_other_errors_carry_none():
    with pytest.raises(ValueError) as caught:
        net().fit(X, LABELS, batch_size=0, verbose=0)
    assert caught.value.finding is None


def command(*arguments):
    return subprocess.run([sys.executable, "-P", "-m", "fastnn", "check", *map(str, arguments)], capture_output=True,
                          text=True)  # fmt: skip


def test_the_command(tmp_path):
    net().save(tmp_path / "model.fastnn")
    np.savez(tmp_path / "good.npz", x=X, y=LABELS, x_val=X[:9] + 1, y_val=LABELS[:9])
    np.savez(tmp_path / "bad.npz", x=X, y=LABELS + 1)
    np.savez(tmp_path / "empty.npz", z=X)
    good = command(tmp_path / "model.fastnn", "--data", tmp_path / "good.npz")
    assert (good.returncode, good.stdout) == (0, "No findings.\n"), good.stderr
    bad = command(tmp_path / "model.fastnn", "--data", tmp_path / "bad.npz", "--json")
    assert bad.returncode == 1 and json.loads(bad.stdout)[0]["code"] == "FN205"
    assert command(tmp_path / "model.fastnn", "--data", tmp_path / "bad.npz", "--ignore", "FN205").returncode == 0
    for wrong in ("empty.npz", "missing.npz"):
        assert command(tmp_path / "model.fastnn", "--data", tmp_path / wrong).returncode == 2
    assert command(tmp_path / "model.fastnn", "--ignore", "FN0").returncode == 2
