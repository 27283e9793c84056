"""The table of health: what is put in comes out, in every form; the worst layer is marked; NaN is explained."""

import copy
import json
import pickle
import re

import health_tools as tools
import numpy as np
import pytest

from fastnn._base.text import width
from fastnn.callbacks import History
from fastnn.diagnostics import Health

LAYERS = ("a", "한국어 층", "c")


def made(epochs=3, layers=LAYERS, every=4, sampled=5, seed=0, **fixed):
    """A Health of random numbers, and what was put in: {quantity: (layers, epochs)}."""
    rng = np.random.default_rng(seed)
    put = {name: rng.random((len(layers), epochs)) for name in Health.QUANTITIES}
    put |= {name: np.broadcast_to(np.asarray(value, float), (len(layers), epochs)) for name, value in fixed.items()}
    health = Health(layers, ["Dense relu"] * len(layers), every)
    for e in range(epochs):
        health.append(e, sampled, {name: values[:, e] for name, values in put.items()}, 0.5 + e, np.nan)
    return health, put


@pytest.mark.parametrize("epochs", [0, 1, 8, 9, 40])
def test_numbers_are_kept(epochs):
    health, put = made(epochs)
    for name, values in put.items():
        found = getattr(health, name)
        assert found.dtype == np.float64 and found.shape == (3, epochs) and np.array_equal(found, values)
    assert health.epoch == list(range(epochs)) and health.sampled == [5] * epochs and len(health) == epochs
    assert health.total_gradient_norm == [0.5 + e for e in range(epochs)]
    assert np.isnan(health.clip_rate).tolist() == [True] * epochs


def test_arrays_of_earlier_epochs_stay_as_they_are():
    health, put = made(8)
    before = health.dead
    health.append(8, 1, {"dead": [1, 1, 1]})
    assert np.array_equal(before, put["dead"]) and health.dead[:, 8].tolist() == [1, 1, 1]
    assert np.isnan(health.gradient_norm[:, 8]).all()
    with pytest.raises(ValueError, match="read-only"):
        before[0, 0] = 2.0


def test_an_epoch_is_appended_without_copies_of_all_others():
    health, _ = made(1)
    buffers = set()
    for e in range(1000):
        health.append(e, 1, {})
        buffers.add(id(health._values))
    assert len(buffers) < 12 and len(health) == 1001


@pytest.mark.parametrize("part", [slice(2), slice(1, None), slice(None, None, 2), slice(5, 9)])
def test_slices_are_epochs(part):
    health, put = made(5)
    found = health[part]
    assert found.epoch == health.epoch[part] and np.array_equal(found.drift, put["drift"][:, part])
    assert found.layers == health.layers and found.every == 4
    found.append(99, 1, {"drift": [7, 8, 9]})
    assert found.drift[:, -1].tolist() == [7, 8, 9] and len(health) == 5


def test_single_epochs():
    health, put = made(3)
    assert health[-1] == health[2:] and health[0] == health[:1] and [h.epoch for h in health] == [[0], [1], [2]]
    with pytest.raises(IndexError, match="index: expected an epoch among 3, got 3"):
        health[3]


def test_equality_counts_nan_as_equal():
    a, b = made(3, dead=np.nan)[0], made(3, dead=np.nan)[0]
    assert a == b and a != made(3)[0] and a != made(2, dead=np.nan)[0] and a != 3
    assert made(3, layers=("a", "b", "c"))[0] != made(3)[0] and made(every=2)[0] != made(every=3)[0]
    b._values[1, 0, 0] += 1e-15
    assert a != b


def test_a_dict_and_back_through_json():
    health, _ = made(9)
    health.append(9, 0, {"gradient_norm": [np.inf, 1e-300, np.nan], "activation_mean": [-np.inf, 0.1, 1 / 3]}, np.inf)
    text = json.dumps(health.to_dict(), allow_nan=False)
    again = Health.from_dict(json.loads(text))
    assert again == health and json.loads(text)["gradient_norm"][0][9] == "inf"
    assert json.loads(text)["gradient_norm"][2][9] is None
    assert Health.from_dict(made(0)[0].to_dict()) == made(0)[0]


