"""A training to report on, with findings whose texts and names are hostile, and a browser if there is one."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from places import TESTS

import fastnn
from fastnn.callbacks import History
from fastnn.diagnostics import Health

sys.path.insert(0, str(TESTS / "callbacks"))
import health_tools as tools  # noqa: E402

HOSTILE = "<script>alert(\"x\")</script>&amp;'"


def finding(severity, code="FN301", layer=None, **texts):
    texts = {"message": "m", "why": "w", "fix": "f", "reference": ""} | texts
    return SimpleNamespace(code=code, fault="vanishing_gradient", severity=severity, layer=layer,
                           evidence=texts.pop("evidence", {}), **texts)  # fmt: skip


FINDINGS = [
    finding("note", "FN303", message="Only 5 epochs"),
    finding("error", layer=HOSTILE, message=f"See {HOSTILE}", fix=f"Do {HOSTILE}", why=HOSTILE,
            evidence={HOSTILE: HOSTILE, "ratio": 3.25e-13, "layers": list(range(20))},
            reference="https://example.org/paper"),
    finding("warning", "FN302", message="W" * 300),
]  # fmt: skip


def network(name=HOSTILE):
    layers = [fastnn.layers.Dense(4, "relu", input_shape=(8,), name=name), fastnn.layers.Dense(3, "softmax", name="o")]
    model = fastnn.Sequential(layers, name="net")
    model.compile(fastnn.Adam(0.0125), "sparse_categorical_crossentropy", metrics=["accuracy"], seed=0)
    return model


def trained(depth=20, epochs=5, **options):
    """(model, History with a Health of a NumPy training)."""
    model = network()
    history = model.fit(*tools.data(64), epochs=epochs, validation_split=0.25, verbose=0)
    health, _ = tools.trained(Health, depth, epochs=epochs, **options)
    history.seen = None  # the findings are those that are passed
    history.health = Health([HOSTILE, *health.layers[1:]], health.kinds, 4)
    for e in range(epochs):
        figures = {name: getattr(health, name)[:, e] for name in Health.QUANTITIES}
        history.health.append(e, 8, figures, health.total_gradient_norm[e], 0.5)
    return model, history


def bare():
    """A history of a model that is gone, whose health was not measured."""
    history = History()
    for epoch in range(3):
        history.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1)})
    return history


def chromium():
    """The command of a browser."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    if os.environ.get("FASTNN_REQUIRE_BROWSER"):
        pytest.fail("no browser is installed")
    pytest.skip("no browser is installed")


def browse(folder, url, *options, dark=False):
    """What headless Chromium prints."""
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
               f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", *options, url]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
