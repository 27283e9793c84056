"""docs/defaults.md says what the libraries do: the numbers of its first table, asked from the libraries themselves."""

import inspect
import re

import pytest
from places import ROOT

import fastnn

PAGE = (ROOT / "docs/defaults.md").read_text(encoding="utf-8")
TABLE = {row[0]: row[1:] for row in re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.M)}
ROOMS = {
    **dict.fromkeys(("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta"), "optimizers"),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "LeakyReLU", "PReLU"), "layers"),
    "EarlyStopping": "callbacks",
}
TORCH = {
    "learning_rate": "lr", "epsilon": "eps", "rho": "rho", "negative_slope": "negative_slope", "momentum": "momentum",
    "weight_decay": "weight_decay", "initial_accumulator_value": "initial_accumulator_value",
    "RMSprop(rho)": "alpha", "PReLU(alpha_initializer)": "init",
    "BatchNormalization": "BatchNorm1d", "LayerNormalization": "LayerNorm",
}  # fmt: skip
SKLEARN = {
    "Adam(learning_rate)": "learning_rate_init", "Adam(epsilon)": "epsilon", "SGD(learning_rate)": "learning_rate_init",
    "SGD(momentum)": "momentum", "EarlyStopping(patience)": "n_iter_no_change",
}  # fmt: skip


def default(function, argument):
    return inspect.signature(function).parameters[argument].default


def same(text, value):
    """Whether a cell of the table begins with `value`, as a number or a word."""
    word = text.split()[0].rstrip(",")
    return word == value if isinstance(value, str) else float(word) == float(value)


def rows():
    for key, cells in TABLE.items():
        name, argument = re.fullmatch(r"(\w+)\((\w+)\)", key).groups()
        yield key, name, argument, cells


def test_the_table_is_read():
    assert len(TABLE) == 16


@pytest.mark.parametrize("library", ["fastnn", "keras"])
def test_ours_are_keras(library):
    module = fastnn if library == "fastnn" else pytest.importorskip("keras")
    for key, name, argument, cells in rows():
        found = default(getattr(getattr(module, ROOMS[name]), name).__init__, argument)
        found = {"Zeros": "zeros"}.get(found, found) if isinstance(found, str) else found
        assert same(cells[0], found), (key, cells[0], found)


def test_torch():
    torch = pytest.importorskip("torch")
    asked = 0
    for key, name, argument, cells in rows():
        if cells[1] == "–":
            continue
        room = torch.optim if ROOMS[name] == "optimizers" else torch.nn
        found = default(getattr(room, TORCH.get(name, name)), TORCH.get(key) or TORCH[argument])
        assert same(cells[1], found), (key, cells[1], found)
        asked += 1
    assert asked == 15


def test_sklearn():
    sklearn = pytest.importorskip("sklearn.neural_network")
    for key, _, _, cells in rows():
        if cells[2] != "–":
            found = default(sklearn.MLPClassifier.__init__, SKLEARN[key])
            assert same(cells[2], found), (key, cells[2], found)
