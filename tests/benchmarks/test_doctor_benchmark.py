"""`benchmarks/doctor`: the reference doctors have the published thresholds, the scores count what they say."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from benchmark_tools import BENCHMARKS  # noqa: F401 (makes the package importable)

import fastnn
from fastnn.diagnostics import Health
from fastnn.layers import Dense, Dropout

from doctor import data, faults, healthy, measure, program, reference, repairs, scores  # isort: skip
from doctor.bases import ARCHITECTURES, base  # isort: skip
from doctor.scores import Diagnosis  # isort: skip

CALM = {"gradient_norm": [0.1, 0.2, 0.3], "update_ratio": [1e-3] * 3, "dead": [0.1, 0.1, np.nan],
        "saturated": [0.1] * 3, "activation_mean": [0.5] * 3}  # fmt: skip


def network(*layers, rate=1e-3, loss="sparse_categorical_crossentropy"):
    layers = layers or (Dense(8, "relu"), Dense(8, "relu"), Dense(3, "softmax"))
    model = fastnn.Sequential([fastnn.layers.Input((4,)), *layers])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are wrong on purpose
        model.compile(fastnn.Adam(rate), loss)
    return model


def a_run(x=None, y=None, model=None, epochs=1, logs=None, **figures):
    health = Health(["a", "b", "c"], ["Dense relu", "Dense relu", "Dense softmax"])
    for epoch in range(epochs):
        health.append(epoch, 1, {k: np.asarray(v, float) for k, v in (CALM | figures).items()})
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (20, 4)) if x is None else x
    y = np.arange(20) % 3 if y is None else y
    logs = {"loss": [1.0], "accuracy": [0.5]} | (logs or {})
    return reference.Run(x, y, model or network(), health, logs)


def test_reference_doctors_find_nothing_in_a_calm_run():
    logs = {"loss": [1.0, 0.5], "val_loss": [1.0, 0.5], "accuracy": [0.5, 0.7], "val_accuracy": [0.5, 0.7]}
    for doctor in reference.DOCTORS.values():
        assert doctor(a_run(logs=logs)) == []


CASES = [
    # AutoTrainer: first / last < 1e-3 and first < 1e-4; ratio > 70; 70 % dead; swings of 3 % in a fifth of the epochs
    ("AutoTrainer", "vanishing_gradient", {"gradient_norm": [0.9e-4, 1, 0.1]}, {"gradient_norm": [1.1e-4, 1, 0.12]}),
    ("AutoTrainer", "exploding_gradient", {"gradient_norm": [71, 1, 1]}, {"gradient_norm": [69, 1, 1]}),
    ("AutoTrainer", "exploding_gradient", {"logs": {"loss": [1e3]}}, {"logs": {"loss": [999.0]}}),
    ("AutoTrainer", "dying_relu", {"dead": [0.7, 0, np.nan]}, {"dead": [0.69, 0, np.nan]}),
    ("AutoTrainer", "oscillating_loss", {"logs": {"accuracy": [0.5, 0.6, 0.56, 0.7, 0.75, 0.8]}},
     {"logs": {"accuracy": [0.5, 0.6, 0.58, 0.7, 0.75, 0.8]}}),
    ("AutoTrainer", "no_learning", {"logs": {"accuracy": [0.5, 0.509]}}, {"logs": {"accuracy": [0.5, 0.511]}}),
    # DeepDiagnosis: mean |g| < 1e-7; 70 % dead at the end; half saturated; update ratio in [1e-5, 1e-1]; x in [-1, 1]
    ("DeepDiagnosis", "vanishing_gradient", {"gradient_norm": [1e-9, 1, 1]}, {"gradient_norm": [1e-5, 1, 1]}),
    ("DeepDiagnosis", "saturated", {"saturated": [0.51, 0, 0]}, {"saturated": [0.5, 0, 0]}),
    ("DeepDiagnosis", "lr_too_high", {"update_ratio": [0.11, 0.01, 0.01]}, {"update_ratio": [0.1, 0.01, 0.01]}),
    ("DeepDiagnosis", "lr_too_low", {"update_ratio": [0.9e-5, 0.01, 0.01]}, {"update_ratio": [1.1e-5, 0.01, 0.01]}),
    ("DeepDiagnosis", "unscaled_data", {"x": np.full((20, 4), 1.01)}, {"x": np.full((20, 4), 1.0)}),
    ("DeepDiagnosis", "no_learning", {"logs": {"loss": [1.0] * 21}}, {"logs": {"loss": [1.0] * 20}}),
    ("DeepDiagnosis", "wrong_last_activation", {"model": network(Dense(3, "relu"))}, {}),
    ("DeepDiagnosis", "bad_init", {"model": network(Dense(64, kernel_initializer="zeros"), Dense(3, "softmax"))}, {}),
    # UMLAUT: x in [-1, 1]; rate in [1e-7, 0.01]; dropout above a half; linear hidden layers; softmax; the curves
    ("UMLAUT", "unscaled_data", {"x": np.full((20, 4), -1.01)}, {"x": np.full((20, 4), -1.0)}),
    ("UMLAUT", "lr_too_high", {"model": network(rate=0.011)}, {"model": network(rate=0.01)}),
    ("UMLAUT", "lr_too_low", {"model": network(rate=0.9e-7)}, {"model": network(rate=1.1e-7)}),
    ("UMLAUT", "dropout_too_high", {"model": network(Dense(4, "relu"), Dropout(0.51), Dense(3, "softmax"))},
     {"model": network(Dense(4, "relu"), Dropout(0.5), Dense(3, "softmax"))}),
    ("UMLAUT", "no_nonlinearity", {"model": network(Dense(4), Dense(3, "softmax"))}, {}),
    ("UMLAUT", "missing_activation", {"model": network(Dense(3))}, {}),
    ("UMLAUT", "overfitting", {"logs": {"loss": [1.0, 0.9], "val_loss": [1.0, 1.01]}},
     {"logs": {"loss": [1.0, 0.9], "val_loss": [1.0, 1.0]}}),
    ("UMLAUT", "validation_leak", {"logs": {"val_accuracy": [0.1, 0.2, 0.96]}},
     {"logs": {"val_accuracy": [0.1, 0.2, 0.3, 0.96]}}),
    # SageMaker: half inactive, half saturated, update ratio in [1e-8, 10], loss of ten steps ago, variances 1 : 10
    ("SageMaker", "dying_relu", {"dead": [0.5, 0, np.nan]}, {"dead": [0.49, 0, np.nan]}),
    ("SageMaker", "saturated", {"saturated": [0.5, 0, 0]}, {"saturated": [0.49, 0, 0]}),
    ("SageMaker", "lr_too_high", {"update_ratio": [11, 1, 1]}, {"update_ratio": [10, 1, 1]}),
    ("SageMaker", "lr_too_low", {"update_ratio": [0.9e-8, 1, 1]}, {"update_ratio": [1.1e-8, 1, 1]}),
    ("SageMaker", "no_learning", {"logs": {"loss": [1.0] * 11}}, {"logs": {"loss": [1.0] * 10}}),
    ("SageMaker", "exploding_gradient", {"logs": {"loss": [np.nan]}}, {"logs": {"loss": [1e30]}}),
]  # fmt: skip


@pytest.mark.parametrize(("doctor", "label", "beyond", "within"), CASES)
def test_thresholds_of_reference_doctors(doctor, label, beyond, within):
    assert label in reference.DOCTORS[doctor](a_run(**beyond))
    assert label not in reference.DOCTORS[doctor](a_run(**within))


def test_scores_count_labels_ranks_and_equivalents():
    found = [
        Diagnosis("1", "zero_init", ["zero_init"], codes=["FN1"]),
        Diagnosis("2", "zero_init", ["lr_too_low", "a", "zero_init"]),
        Diagnosis("3", "zero_init", ["a", "b", "c", "zero_init"]),
        Diagnosis("4", "zero_init", ["symmetric_units"]),
        Diagnosis("5", "zero_init", [], ["zero_init"]),
        Diagnosis("6", "bias_before_bn", [], ["bias_before_bn"]),  # deserves a note only
        Diagnosis("7", None, ["lr_too_low"], codes=["FN2"]),
        Diagnosis("8", None, [], ["lr_too_low"]),
    ]
    table = scores.by_label(found)
    assert table["zero_init"] == {"programs": 5, "detected": 0.8, "top3": 0.6, "first": 0.4,
                                  "top3_equivalent": 0.8, "first_equivalent": 0.6}  # fmt: skip
    assert table["bias_before_bn"]["detected"] == 0 and table["bias_before_bn"]["first"] == 1
    assert table["total"] == table["zero_init"] and table["mean of labels"]["programs"] == 1
    assert scores.false_alarms(found) == {"programs": 2, "share": 0.5, "codes": {"FN2": 1}}
    baselines = scores.constant_baselines([*found, Diagnosis("9", "lr_too_high", [])])
    assert baselines["first"] == {"answer": "zero_init", "share": pytest.approx(5 / 6)}
    assert baselines["top3"]["share"] == 1


def test_programs_that_count():
    def record(name, planted, score, harmed=True):
        return measure.Record(name, planted, score, 0.9, None, harmed, 0.0, 0.0)

    records = [record("lr_too_low:digits/relu/0", "lr_too_low", 0.9, False), record("zero_init:x", "zero_init", 0.1),
               *(record(f"healthy:digits/{i}", None, s) for i, s in enumerate([0.9, 0.89, 0.84]))]  # fmt: skip
    assert [r.name for r in measure.counted(records)] == ["zero_init:x", "healthy:digits/0", "healthy:digits/1"]


def test_findings_are_ranked_by_severity_each_fault_once():
    def finding(fault, severity):
        return SimpleNamespace(fault=fault, severity=severity)

    given = [finding("a", "note"), finding("b", "warning"), finding("c", "error"), finding("b", "error")]
    assert [(f.fault, f.severity) for f in program.ranked(given)] == [("c", "error"), ("b", "error"), ("a", "note")]


def test_every_label_is_planted_and_named_by_the_interface():
    assert len(faults.LABELS) == len(set(faults.LABELS)) == 47
    planted = {}
    for make in data.PLANTED:
        for architecture in ARCHITECTURES:
            twin = base(make(0), architecture, 0)
            for fault in faults.FAULTS:
                found = faults.plant(fault, twin)
                if found is not None:
                    planted[fault.label] = found
                    assert measure.named(found.name).name == found.name
                    assert found.data is not twin.data or found != twin
    assert set(planted) == set(faults.LABELS)


def test_data_of_the_twin_are_not_spoiled_by_planting():
    twin = base(data.digits(0), "relu", 0)
    before = twin.data.x.copy(), twin.data.y.copy()
    for fault in faults.FAULTS:
        faults.plant(fault, twin)
    assert (twin.data.x == before[0]).all() and (twin.data.y == before[1]).all()


def test_a_program_runs_the_same_again_and_is_scored_in_its_own_unit():
    twin = base(data.houses(0), "relu", 0)
    first, again = (program.run(twin) for _ in range(2))
    assert first.score == again.score > 0.85 and first.history.history == again.history.history
    pred = first.model.predict(twin.data.xv, verbose=0)[:, 0]
    assert first.score == pytest.approx(1 - np.mean((pred - twin.data.yv) ** 2) / np.var(twin.data.yv), rel=1e-6)


def test_healthy_networks_are_at_least_500():
    several = list(healthy.programs(range(2)))
    assert len(several) >= 500 and len({p.name for p in several}) == len(several)
    names = {p.name.split("/")[2] for p in several}
    assert names == set(healthy.OPTIMIZERS)


def test_near_the_twin():
    assert repairs.is_near("classes", 0.95, 0.97) and not repairs.is_near("classes", 0.949, 0.97)
    assert repairs.is_near("values", 0.45, 0.5) and not repairs.is_near("values", 0.44, 0.5)


def test_faults_of_one_program_and_their_table(capsys):
    records = measure.faulty("flowers", "relu", 0, ["lr_invalid", "wrong_last_activation"])
    assert [r["planted"] for r in records] == [None, "wrong_last_activation", "lr_invalid"]
    assert all(set(r["reference"]) == set(reference.DOCTORS) for r in records)
    table = repairs.repair_table(repairs.repair_one("flowers", "relu", 0, ["wrong_last_activation"]))
    assert table["repair"]["total"]["programs"] == 1 and table["repair"]["total"]["near"] == 1
    assert "| total | 1 | 100.0 | 0.0 |" in capsys.readouterr().out
