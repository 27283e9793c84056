"""Data races: whatever several threads do in fastnn, under ThreadSanitizer (how to build for it: CONTRIBUTING.md).

    python tests/races.py                                          # about a minute
    python tests/races.py executor                                 # one or some of its parts
    python tests/races.py -m pytest -s tests/sweeps/test_sweep.py  # any other command (-s: pytest hides reports)

(a) The OpenMP runtime is not instrumented. Of LLVM's, Archer (libarcher.so) tells the sanitizer which thread waits for
    which; gcc's has nothing of the kind, and every team would look like a race. gcc compiles, because clang's sanitizer
    leaves out loads and stores of more than 16 bytes.
(b) Nor is Python, but the sanitizer sees its locks and the interpreter's, because they are those of the C library. So
    what Python threads do one after the other is no race, and what they do without the interpreter's lock may be.
(c) A sanitizer that watches nothing finds nothing: races made on purpose, one of them by a plan that lacks a barrier,
    must be reported before the rest counts. Which barriers plans need is what tests/engine/test_barriers.py checks.
"""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

WATCHED = "FASTNN_RACES_WATCHED"
RACE = 66  # exit status of a process in which the sanitizer has seen something
# The runtime's own calls of the C library (the locks it makes and unmakes) are its own business.
SUPPRESSIONS = "called_from_lib:libomp.so\n"
TEAMS_WATCHED = "Archer detected OpenMP application with TSan"


def library(name):
    """Where gcc finds it: in the system's folders and those of LIBRARY_PATH."""
    found = subprocess.run(["gcc", "-print-file-name=" + name], capture_output=True, text=True).stdout.strip()
    if not Path(found).is_absolute():
        raise SystemExit(f"{name}: not found (Debian: libtsan2, libomp-dev)")
    return Path(found).resolve()


def watched(arguments, folder, **more):
    """Run Python with these arguments, the sanitizer and LLVM's OpenMP, which takes the calls meant for gcc's."""
    rules, openmp = Path(folder, "suppressions"), library("libomp.so.5")
    rules.write_text(SUPPRESSIONS)
    settings = {
        "LD_PRELOAD": f"{library('libtsan.so')} {openmp}",
        "OMP_TOOL_LIBRARIES": openmp.with_name("libarcher.so"),
        "ARCHER_OPTIONS": "verbose=1",
        "TSAN_OPTIONS": f"exitcode={RACE} suppressions={rules} history_size=5",
        "OMP_WAIT_POLICY": "passive",  # idle threads that spin take the cores from those that work
        WATCHED: "1",
    }
    # -R: where addresses are drawn at random, the sanitizer may find the place of its tables taken. Some containers
    # do not permit it, and may do without.
    fixed = ["setarch", "-R"]
    if subprocess.run([*fixed, "true"], capture_output=True).returncode:
        fixed = []
    command = [*fixed, "env", *(f"{name}={value}" for name, value in settings.items()), sys.executable]
    return subprocess.run([*command, *arguments], **more)


# ---- what is watched ----------------------------------------------------------------------------------------------


def on_purpose():
    """Two threads of Python, one array."""
    import numpy as np

    from fastnn import ops

    x = np.ones((400, 400), np.float32)
    out = np.empty_like(x)
    together([lambda: [ops.relu(x, out=out, threads=2) for _ in range(20)]] * 2)


def without_a_barrier():
    """A team trains by a plan in which nobody waits before the first operation that has to."""
    import numpy as np
    from engine_tools import engine_of

    from fastnn._core import threads as core_threads
    from fastnn.training.compiling import resolve_targets

    x, y = data()
    model = model_of("norms")
    resolve_targets(model, y)
    engine = engine_of(model, schedule="layers")
    with core_threads.using(3):
        engine.fit_block(x, y, None, None, 0, 200, 200, np.full(1, 0.01))
        (program,) = engine._programs.values()
        program.plan.operations.barriers = program.plan.operations.barriers[1:]
        engine.fit_block(x, y, None, None, 0, 200, 200, np.full(1, 0.01))


def together(calls):
    """All at once, each in a thread of Python; their first error."""
    errors, start = [], threading.Barrier(len(calls))

    def one(call):
        try:
            start.wait()
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def data(n=200, inputs=37, classes=7):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.normal(size=(n, inputs)).astype(np.float32), rng.integers(0, classes, n).astype(np.int32)


def model_of(kind, dtype="float32", optimizer="adam", units=(50, 20), metrics=("accuracy",), **choices):
    import fastnn
    from fastnn import layers

    rules = {"kernel_regularizer": "l1_l2", "kernel_constraint": "max_norm"} if kind == "rules" else {}
    model = fastnn.Sequential([fastnn.Input((37,))], dtype=dtype, weight_decay=0.1 * (kind == "rules"))
    for n in units:
        model.add(layers.Dense(n, "elu", **rules))
        if kind == "norms":
            model.add(layers.BatchNormalization())
            model.add(layers.LayerNormalization())
        model.add(layers.Dropout(0.25))
    model.add(layers.Dense(7, "softmax"))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), seed=3, **choices)
    return model


