"""Products by bfloat16 tiles: what is not a matter of precision (test_precision.py)."""

import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
from engine_tools import digest, engine_of

import fastnn
from fastnn import layers
from fastnn._core import kernels
from fastnn.engine import long_steps, plan_cache, precision
from fastnn.engine.lowering import LOWERINGS

TILES = kernels.has_tiles()
needs_tiles = pytest.mark.skipif(not TILES, reason="this CPU has no tiles")


@pytest.fixture
def any_size(monkeypatch):
    """As if every size gained by tiles."""
    sizes = {splits: dict.fromkeys(least, ((1, 1, 1),)) for splits, least in precision.LEAST.items()}
    monkeypatch.setattr(precision, "LEAST", sizes)
    monkeypatch.setattr(plan_cache, "_kept", OrderedDict())  # those that are kept were made by the real sizes


ANY_SIZE = "precision.LEAST = {n: dict.fromkeys(least, ((1, 1, 1),)) for n, least in precision.LEAST.items()}"


def run(code, *arguments, **environment):
    """What Python prints for the code, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


SMALL_STACK = """
import sys, threading
import numpy as np
import fastnn
from fastnn import layers, models, optimizers, losses  # importing takes more of a stack
from fastnn.engine import precision
for least in precision.LEAST.values():
    least.update(dict.fromkeys(least, ((1, 1, 1),)))
x = np.ones((600, 70), np.float32)
def work():
    model = fastnn.Sequential([layers.Dense(300, input_shape=(70,)), layers.Dense(70)])
    model.compile("sgd", "mse", matmul_precision=sys.argv[1], threads=1)
    model.fit(x, x, batch_size=600, verbose=0)
    print(np.isfinite(model.predict(x, verbose=0)).all())
threading.stack_size(32 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@needs_tiles
@pytest.mark.parametrize("mode", precision.MODES)
def test_a_thread_with_a_small_stack_is_enough(mode):
    """32 KiB, the least that Python grants: packed factors and sums are not on it, nor is the known product."""
    assert run(SMALL_STACK, mode) == "True"


@needs_tiles
@pytest.mark.parametrize("mode", precision.MODES)
def test_the_instruction_set_avx512_turns_tiles_off(mode):
    """With sizes that gain: products are by fma to the bit, whatever the mode, and nobody is warned."""
    code = f"""
import warnings
import numpy as np
import fastnn
from fastnn import layers
from fastnn.engine import precision
{ANY_SIZE}
warnings.simplefilter("error")
x = np.random.default_rng(0).normal(size=(256, 300)).astype(np.float32)
def bits(mode):
    fastnn.set_random_seed(0)
    model = fastnn.Sequential([layers.Dense(257, "tanh", input_shape=(300,)), layers.Dense(300)])
    model.compile("adam", "mse", matmul_precision=mode)
    model.fit(x, x, batch_size=128, shuffle=False, verbose=0)
    return model.predict(x, verbose=0).tobytes()
print(fastnn.isa(), precision.used({mode!r}), bits("highest") == bits({mode!r}))
"""
    assert run(code, FASTNN_ISA="avx512") == "avx512 float32 True"
    if mode == "highest":
        assert run(code, FASTNN_ISA="amx") == "amx bf16x6 True"


def test_an_instruction_set_says_whether_it_has_tiles():
    assert [name for name in kernels.targets() if kernels.wants_tiles(name)] == ["amx"] * ("amx" in kernels.targets())
    assert "instruction set avx2 has none" == kernels.tiles_refusal("avx2")


@needs_tiles
def test_highest_has_other_bits_by_tiles_where_they_gain(any_size):
    """And the same for any number of threads, whichever part of a product a thread has."""
    x = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)

    def bits(isa, threads):
        fastnn.set_random_seed(0)
        model = fastnn.Sequential([layers.Dense(257, "tanh", input_shape=(300,)), layers.Dense(300)])
        model.compile("adam", "mse")
        engine = engine_of(model, isa=isa, threads=threads)
        rates = np.full(12, 1e-3)
        engine.fit_epochs(x, x, None, None, 4, 128, rates, 0, np.zeros((4, 2)))
        return digest(engine)

    found = {isa: {bits(isa, threads) for threads in (1, 2, 3, 8)} for isa in ("amx", "avx512")}
    assert all(len(digests) == 1 for digests in found.values())
    assert found["amx"] != found["avx512"]


WANTED = f"""
import sys, warnings
import numpy as np
import fastnn
from fastnn import layers
from fastnn.engine import precision
{ANY_SIZE}
x = np.random.default_rng(0).normal(size=(256, 300)).astype(np.float32)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for mode in sys.argv[1:]:
        model = fastnn.Sequential([layers.Dense(257, input_shape=(300,))])
        model.compile("sgd", "mse", matmul_precision=mode)
        model.predict(x, batch_size=256, verbose=0)
print(len(seen), precision.used("high"), *set(str(w.message) for w in seen))
fastnn.show_versions()
"""