def test_copies_and_pickles():
    health, _ = made(9)
    assert copy.deepcopy(health) == health == pickle.loads(pickle.dumps(health))


def test_records_are_long():
    pandas = pytest.importorskip("pandas")
    health, put = made(4)
    frame = pandas.DataFrame(health.records())
    wide = frame.pivot(index="layer", columns="epoch", values="update_ratio").loc[list(LAYERS)]
    assert np.array_equal(wide.to_numpy(), put["update_ratio"])
    assert [*frame.columns] == ["layer", "kind", "epoch", "sampled", *Health.QUANTITIES] and len(frame) == 12


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Health("ab", ["x", "y"]), "layers: expected a sequence of str, got 'ab'"),
        (lambda: Health(["a"], ["x", "y"]), "kinds: expected 1, one for each layer, got 2"),
        (lambda: Health(["a"], ["x"], 0), "every: expected"),
        (lambda: made()[0].append(3, 1, {"gradient": [1, 2, 3]}), "got 'gradient'. Did you mean 'gradient_norm'"),
        (lambda: made()[0].append(3, 1, {"dead": [1, 2]}), r"figures\['dead'\]: expected 3 numbers.* \(2,\)"),
        (lambda: made()[0].append(3, -1, {}), "sampled: expected"),
        (lambda: made()[0].gradients_norm, "no attribute 'gradients_norm'.*gradient_norm"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError, AttributeError), match=message):
        call()


def test_a_history_has_none_until_it_is_filled():
    history = History()
    assert history.health is None
    history.health = made()[0]
    assert pickle.loads(pickle.dumps(history)).health == made()[0]


# --- as text ---------------------------------------------------------------------------------------------


def lines_of(health, layer):
    return [line for line in str(health).splitlines() if line.startswith(layer + " ")]


def test_columns_are_kept_by_wide_names_and_fit():
    health, _ = made(30, layers=("a", "한국어 층", "x" * 70, "층" * 40))
    text = str(health)
    assert max(map(width, text.splitlines())) <= 100
    [tables] = [[part.splitlines() for part in text.split("\n\n")[1:-1]]]
    assert len(tables) >= 2
    for table in tables:
        assert len(table) == 5 and len({re.search("[▁-█]", line) and width(line[: re.search("[▁-█]", line).start()])
                                        for line in table[1:]}) == 1  # fmt: skip
    assert all("..." in table[3] and "..." in table[4] for table in tables)


def test_a_vanishing_gradient_is_seen_in_the_table():
    """20 sigmoid layers: the first ones are marked, their sparklines at the bottom; not so with ReLU and He."""
    sick, _ = tools.trained(Health)
    first, last = lines_of(sick, "dense_0")[0], lines_of(sick, "output")[0]
    assert re.search(r"▁+\s+\d\.\de-1\d !!", first) and "█" in last and "!" not in last
    assert "gradient 0.001 to 70 times that of the last layer" in str(sick)
    healthy, losses = tools.trained(Health, activation="relu", gain="he", units=64)
    assert losses[-1] < 0.6 * losses[0] and all("!" not in line for line in lines_of(healthy, "dense_0"))


def test_dead_units_are_told_from_saturated_ones():
    dead, _ = tools.trained(Health, depth=2, activation="relu", gain="he", bias=-20.0, epochs=2)
    assert " 100% !" in lines_of(dead, "dense_0")[1] and dead.dead[0].tolist() == [1, 1]
    flat, _ = tools.trained(Health, depth=2, activation="tanh", bias=9.0, epochs=2)
    assert "dead" not in str(flat).split("Gradient of the whole")[0]
    assert "saturated up to 50%" in " ".join(str(flat).split())  # lines are wrapped


def test_all_and_nothing_are_said_only_of_all_and_nothing():
    health, _ = made(1, layers=("a", "b", "c", "d"), dead=[[0], [1e-4], [0.9999], [1]])
    assert [re.search(r"([<>]?\d+%)", lines_of(health, name)[1])[1] for name in "abcd"] == ["0%", "<1%", ">99%", "100%"]


