"""Pictures: on pyplot's current axes or those given, with the right data, and nothing covered by a legend."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from places import ROOT

import fastnn
from fastnn import callbacks as cb
from fastnn.optimizers import schedules

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def model(units=4, learning_rate=0.1):
    m = fastnn.Sequential([fastnn.layers.Dense(units, "tanh", input_shape=(3,)), fastnn.layers.Dense(2, "softmax")])
    m.compile(fastnn.SGD(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"], seed=0)
    return m


def history(**values):
    """As `fit` fills it; a None is an epoch without the value."""
    made = cb.History()
    for epoch in range(max(map(len, values.values()))):
        made.on_epoch_end(epoch, {name: v[epoch] for name, v in values.items() if v[epoch] is not None})
    return made


def sweep(**options):
    params = [{"units": u, "learning_rate": r} for u in (1, 2, 4) for r in (0.001, 0.1, 1.0)]
    return fastnn.sweep(model, params, X, Y, epochs=9, validation_split=0.25, seed=0, verbose=0, **options)


# one axes each; what is drawn
DRAWERS = {
    "history": lambda ax=None: history(loss=[3.0, 2.0, 1.0], val_loss=[3.0, 2.5, 2.0]).plot("loss", ax=ax),
    "schedule": lambda ax=None: schedules.StepDecay(0.1, 0.5, 2).plot(5, ax=ax),
    "finder": lambda ax=None: model().find_learning_rate(X, Y, steps=20, batch_size=8).plot(ax=ax),
    "sweep": lambda ax=None: sweep().plot(ax=ax),
    "halved sweep": lambda ax=None: sweep(halving=3).plot(ax=ax),
}
drawers = pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)


def pixels(path):
    return plt.imread(path)[..., :3]


@drawers
def test_savefig_after_it_writes_the_picture(draw, tmp_path):
    """And a notebook shows it: pyplot knows the figure."""
    ax = draw()
    assert ax is plt.gca() and plt.get_fignums() == [1]
    plt.savefig(tmp_path / "picture.png")
    inside = ax.get_window_extent().shrunk(0.95, 0.95)
    picture = pixels(tmp_path / "picture.png")[::-1]
    part = picture[int(inside.y0) : int(inside.y1), int(inside.x0) : int(inside.x1)]
    saturation = part.max(axis=-1) - part.min(axis=-1)
    assert (saturation > 0.2).sum() > 50  # coloured pixels of curves, where the grid is grey


@drawers
def test_on_pyplots_current_axes(draw):
    _, (left, right) = plt.subplots(1, 2)
    plt.sca(left)
    assert draw() is left and not right.has_data() and len(plt.get_fignums()) == 1


@drawers
def test_on_given_axes_pyplot_is_not_touched(draw):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert draw(ax=ax) is ax and ax.has_data() and plt.get_fignums() == []


@drawers
@pytest.mark.parametrize("wrong", [3, "left", [], plt])
def test_what_are_no_axes(draw, wrong):
    with pytest.raises(TypeError, match="ax: expected matplotlib Axes"):
        draw(ax=wrong)


@drawers
def test_labels_and_a_legend_that_covers_no_point(draw):
    ax = draw()
    assert ax.get_xlabel() and ax.get_ylabel()
    figure = ax.figure
    figure.canvas.draw()
    legend = ax.get_legend()
    if legend is None:
        assert len(ax.lines) == 1
        return
    box = legend.get_window_extent()
    assert not box.overlaps(ax.get_window_extent())
    assert box.y1 <= figure.bbox.y1 and box.x1 <= figure.bbox.x1  # and it is on the picture


def test_of_a_history():
    ax = history(loss=[3.0, 2.0, 1.0], val_loss=[None, 2.5, None]).plot()
    training, validation = ax.lines
    assert training.get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert validation.get_xydata().tolist() == [[2, 2.5]]  # validated in the second epoch only
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["training", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("epoch", "loss", "linear")


def test_of_a_fit_with_metrics_each_has_its_panel():
    found = model().fit(X, Y, epochs=7, validation_split=0.25, validation_freq=3, verbose=0)
    panels = found.plot()
    assert [ax.get_ylabel() for ax in panels] == ["loss", "accuracy"] == [n for n in found.history if n[:4] != "val_"]
    for ax, name in zip(panels, ("loss", "accuracy"), strict=True):
        training, validation = ax.lines
        assert training.get_ydata().tolist() == found.history[name]
        assert validation.get_xydata().tolist() == [[3, found.history["val_" + name][0]],
                                                    [6, found.history["val_" + name][1]]]  # fmt: skip
    assert plt.gcf().axes == panels
    again = found.plot()  # a second run beside the first
    assert again == panels and len(panels[0].lines) == 4


def test_names_and_places():
    found = history(loss=[3.0, 2.0], accuracy=[0.5, 0.7], val_accuracy=[0.4, 0.6])
    ax = found.plot("val_accuracy")
    assert ax.lines[0].get_ydata().tolist() == [0.4, 0.6] and len(ax.lines) == 1
    plt.close("all")
    ax = found.plot("accuracy")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.5, 0.7], [0.4, 0.6]]
    _, three = plt.subplots(1, 3)
    assert found.plot(ax=three[:2]) == list(three[:2])
    one = three[2]
    assert found.plot(ax=one) == [one, one]
    assert [t.get_text() for t in one.get_legend().get_texts()] == ["loss, training", "accuracy, training",
                                                                    "accuracy, validation"]  # fmt: skip
    with pytest.raises(ValueError, match="names: expected names .*, got 'acuracy'.*Did you mean 'accuracy'"):
        found.plot("acuracy")
    with pytest.raises(TypeError, match="ax: expected matplotlib Axes, or a sequence of 2, got a sequence of 3"):
        found.plot(ax=three)
    with pytest.raises(ValueError, match="to plot, got none"):
        cb.History().plot()


def test_scales():
    wide, narrow = [1000.0, 10.0, 0.1], [3.0, 2.0, 1.0]
    assert history(loss=wide).plot().get_yscale() == "log"
    assert history(loss=narrow).plot().get_yscale() == "log"  # what is there decides
    plt.close("all")
    assert history(loss=narrow).plot().get_yscale() == "linear"
    plt.close("all")
    assert history(loss=[1000.0, 1.0, -1.0]).plot().get_yscale() == "linear"
    plt.close("all")
    assert history(loss=[float("nan"), 1.0, float("inf")]).plot().get_yscale() == "linear"
    plt.close("all")
    ax = history(loss=[0.5]).plot()  # one epoch is a point that can be seen
    assert ax.lines[0].get_marker() == "o"


def test_of_the_range_finder():
    found = model().find_learning_rate(X, Y, steps=20, batch_size=8)
    ax = found.plot()
    curve, suggestion = ax.lines
    assert ax.get_xscale() == "log" and curve.get_xydata().tolist() == [
        [r, v] for r, v in zip(found.learning_rates, found.losses, strict=True)
    ]
    assert suggestion.get_xdata() == [found.suggestion] * 2
    with pytest.raises(ValueError, match="to plot, got none"):
        cb.LearningRateFinder().plot()


def test_of_a_schedule():
    line = schedules.StepDecay(0.1, 0.5, 2).plot(5).lines[0]
    assert line.get_xydata().tolist() == [[0, 0.1], [1, 0.1], [2, 0.05], [3, 0.05], [4, 0.025]]
    with pytest.raises((TypeError, ValueError), match="steps: expected"):
        schedules.StepDecay(0.1, 0.5, 2).plot(-1)


def test_of_a_sweep():
    found = sweep(halving=3)
    ax = found.plot()
    best = found.best["network"]
    curve = next(line for line in ax.lines if line.get_label().startswith(f"network {best}, the best"))
    assert curve.get_xdata().tolist() == list(range(1, 10))
    assert curve.get_ydata().tolist() == found.history[best]["val_loss"]
    drawn = [segment[:, 1].tolist() for lines in ax.collections for segment in lines.get_segments()]
    assert sorted(drawn) == sorted(h["val_loss"] for k, h in enumerate(found.history) if k != best)
    assert "8 stopped" in [t.get_text() for t in ax.get_legend().get_texts()] and ax.get_ylabel() == "val_loss"


def test_networks_that_diverge_leave_room_to_the_others():
    params = [{"learning_rate": r} for r in [0.1] * 11 + [1e3]]

    def build(learning_rate):
        m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
        m.compile(fastnn.SGD(learning_rate), "mse")
        return m

    found = fastnn.sweep(build, params, X, Y, epochs=3, seed=0, verbose=0, workers=1)
    ax = found.plot()
    assert 1e4 < found.history[11]["loss"][0] < float("inf")
    assert "1 off the scale" in ax.get_legend().get_texts()[0].get_text()
    top = max(max(h["loss"]) for h in found.history[:11])
    assert top < ax.get_ylim()[1] < 2 * top
    for k in range(12):
        found.history[k]["loss"] = [float("nan")] * 3
    with pytest.raises(ValueError, match="at least one network with a finite .loss."):
        found.plot()


def test_without_matplotlib_the_error_names_the_remedy():
    code = """
