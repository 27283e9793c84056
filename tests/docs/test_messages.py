"""What is said: suggestions, advice on one-dimensional data, variables of the environment, columns of wide letters."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, optimizers
from fastnn._base import checks
from fastnn._base import text as terminal
from fastnn._core import threads as core_threads
from fastnn.callbacks import EarlyStopping
from fastnn.optimizers import schedules

# --- suggestions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("a, b, errors", [  # Damerau (1964) and Levenshtein (1966), and their followers' examples
    ("kitten", "sitting", 3), ("saturday", "sunday", 3), ("flaw", "lawn", 2), ("adma", "adam", 1), ("", "abc", 3),
    ("ca", "abc", 3),  # a pair that changed places is not changed further
])  # fmt: skip
def test_typing_errors(a, b, errors):
    assert checks._typing_errors(a, b) == checks._typing_errors(b, a) == errors


@pytest.mark.parametrize("typed, meant", [
    ("adma", "Adam"), ("Adm", "Adam"), ("sdg", "SGD"), ("rmsporp", "RMSprop"), ("adamx", "Adamax"), ("adamww", "AdamW"),
])  # fmt: skip
def test_optimizers_that_are_meant(typed, meant):
    model = fastnn.Sequential([layers.Dense(1)])
    with pytest.raises(ValueError, match=f"unknown optimizer {typed!r}. Did you mean {meant!r}"):
        model.compile(typed, "mse")


@pytest.mark.parametrize("candidates", [["accuracy", "Accuracy"], ["Accuracy", "accuracy"]])
def test_of_two_spellings_that_which_is_nearest(candidates):
    assert checks.suggest("acuracy", candidates) == " Did you mean 'accuracy'?"
    assert checks.suggest("Acuracy", candidates) == " Did you mean 'Accuracy'?"


def test_private_names_are_not_suggested():
    for thing in (optimizers, layers, fastnn.losses, fastnn.metrics, fastnn.models, callbacks, fastnn):
        for name in [n for n in vars(thing) if n[0] == "_" and n[:2] != "__"]:
            with pytest.raises(AttributeError) as error:
                getattr(thing, name[1:] + "q" if hasattr(thing, name[1:]) else name[1:])
            assert "mean '_" not in str(error.value)
    assert checks.suggest("lok", ["_lock", "look"]) == " Did you mean 'look'?"
    assert checks.suggest("lock", ["_lock"]) == ""


@pytest.mark.parametrize("make, meant", [
    (lambda: layers.Dense(3, activatoin="relu"), "activation"),
    (lambda: layers.Dropout(0.5, sede=1), "seed"),
    (lambda: EarlyStopping(patiance=3), "patience"),
    (lambda: callbacks.ModelCheckpoint("x", save_best=True), "save_best_only"),
    (lambda: fastnn.initializers.HeNormal(sead=1), "seed"),
    (lambda: fastnn.regularizers.L2(l=0.1), "l2"),
    (lambda: fastnn.constraints.MaxNorm(max_vale=1), "max_value"),
    (lambda: fastnn.losses.Huber(dleta=1), "delta"),
    (lambda: fastnn.metrics.AUC(num_threshold=3), "num_thresholds"),
    (lambda: schedules.ExponentialDecay(0.1, 5, decay_rat=0.5), "decay_rate"),
    (lambda: schedules.OneCycle(max_learning_rat=0.1, total_steps=3), "max_learning_rate"),
    (lambda: optimizers.SGD(momentun=0.9), "momentum"),
])  # fmt: skip
def test_arguments_that_are_meant(make, meant):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '.*'. Did you mean '{meant}'"):
        make()


def test_classes_of_ones_own_take_what_they_take():
    class Own(callbacks.Callback):
        def __init__(self, *, every):
            super().__init__()
            self.every = every

    class Anything(callbacks.Callback):
        def __init__(self, **options):
            super().__init__()
            self.options = options

    class Plain(callbacks.Callback):
        pass

    assert Own(every=3).every == 3 and Anything(a=1).options == {"a": 1} and Plain() is not None
    with pytest.raises(TypeError, match="Own.*'evry'. Did you mean 'every'"):
        Own(evry=3)


@pytest.mark.parametrize("cls", [optimizers.SGD, optimizers.Adam, optimizers.RMSprop])
def test_decay_of_keras_2_is_a_schedule(cls):
    """Keras 2: rate = learning_rate / (1 + decay * step)."""
    with pytest.raises(TypeError, match=r"decay: .*InverseTimeDecay\(0.5, decay_steps=1, decay_rate=0.01\)") as error:
        cls(learning_rate=0.5, decay=0.01)
    assert "Did you mean 'weight_decay'" not in str(error.value)
    advised = schedules.InverseTimeDecay(0.5, decay_steps=1, decay_rate=0.01)
    steps = np.arange(50)
    np.testing.assert_allclose(advised(steps), 0.5 / (1 + 0.01 * steps), rtol=1e-14)


def test_one_cycle_has_both_names_of_its_rate():
    ours = schedules.OneCycle(max_learning_rate=0.25, total_steps=10)
    torch = schedules.OneCycle(max_lr=0.25, total_steps=10)
    for each in (ours, torch, schedules.OneCycle(0.25, 10), schedules.OneCycle.from_config(torch.get_config())):
        assert each.max_learning_rate == each.max_lr == 0.25
        assert [each(i) for i in (0, 9)] == pytest.approx([0.25 / 25, 0.25 / 25 / 1e4], rel=1e-12)
    assert "max_learning_rate" in ours.get_config()
    with pytest.raises(TypeError, match="max_lr, max_learning_rate: expected one of the two"):
        schedules.OneCycle(0.25, 10, max_lr=0.25)
    for arguments in ({}, {"max_lr": None, "total_steps": 3}, {"max_lr": 0.1}):
        with pytest.raises(TypeError, match="max_learning_rate|total_steps"):
            schedules.OneCycle(**arguments)


# --- public names ---------------------------------------------------------------------------------

MODULES = [
    fastnn, fastnn.activations, fastnn.callbacks, fastnn.constraints, fastnn.datasets, fastnn.datasets.digits,
    fastnn.datasets.fashion_mnist, fastnn.diagnostics, fastnn.initializers, fastnn.layers, fastnn.losses,
    fastnn.metrics, fastnn.models, fastnn.ops, fastnn.optimizers, schedules, fastnn.regularizers, fastnn.saving,
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_dir_has_the_public_names_only(module):
    names = {name for name in dir(module) if name[:2] != "__"}
    lazy = {*fastnn.optimizers.__all__} if module is fastnn else set()
    assert names >= {n for n in module.__all__ if n[:2] != "__"}
    assert names <= {*module.__all__} | lazy


# --- data of one axis -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [layers.Dense(1), layers.BatchNormalization(), layers.Normalization()])
def test_one_dimensional_x_is_told_both_remedies(first):
    x = np.arange(3.0)
    model = fastnn.Sequential([first, layers.Dense(1)])
    model.compile("sgd", "mse")
    for call in (lambda: model.fit(x, x, verbose=0), lambda: model.predict(x), lambda: model(x)):
        with pytest.raises(ValueError, match=r"^x: .*got \(3,\).*x.reshape\(-1, 1\).*x\[None\]") as error:
            call()
        assert "Flatten" not in str(error.value)
    assert model.predict(x.reshape(-1, 1)).shape == (3, 1)  # the advice is right


@pytest.mark.parametrize("shape, n, advice", [
    ((3,), 3, "x[None]"), ((1, 1), 5, "x.reshape(-1, 1, 1)"), ((2, 3), 6, "x.reshape(1, 2, 3)"),
])  # fmt: skip
def test_one_dimensional_x_of_a_model_that_is_built(shape, n, advice):
    model = fastnn.Sequential([layers.Flatten(input_shape=shape), layers.Dense(1)])
    x = np.arange(float(n))
    with pytest.raises(ValueError) as error:
        model.predict(x)
    assert advice in str(error.value) and "Flatten" not in str(error.value)
    assert model.predict(eval(advice)).shape[1] == 1


@pytest.mark.parametrize("first", [layers.Flatten, lambda: layers.Reshape((1,))])
def test_one_dimensional_x_is_samples_of_a_number_where_the_layers_take_it(first):
    """As in Keras 3, whose Flatten makes (n, 1) of (n,)."""
    model = fastnn.Sequential([first(), layers.Dense(1)])
    assert model.predict(np.arange(4.0)).shape == (4, 1)


def test_a_message_does_not_print_whole_arrays():
    """A dict of inputs, as Keras' functional models take it."""
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="^x: expected an array, got {'a': .*of type dict$") as error:
        model.fit({"a": np.zeros((200, 8))}, np.zeros(200), verbose=0)
    assert len(str(error.value)) < 200