def test_what_is_not_a_number_is_explained():
    health, _ = made(2, dead=[[0.1], [np.nan], [0.2]], drift=np.nan)
    assert "- does not apply to the layer." in str(health) and "drift" not in str(health)
    never = Health(LAYERS, ["Dense relu"] * 3)
    never.append(0, 0, {"dead": [0.1, np.nan, 0.2]})
    never.append(1, 0, {"dead": [0.1, np.nan, 0.2]})
    assert "gradient" not in str(never).split("Gradient of")[0] and "10%" in str(never)
    health.append(3, 5, {"dead": [0.1, np.nan, 0.2]}, np.nan)
    assert "nan not a number: the training diverged." in str(health) and "nan !" in lines_of(health, "a")[0]
    assert " -" in lines_of(health, "한국어 층")[1]  # dead, still


def test_diverged_in_the_first_epoch():
    health = Health(["a"], ["Dense relu"])
    numbers = {"gradient_norm": [np.nan], "weight_norm": [np.inf], "activation_mean": [np.nan], "activation_std": [1.0]}
    health.append(0, 3, numbers, np.nan)
    assert "inf !" in lines_of(health, "a")[0] and "drift" not in str(health)
    health = Health(["a", "b"], ["Dense relu", "Dense relu"])
    health.append(0, 3, {"weight_norm": [np.nan, 1.0], "dead": [0.5, np.nan]}, np.nan)
    assert "nan !" in lines_of(health, "a")[0] and "diverged" in str(health) and " -" in lines_of(health, "b")[1]


def test_numbers_are_of_the_last_epoch_with_sampled_steps():
    """With few steps in an epoch and one in many sampled, most epochs have none; dead units are counted in all."""
    health = Health(["a", "b"], ["Dense relu"] * 2, every=100)
    for e in range(9):
        figures = {"dead": [e / 10, 0]} | ({"gradient_norm": [10.0**-e, 1.0]} if e in (0, 3, 6) else {})
        health.append(e, int(e in (0, 3, 6)), figures, 7.0 + e if e in (0, 3, 6) else np.nan)
    gradient, dead = lines_of(health, "a")
    assert re.search(r"a +Dense relu +█▅▁ +1\.0e-6 !!", gradient) and "80% !!" in dead and "?" not in gradient
    assert "Gradient of the whole model: 13. Values are those of epoch 7, those of dead units of epoch 9" in str(health)
    assert "one step in 100 is measured, 1 in epoch 7;" in str(health)
    assert "1 → 1.0e-6 !!" in health._repr_html_() and "0% → 80%" in health._repr_html_()


def test_how_often_steps_were_sampled_and_clipped():
    health, _ = made(1, every=7)
    health.append(1, 12, {}, 3.25, 0.25)
    text = str(health)
    assert "one step in 7 is measured, 12 in epoch 2" in text
    assert "Gradient of the whole model: 3.25; clipped in 25% of the sampled steps. Values are those of epoch 2" in text


def test_empty_ones():
    assert str(Health(["a"], ["Dense"])) == "Health of 1 layer: no epoch yet"
    assert str(made(0, layers=())[0]) == "Health of 0 layers: no epoch yet"
    assert "no epoch yet" in Health(["a"], ["Dense"])._repr_html_()
    assert repr(made(2)[0]) == "<Health of 3 layers, 2 epochs, one step in 4 sampled>"


def test_a_stream_of_ascii(monkeypatch):
    import io
    import sys

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    print(made(5, layers=("a", "b"))[0])  # no UnicodeEncodeError
    stream.flush()
    assert b"#" in stream.buffer.getvalue()


def test_the_table_of_a_notebook():
    from html.parser import HTMLParser

    health, put = made(3, layers=("<a>", "b", "c"), dead=[[0.25, 0.3, 0.5], [0, 0, 0], [1, 1, 1]])
    text = health._repr_html_()
    assert "&lt;a&gt;" in text and "<a>" not in text and "25% → 50%" in text and "epochs 1 to 3" in text
    cells = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: cells.append(dict(attrs).get("scope")) if tag == "th" else None
    parser.feed(text)
    assert cells == ["col"] * 11 + ["row"] * 3