def optimizers():
    import fastnn

    return {
        "fused": fastnn.Adam(0.01),
        "global norm": fastnn.Adam(0.01, global_clipnorm=0.5),
        "norm": fastnn.SGD(0.01, momentum=0.9, clipnorm=0.5),
        "accumulated": fastnn.Adam(0.01, gradient_accumulation_steps=2, clipvalue=0.1),
        "averaged": fastnn.AdamW(0.01, use_ema=True),
    }


def executor():
    """Both schedules, for every kind of step, with numbers of threads that change between and within blocks."""
    import numpy as np
    from engine_tools import engine_of

    from fastnn._core import kernels
    from fastnn._core import threads as core_threads
    from fastnn.training.compiling import resolve_targets

    x, y = data()
    index, weights = np.random.default_rng(1).permutation(len(x)), np.ones(len(x), np.float32)
    for isa in kernels.targets():
        for schedule in ("layers", "samples"):
            for kind in ("plain", "norms", "rules"):
                for number, optimizer in enumerate(optimizers().values()):
                    dtype = ("float32", "float64")[number % 2]
                    model = model_of(kind, dtype, optimizer)
                    resolve_targets(model, y)
                    metrics = [m.for_core() for m in model.metrics]
                    metrics += [lambda truth, found: np.ones(len(truth))] * (number == 0)  # cuts steps into parts
                    engine = engine_of(model, schedule=schedule, isa=isa, metrics=metrics)
                    for threads in (3, 2, 8):
                        with core_threads.using(threads):
                            engine.fit_block(x, y, None, index, 0, 200, 64, np.full(4, 0.01))
                    with core_threads.using(3):
                        engine.fit_block(x, y, weights.astype(dtype), None, 0, 200, 200, np.full(1, 0.01))
                        engine.evaluate(x, y, batch_size=64)
                        engine.predict(x, 64)
    core_threads.set_num_threads(3)
    try:
        for schedule in ("layers", "samples"):  # the number is chosen by the clock, and so changes within a block
            model = model_of("plain", optimizer=optimizers()["fused"], units=(200, 100))
            engine = engine_of(model, schedule=schedule)
            for _ in range(4):
                engine.fit_block(x, y, None, index, 0, 200, 20, np.full(10, 0.01))
    finally:
        core_threads.set_num_threads(None)


def operations():
    """Every function of `fastnn.ops`, on 1, 2 and 3 threads, first one and then three calls at a time."""
    import fuzz_ops

    fuzz_ops.run(600, seed=1)
    together([lambda seed=seed: fuzz_ops.run(250, seed=seed) for seed in (2, 3, 4)])


def models():
    """Several models at once, and one model used by several threads."""
    x, y = data()
    together([
        lambda k=kind, t=threads: model_of(k, threads=t).fit(
            x, y, epochs=3, validation_data=(x, y), verbose=0
        )
        for kind, threads in (("plain", 1), ("norms", 2), ("rules", 3), ("plain", None))
    ])  # fmt: skip
    model = model_of("norms", threads=2)
    model.fit(x, y, verbose=0)

    def small():
        for _ in range(10):
            model.train_on_batch(x[:8], y[:8])
            model.predict_on_batch(x[:8])
            model.predict(x, verbose=0)

    def large():
        model.fit(x, y, epochs=5, verbose=0)

    def other():
        for _ in range(10):
            model.evaluate(x, y, verbose=0)
            model.set_weights(model.get_weights())

    together([small, small, large, other])


def sweeps():
    """Networks that share their data, three at a time, and halving."""
    import fastnn

    x, y = data()

    def build(kind, units):
        return model_of(kind, units=(units,))

    grid = [{"kind": kind, "units": n, "batch_size": n} for n in (9, 16, 33) for kind in ("plain", "norms", "rules")]
    for halving in (None, 2):
        fastnn.sweep(
            build, grid, x, y, epochs=4, validation_split=0.2, halving=halving, keep=2, workers=3, seed=1, verbose=0
        )


PARTS = {f.__name__: f for f in (executor, operations, models, sweeps)}
ON_PURPOSE = {f.__name__: f for f in (on_purpose, without_a_barrier)}


def is_seen(name, folder):
    """Whether the sanitizer reports a race made on purpose."""
    made = watched([__file__, name], folder, capture_output=True, text=True)
    said = made.stdout + made.stderr
    if made.returncode == RACE and "WARNING: ThreadSanitizer: data race" in said and TEAMS_WATCHED in said:
        print(f"a race made on purpose is seen: {name}", flush=True)
        return True
    print(said)
    print(f"a race made on purpose was not reported: {name}; is fastnn built for this?")
    return False


def main():
    chosen = sys.argv[1:] or list(PARTS)
    if os.environ.get(WATCHED):
        for name in chosen:
            (ON_PURPOSE | PARTS)[name]()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if not set(chosen) <= set(PARTS):
            return watched(chosen, folder).returncode
        if not all(is_seen(name, folder) for name in ON_PURPOSE):
            return 1
        failed = [name for name in chosen if watched([__file__, name], folder).returncode != 0]
        print(f"{len(chosen)} parts, with races or errors: {', '.join(failed) or 'none'}")
        return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