@needs_tiles
@pytest.mark.parametrize("modes", [["highest"], ["high", "medium", "high"]])
def test_tiles_that_the_system_does_not_grant(modes):
    """Products are by fma then; whoever asks for a mode is told once, everybody by `show_versions`."""
    if not emulated():
        pytest.skip("only an emulated unit can be refused at will")
    out = run(WANTED, *modes, FASTNN_ISA="amx", FASTNN_EMULATE_REFUSAL="28")  # ENOSPC
    asked = "high" in modes
    assert out.startswith(f"{int(asked)} float32")
    assert ("'high'" in out.splitlines()[0]) == asked
    assert "AMX, the operating system does not grant them" in out and "sigaltstack" in out
    assert "float32 ('highest' requested)" in out


def emulated():
    """Whether this build emulates the unit: then it can be told to refuse."""
    code = "from fastnn._core import kernels; print(kernels.has_tiles())"
    return run(code, FASTNN_ISA="amx", FASTNN_EMULATE_REFUSAL="28") == "False"


@needs_tiles
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_asks_again():
    code = """
import os
from fastnn._core import kernels
assert kernels.has_tiles("amx")
os.environ["FASTNN_EMULATE_REFUSAL"] = "28"
child = os.fork()
if child == 0:
    os._exit(kernels.has_tiles("amx"))
print(kernels.has_tiles("amx"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(code) == f"True {int(not emulated())}"


@needs_tiles
@pytest.mark.parametrize("batch, inputs, units", [(40, 70, 33), (70, 300, 200), (600, 100, 70)])
@pytest.mark.parametrize("kind", ["tiny number", "tiny products", "with zeros"])
def test_small_numbers_in_any_factor(kind, batch, inputs, units, any_size):
    """In every product of a step: next to others of normal size, a number whose last split is below 2^-126, before a
    large one; products whose parts are, in some rows; and such with rows and columns of zeros."""
    rng = np.random.default_rng(batch)
    x, w, dy = (rng.normal(size=s).astype(np.float32) for s in [(batch, inputs), (inputs, units), (batch, units)])
    if kind == "tiny number":
        # 2^-110 (1 + 2^-23) before 2^110: what the other factor's numbers do not hide
        odd = np.float32(2.0**-110 * (1 + 2.0**-23))
        x[3], w[:, 5], dy[7] = 0, 0, 0
        x[3, 2], w[2, :] = odd, 2.0**110
        x[:, 2] = np.where(np.arange(batch) == 3, odd, 0)
        dy[7, 1] = odd
        w[:, 1] = np.float32(2.0**100)
    else:
        x[: batch // 2], w[:, : units // 2], dy[: batch // 2] = (
            v * np.float32(2.0**-60) for v in (x[: batch // 2], w[:, : units // 2], dy[: batch // 2])
        )
    if kind == "with zeros":
        x[1], w[:, 2], dy[:, 3], x[:, 4] = 0, 0, 0, 0
    model = fastnn.Sequential([layers.Dense(units, use_bias=False, input_shape=(inputs,))])
    model.compile("sgd", "mse")
    model.set_weights([w])
    y, dx = model.forward(x, training=True), model.backward(dy)
    for found, a, b in [(y, x, w), (dx, dy, w.T), (model.gradients()[0], x.T, dy)]:
        a, b = a.astype(np.float64), b.astype(np.float64)
        exact, scale = a @ b, abs(a) @ abs(b)
        assert (abs(found - exact) <= 2e-7 * np.sqrt(a.shape[1]) * scale + 2.0**-126 * a.shape[1]).all()


COMPILED = {
    "adam": {},
    "constraint": {"constraint": "unit_norm"},
    "penalty": {"regularizer": "l2"},
    "orthogonal": {"regularizer": "orthogonal_regularizer"},
    "clipnorm": {"optimizer": {"clipnorm": 0.1}},
    "accumulation": {"optimizer": {"gradient_accumulation_steps": 2}},
    "average": {"optimizer": {"use_ema": True, "ema_overwrite_frequency": 3}},
    "decay": {"optimizer": {"weight_decay": 0.1}},
}


def everything_that_changes_weights(kind, tmp_path):
    """Bits of weights and results all along."""
    options = COMPILED[kind]
    fastnn.set_random_seed(1)
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=(300, n)).astype(np.float32) for n in (75, 40))
    constraint, regularizer = options.get("constraint"), options.get("regularizer")
    first = layers.Dense(
        70, "relu", input_shape=(75,), kernel_constraint=constraint, kernel_regularizer=regularizer
    )
    model, found = fastnn.Sequential([first, layers.Dense(66), layers.BatchNormalization(), layers.Dense(40)]), []
    other = fastnn.Sequential([first, layers.Dense(40)])
    for m in (model, other):
        m.compile(fastnn.Adam(1e-2, **options.get("optimizer", {})), "mse", matmul_precision="medium")

    def note():
        found.extend(w.tobytes() for w in model.get_weights())
        for _ in range(2):  # the second one goes the short way
            found.append(model.predict_on_batch(x[:40]).tobytes())
        found.append(model.predict(x, verbose=0).tobytes())
        found.append(model.evaluate(x, y, verbose=0))
        found.append(model.input_gradient(x[:40], y[:40]).tobytes())

    for batch in (32, 300):
        model.fit(x, y, epochs=2, batch_size=batch, shuffle=False, verbose=0)
        note()
        for _ in range(3):
            found.append(model.train_on_batch(x[:40], y[:40]))
        note()
        model.set_weights([w * np.float32(0.9) for w in model.get_weights()])
        found.append(model.train_on_batch(x[:40], y[:40]))
        note()
        model.layers[1].variables[0].assign(model.layers[1].variables[0].numpy() * 2)
        found.append(model.train_on_batch(x[:40], y[:40]))
        other.fit(x, y, batch_size=64, shuffle=False, verbose=0)  # its first layer is that of `model`
        note()
        found.append(other.predict(x, verbose=0).tobytes())
        for _ in range(2):  # by hand
            found.append(model.forward(x[:40], training=True).tobytes())
            found.append(model.backward(y[:40]).tobytes())
            model.apply_gradients()
        note()
    path = tmp_path / "weights.safetensors"
    model.save_weights(path)
    model.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    model.load_weights(path)
    note()
    model.layers[1].trainable = False
    model.compile("sgd", "mse", matmul_precision="medium")
    model.fit(x, y, epochs=1, batch_size=64, shuffle=False, verbose=0)
    note()
    return found


@needs_tiles
@pytest.mark.parametrize("kind", COMPILED)
def test_kept_splits_follow_the_weights(kind, any_size, tmp_path, monkeypatch):
    """Whatever changes weights, products are those of weights that are split at every call."""
    kept = everything_that_changes_weights(kind, tmp_path)
    monkeypatch.setattr(plan_cache, "_kept", OrderedDict())
    monkeypatch.setattr(LOWERINGS["dense"], "kept", lambda *_: None)
    assert kept == everything_that_changes_weights(kind, tmp_path)


@needs_tiles
def test_kept_splits_of_a_step_that_was_given_up(any_size, monkeypatch):
    """Ctrl-C in the middle of a long step: the splits are put back with the weights."""
    monkeypatch.setattr(long_steps, "LONG", 0.0)
    monkeypatch.setattr(long_steps, "AT_MOST", 1e9)
    x = np.random.default_rng(3).normal(size=(6000, 200)).astype(np.float32)
    model = fastnn.Sequential([layers.Dense(300, "relu", input_shape=(200,)), layers.Dense(600), layers.Dense(200)])
    model.compile("sgd", "mse", matmul_precision="medium")
    settings = {"batch_size": 6000, "shuffle": False, "verbose": 0}
    model.fit(x, x, **settings)
    program = next(p for p in model.engine()._programs.values() if p.splits)
    before = [split.tobytes() for split in program.splits]
    watched = long_steps.watch(program, model.engine().store, True)
    for split, (_, copy) in zip(program.splits, watched["saved"][-len(program.splits) :], strict=True):
        assert split.any() and copy.tobytes() == split.tobytes()
    model.fit(x, x, **settings)
    assert before != [split.tobytes() for split in program.splits]


@needs_tiles
def test_kept_splits_where_the_gradient_is_not_by_tiles(any_size, tmp_path, monkeypatch):
    """A dW by fma, which may have other parts otherwise, leaves the splits that the forward pass reads."""
    for least in precision.LEAST.values():
        monkeypatch.setitem(least, "dense_dw", ((10**9, 1, 1),))
    kept = everything_that_changes_weights("adam", tmp_path)
    monkeypatch.setattr(plan_cache, "_kept", OrderedDict())
    monkeypatch.setattr(LOWERINGS["dense"], "kept", lambda *_: None)
    assert kept == everything_that_changes_weights("adam", tmp_path)


@needs_tiles
def test_kept_splits_after_an_interrupted_fit(any_size, monkeypatch):
    """Ctrl-C in a callback: training goes on with the weights that are there."""

    class Stop(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    def results():
        fastnn.set_random_seed(1)
        x = np.random.default_rng(3).normal(size=(300, 70)).astype(np.float32)
        model = fastnn.Sequential([layers.Dense(80, "relu", input_shape=(70,)), layers.Dense(70)])
        model.compile("adam", "mse", matmul_precision="medium")
        model.fit(x, x, batch_size=40, shuffle=False, verbose=0)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, x, batch_size=40, shuffle=False, verbose=0, callbacks=[Stop()])
        first = model.predict(x, verbose=0).tobytes()
        model.fit(x, x, batch_size=40, shuffle=False, verbose=0)
        return first, model.predict(x, verbose=0).tobytes()

    kept = results()
    monkeypatch.setattr(plan_cache, "_kept", OrderedDict())
    monkeypatch.setattr(LOWERINGS["dense"], "kept", lambda *_: None)
    assert kept == results()