import sys
sys.modules["matplotlib"] = None
from fastnn.optimizers import schedules
try:
    schedules.Constant(0.1).plot(3)
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "schedule.plot needs matplotlib: pip install 'fastnn-cpu[plot]'\n"


def test_the_curves_of_the_main_program(tmp_path, monkeypatch, capsys):
    """With validation curves, on which nothing that is trained depends."""
    from fastnn import __main__ as program

    monkeypatch.chdir(tmp_path)
    drawn = []
    draw = program.curves.draw
    monkeypatch.setattr(program.curves, "draw", lambda *a, **k: drawn.append(draw(*a, **k)))
    assert program.main(["--epochs", "3", "--threads", "1"]) == 0
    plain = capsys.readouterr().out
    assert program.main(["--epochs", "3", "--threads", "1", "--plot", "curves.png"]) == 0
    seen = capsys.readouterr().out

    def results(text):
        return [line.split(" samples/s")[0].rsplit(",", 2)[0] for line in text.splitlines() if "test accuracy" in line]

    assert results(plain)[0].split(", ")[:2] == results(seen)[0].split(", ")[:2]
    for ax, name in zip(drawn[0], ("loss", "accuracy"), strict=True):
        training, test = ax.lines
        assert test.get_label() == "test" and test.get_xdata().tolist() == [1, 2, 3] and ax.get_ylabel() == name
    last = float(results(seen)[0].split()[2].rstrip(","))
    assert drawn[0][1].lines[1].get_ydata()[-1] == pytest.approx(last, abs=5e-5)
    assert pixels("curves.png").min() < 0.5