# --- the environment ------------------------------------------------------------------------------


def run(code, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OMP_THREAD_LIMIT"])
@pytest.mark.parametrize("value, warned", [("two", True), ("-1", True), ("0", True), ("2,1", False),
                                           ("2147483647", False), ("9" * 5000, False)])  # fmt: skip
def test_thread_counts_that_are_none_are_warned_of_once(name, value, warned):
    code = "import fastnn; n = [fastnn.get_num_threads() for _ in range(3)]; print(min(n))"
    found = run(code, **{name: value})
    assert int(found.stdout) >= 1
    said = [line for line in found.stderr.splitlines() if f"{name}: expected a number of threads, got" in line]
    assert len(said) == (warned and core_threads.openmp())  # without OpenMP they mean nothing


def test_an_unknown_instruction_set_names_its_variable():
    found = run("import fastnn; fastnn.isa()", FASTNN_ISA="sse9")
    assert "FASTNN_ISA" in found.stderr.splitlines()[-1] and "sse9" in found.stderr.splitlines()[-1]


# --- columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, columns", [  # Unicode Standard Annex #11: wide and fullwidth take two columns
    ("abc", 3), ("은닉층", 6), ("層", 2), ("Ａ", 2), ("é", 1), ("e\u0301", 1), ("ｱ", 1), ("😀", 2), ("한a글", 5),
    ("\u1112\u1161\u11ab", 2),  # the same syllable, 한, of three parts
])  # fmt: skip
def test_width(text, columns):
    assert terminal.width(text) == columns
    assert terminal.left(text, 9) == text + " " * (9 - columns)
    assert terminal.right(text, 9) == " " * (9 - columns) + text
    assert terminal.width(terminal.cut(text * 9, 7)) in (6, 7) and terminal.cut(text, columns) == text


