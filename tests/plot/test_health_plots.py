"""Pictures of health: what is drawn is what was measured; vanishing, missing and infinite numbers can be told apart."""

import sys

import numpy as np
import pytest
from places import TESTS

import fastnn
from fastnn.callbacks import History
from fastnn.diagnostics import Health
from fastnn.optimizers import schedules

sys.path.insert(0, str(TESTS / "callbacks"))
import health_tools as tools  # noqa: E402

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

SICK, _ = tools.trained(Health, epochs=5)
WELL, _ = tools.trained(Health, activation="relu", gain="he", units=64, epochs=5)
PICTURES = {name: getattr(fastnn.plot, name) for name in ("gradients", "activations", "health")}
pictures = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


def network(units=8):
    model = fastnn.Sequential(
        [
            fastnn.layers.Dense(units, "tanh", input_shape=(8,)),
            fastnn.layers.Dropout(0.5),
            fastnn.layers.Dense(3, "softmax", name="out"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", seed=0)
    return model


def mesh(ax):
    [found] = [c for c in ax.collections if hasattr(c, "get_coordinates")]
    return found


def made(**numbers):
    """A Health of layers a, b, … whose numbers by epoch are given: {quantity: list of rows}."""
    rows = next(iter(numbers.values()))
    health = Health([chr(97 + i) for i in range(len(rows))], ["Dense relu"] * len(rows))
    for e in range(len(rows[0])):
        health.append(e, 1, {name: [row[e] for row in values] for name, values in numbers.items()}, 1.0)
    return health


@pytest.mark.parametrize("health", [SICK, WELL], ids=["sick", "well"])
def test_the_heat_map_shows_every_norm(health):
    ax = fastnn.plot.gradients(health)
    shown = mesh(ax)
    assert np.array_equal(shown.get_array().filled(-1).reshape(21, 5), health.gradient_norm)
    assert type(shown.norm).__name__ == "LogNorm" and ax.get_ylim() == (20.5, -0.5)  # the first layer is at the top
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(health.layers)
    bar = ax.figure.axes[-1]
    assert bar.get_title() == "" and "gradient norm" in bar.get_ylabel()
    powers = np.log10(bar.get_yticks())
    assert np.allclose(powers, powers.round()) and len(powers) > 2


def lightness(ax, row):
    """CIELAB lightness of the colour of a row in the last epoch, from its sRGB values."""
    shown = mesh(ax)
    value = shown.get_array().reshape(-1, 5)[row, -1]
    rgb = np.array(shown.cmap(shown.norm(value))[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(y) - 16 if y > 0.008856 else 903.3 * y


def test_vanishing_is_visible_at_a_glance_and_health_does_not_look_sick():
    """Without colour vision too: the lightness falls by most of its range in one, by a little in the other."""
    sick, well = (fastnn.plot.gradients(h, ax=plt.figure().gca()) for h in (SICK, WELL))
    assert lightness(sick, -1) - lightness(sick, 0) > 60
    assert abs(lightness(well, -1) - lightness(well, 0)) < 20


def test_the_scale_is_in_whole_powers_of_ten():
    from fastnn.plot.heat_map import limits

    assert limits(np.array([0.2, 0.3])) == pytest.approx((1e-6, 1))
    assert limits(np.array([3e-12, 40.0, np.nan, np.inf])) == pytest.approx((1e-12, 100))
    assert limits(np.array([1e-300, 1.0])) == pytest.approx((1e-16, 1))  # what is below is black
    assert limits(np.zeros(3)) == pytest.approx((1e-6, 1))


def test_what_has_no_number_is_hatched_and_zero_and_infinity_have_colours():
    nan, inf = np.nan, np.inf
    health = made(gradient_norm=[[1, 0, 1, 1], [nan] * 4, [2, 2, inf, 2]])
    health.append(4, 0, {})  # one of six epochs: hatched
    health.append(5, 1, {}, nan)
    ax = fastnn.plot.gradients(health)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "c"]  # b has no weights
    assert [(p.get_hatch(), p.get_xy(), p.get_width()) for p in ax.patches] == [
        ("...", (4.5, -0.5), 1), ("xxxx", (5.5, -0.5), 1), ("...", (4.5, 0.5), 1), ("xxxx", (5.5, 0.5), 1)
    ]  # fmt: skip
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    assert legend == ["no step was sampled", "not a number", "zero", "infinite"]
    colours = mesh(ax).cmap(mesh(ax).norm(mesh(ax).get_array().reshape(2, 6)))
    assert colours[0, 1].tolist() == [0, 0, 0, 1] and colours[1, 2].tolist() == [1, 0, 0, 1]
    assert (colours[:, 4:, 3] == 0).all()  # nothing over the hatches
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent()
    assert box.y0 >= 0 and not box.overlaps(ax.xaxis.get_tightbbox())


def test_of_rarely_sampled_epochs_only_these_are_drawn():
    health = Health(["a", "b"], ["Dense"] * 2, every=100)
    for e in range(9):
        health.append(e, int(e in (0, 3, 6)), {"gradient_norm": [10.0**-e, 1.0]} if e in (0, 3, 6) else {}, 1.0)
    ax = fastnn.plot.gradients(health)
    assert mesh(ax).get_array().reshape(2, 3)[0].tolist() == [1.0, 1e-3, 1e-6] and not ax.patches
    assert mesh(ax).get_coordinates()[0, :, 0].tolist() == [0.5, 2.5, 5.5, 9.5]
    assert ax.get_title(loc="left") == "first layer / last layer, epoch 7: 1.0e-06"


def test_names_are_no_formulas_and_not_endless():
    health = Health(["$x_1$", "<b>", "층" * 40], ["Dense"] * 3)
    health.append(0, 1, {"gradient_norm": [1, 2, 3]}, 1)
    ax = fastnn.plot.gradients(health)
    ax.figure.canvas.draw()
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels[0] == r"\$x_1\$" and labels[1] == "<b>" and labels[2].endswith("…") and len(labels[2]) < 20


def test_of_very_many_layers_some_are_named():
    health = made(gradient_norm=[[1.0, 2.0]] * 26)
    health = Health([f"layer {i}" for i in range(300)], ["Dense"] * 300)
    health.append(0, 1, {"gradient_norm": np.arange(1, 301)}, 1)
    ax = fastnn.plot.gradients(health)
    ax.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in ax.get_yticklabels()]
    assert 20 < len(boxes) < 120 and not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def test_other_norms():
    ax = fastnn.plot.gradients(SICK, "update_ratio")
    assert np.array_equal(mesh(ax).get_array().reshape(21, 5), SICK.update_ratio)
    with pytest.raises(ValueError, match="quantity: expected .*gradient_norm.*, got 'dead'"):
        fastnn.plot.gradients(SICK, "dead")


def test_mean_and_standard_deviation_by_layer_and_epoch():
    ax = fastnn.plot.activations(SICK)
    points, bars = [], []
    for container in ax.containers:
        line, _, [bar] = container
        points.append(line.get_xdata())
        bars.append([(s[0][0], s[1][0]) for s in bar.get_segments()])
    epochs = [0, 1, 3, 4]
    assert np.allclose(points, SICK.activation_mean[:, epochs].T)
    assert np.allclose(np.diff(bars, axis=2)[..., 0] / 2, SICK.activation_std[:, epochs].T)
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == [f"epoch {e + 1}" for e in epochs]


def test_distributions_are_those_of_the_layers():
    """Of weights that are set here, so the outputs are known."""
    model = network()
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(400, 8)), rng.normal(size=(8, 8))
    v = rng.normal(size=(8, 3))
    model.set_weights([w, np.zeros(8), v, np.zeros(3)])
    ax = fastnn.plot.activations(model, x)
    hidden = np.tanh(x.astype("f4") @ w.astype("f4"))
    logits = np.exp(hidden @ v)
    out = logits / logits.sum(axis=1, keepdims=True)
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_yticklabels()] == [model.layers[0].name, "out"]  # dropout changes nothing
    spreads = [t.get_text() for t in ax.child_axes[0].get_yticklabels()]
    assert spreads == [f"std {hidden.std():.2g}", f"std {out.std():.2g}"]
    heights, edges, _ = ax.patches[0].get_data()
    counts = np.histogram(hidden, edges)[0]
    assert np.allclose(0.4 - heights, 0.85 * counts / counts.max(), atol=0.02)
    assert model.predict(x[:5], verbose=0).shape == (5, 3) and [n.name for n in model.layers][2] == "out"


@pytest.mark.parametrize("name", ["gradient_norm", "activation_mean", "saturated"])
def test_small_multiples(name):
    panels = fastnn.plot.health(SICK)
    names = [n for n in Health.QUANTITIES if n not in ("dead", "drift")]  # which sigmoid layers do not have
    assert len(panels) == len(names) == len(plt.gcf().axes)
    ax = panels[names.index(name)]
    values = getattr(SICK, name)
    values = values[np.isfinite(values).any(axis=1)]
    assert np.array_equal([line.get_ydata() for line in ax.lines], values)
    assert ax.get_yscale() == ("log" if name == "gradient_norm" else "linear") and ax.get_xlabel() == "epoch"
    assert fastnn.plot.health(SICK, name, plt.figure().gca()).get_ylabel() == ax.get_ylabel()


@pytest.mark.parametrize("wrap", ["health", "history", "model"])
@pictures
def test_of_a_health_a_history_or_a_model(draw, wrap):
    source = SICK
    if wrap in ("history", "model"):
        source = History()
        source.health = SICK
    if wrap == "model":
        source, history = network(), source
        source.history = history
    drawn = draw(source)
    assert (drawn[0] if isinstance(drawn, list) else drawn).figure.axes


@pictures
def test_errors(draw):
    history = History()
    with pytest.raises(ValueError, match=r"health: .*got one of fit\(health=False\)"):
        draw(history)
    history.health = Health(["a"], ["Dense"])
    with pytest.raises(ValueError, match="at least one trained epoch to plot, got none"):
        draw(history)
    with pytest.raises(TypeError, match="history: expected a History, .* got 3"):
        draw(3)
    with pytest.raises(TypeError, match="ax: expected matplotlib Axes"):
        draw(SICK, ax=3)


@pictures
def test_given_axes_are_used_and_pyplot_is_not_touched(draw):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    drawn = draw(SICK, ax=ax)
    assert set(drawn if isinstance(drawn, list) else [drawn]) == {ax} and ax.has_data() and plt.get_fignums() == []


def test_without_numbers():
    health = made(drift=[[1.0]])
    with pytest.raises(ValueError, match="expected a finite gradient_norm to plot, got none"):
        fastnn.plot.gradients(health)
    with pytest.raises(ValueError, match="expected finite activation_mean to plot, got none"):
        fastnn.plot.activations(health)
    with pytest.raises(ValueError, match="names: expected quantities with finite numbers, got 'dead'"):
        fastnn.plot.health(health, "dead")
    with pytest.raises(TypeError, match="source: expected a Sequential with x"):
        fastnn.plot.activations(health, np.ones((3, 8)))


def test_curves_rates_and_range_tests():
    model = network()
    x, y = tools.data(64)
    history = model.fit(x, y, epochs=3, verbose=0)
    for source in (history, model):
        plt.close("all")
        assert fastnn.plot.history(source, "loss").lines[0].get_ydata().tolist() == history.history["loss"]
    plt.close("all")
    ax = fastnn.plot.schedule(schedules.StepDecay(0.1, 0.5, 2), 4)
    assert ax.lines[0].get_ydata().tolist() == [0.1, 0.1, 0.05, 0.05]
    assert fastnn.plot.schedule(lambda step: 1 / (1 + step), 3).lines[1].get_ydata().tolist() == [1, 1 / 2, 1 / 3]
    plt.close("all")
    found = model.find_learning_rate(x, y, steps=10, batch_size=8)
    assert fastnn.plot.lr_finder(found).lines[0].get_ydata().tolist() == found.losses
    with pytest.raises(TypeError, match="finder: expected a LearningRateFinder"):
        fastnn.plot.lr_finder(history)
    with pytest.raises(TypeError, match="schedule: expected a schedule or a function"):
        fastnn.plot.schedule(0.1, 3)
    with pytest.raises(TypeError, match="history: expected a History"):
        fastnn.plot.history({"loss": [1.0]})