# --- of the benchmarks ----------------------------------------------------------------------------------


def script(name, monkeypatch):
    path = ROOT / "benchmarks" / f"{name}.py"
    monkeypatch.setattr(sys, "path", [*sys.path])  # which scaling.py makes longer
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_top(ax):
    """Whether the legend covers no part of the axes, but is on the picture."""
    ax.figure.canvas.draw()
    box, legend = ax.get_window_extent(), ax.get_legend().get_window_extent()
    return not legend.overlaps(box) and legend.y1 <= ax.figure.bbox.y1


def test_the_picture_of_the_peers(tmp_path, monkeypatch):
    plot = script("plot", monkeypatch)
    rows = {"rl": {"jax": 1.5, "torch": 30.0}, "none": {}, "wide": {"torch": 0.9, "keras": 1.2}}
    results = {name: {"summary": {"by_peer": peers}} for name, peers in rows.items()}
    found = {"repeats": 5, "cpu": "a CPU", "cpus": 2, "results": results}
    plt.figure(layout="constrained")
    ax = plot.draw(found)
    assert ax is plt.gca() and ax.get_xscale() == "log" and on_top(ax)
    points = [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert sorted(points) == [(0.9, 0), (1.2, 0), (1.5, 1), (30.0, 1)]
    (tmp_path / "found.json").write_text(json.dumps(found))
    plot.main(tmp_path / "found.json", tmp_path / "picture.png")
    assert np.ptp(pixels(tmp_path / "picture.png"), axis=-1).max() > 0.5 and plt.get_fignums() == [1]


def test_the_picture_of_the_costs(monkeypatch):
    scaling = script("scaling", monkeypatch)
    curves = {(what, t): [(1, 10.0), (100, 1000.0)] for what in scaling.VARIED for t in (1, None)}
    plt.figure(figsize=(11, 3.6), layout="constrained")
    axes = scaling.draw(curves)
    assert list(axes) == plt.gcf().axes and on_top(axes[0]) and "µs" in axes[0].get_ylabel()
    for ax in axes:
        assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, 10], [100, 1000]]] * 2