def test_columns_of_the_summary_with_korean_names():
    lines = []
    model = fastnn.Sequential([layers.Dense(2, name="은닉층"), layers.Dense(1, name="output_layer")], name="모형")
    model.build((None, 3))
    for options in ({}, {"line_length": 60}, {"line_length": 24}, {"show_trainable": True}):
        lines.clear()
        model.summary(print_fn=lines.append, **options)
        lines = "\n".join(lines).split("\n")
        full = _columns_of(lines[1])
        rows = [line for line in lines if "(Dense)" in line or "Output Shape" in line]
        assert all(_columns_of(row) <= full for row in rows)
        if "line_length" not in options or options["line_length"] == 60:
            starts = [_columns_of(row[: max(row.find("(None"), row.find("Output Shape"))]) for row in rows]
            assert len(rows) == 3 and len(set(starts)) == 1


def _columns_of(text):
    return sum(2 if "가" <= char <= "힣" else 1 for char in text)


def test_columns_of_gradient_checks_with_korean_names():
    dense = [layers.Dense(2, name="은닉층", input_shape=(3,)), layers.Dense(1, name="output")]
    model = fastnn.Sequential(dense, dtype="float64")
    model.compile(loss="mse")
    rows = str(model.check_gradients(np.ones((2, 3)), np.ones((2, 1)))).split("\n")
    starts = {_columns_of(row[: row.index("[")]) for row in rows if row.startswith(("은닉층", "output"))}
    assert len(rows) == 6 and len(starts) == 1, rows


def test_columns_of_sweeps_with_korean_names():
    def build(이름):
        model = fastnn.Sequential([layers.Dense(1, input_shape=(2,), name=이름)])
        model.compile("sgd", "mse")
        return model

    params = [{"이름": "output"}, {"이름": "은닉층"}]
    lines = str(fastnn.sweep(build, params, np.ones((4, 2)), np.ones(4), seed=0, verbose=0)).split("\n")
    assert len(lines) == 3 and len({_columns_of(line) for line in lines}) == 1, lines


def test_the_values_of_show_versions_are_one_column(capsys):
    fastnn.show_versions()
    lines = capsys.readouterr().out.splitlines()
    starts = {len(line) - len(line.split(":", 1)[1].lstrip()) for line in lines}
    assert len(starts) == 1 and all(": " in line for line in lines)
