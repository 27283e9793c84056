"""Small calls, of which Python is the larger part: manual steps, SciPy fits, functions on arrays, first calls.

    python benchmarks/single_calls.py                          # this checkout, beside NumPy
    python benchmarks/single_calls.py ../other_checkout        # both, interleaved, with the ratio of the two

Each task runs in a process of its own, in turn for every checkout; the table has the least of the blocks. `--tasks`
chooses by a part of the name. Memory is the growth of the resident set for each network kept.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCHES = (1, 32, 256)
KEPT = 300  # networks at a time


def least(run, seconds=0.35):
    """Least seconds of a call, of blocks of a few milliseconds each."""
    for _ in range(100):
        run()
    began = time.perf_counter()
    for _ in range(10):
        run()
    n = max(1, int(3e-3 / max((time.perf_counter() - began) / 10, 1e-7)))
    best, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(n):
            run()
        best = min(best, (time.perf_counter() - began) / n)
    return best


def network(sizes=(4, 64, 64, 2), optimizer="adam", **kwargs):
    import fastnn

    hidden = [fastnn.layers.Dense(n, "tanh") for n in sizes[1:-1]]
    dtype = kwargs.pop("dtype", None)
    layers = [fastnn.Input(sizes[:1]), *hidden, fastnn.layers.Dense(sizes[-1])]
    model = fastnn.Sequential(layers, dtype=dtype)
    model.compile(optimizer, "mse", seed=0, **kwargs)
    return model


def batch_of(n, inputs=4, outputs=2, dtype="float32"):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.standard_normal((n, inputs)).astype(dtype), rng.standard_normal((n, outputs)).astype(dtype)


# --- tasks: each returns {label: seconds or bytes} ------------------------------------------------------------------


def manual_step():
    found = {}
    for n in BATCHES:
        x, y = batch_of(n)
        model, other = network(), network()

        def step(model=model, x=x, y=y):
            model.forward(x, training=True)
            model.backward(y)
            model.apply_gradients()

        def train(other=other, x=x, y=y):
            other.train_on_batch(x, y)

        found[f"batch {n}"] = least(step)
        found[f"batch {n}, train_on_batch"] = least(train)
    return found


def scipy_problem(seed=0):
    import numpy as np

    x = np.linspace(-2, 2, 300)[:, None]
    y = np.sin(3 * x) + 0.1 * np.random.default_rng(seed).standard_normal(x.shape)
    return x, y


def numpy_loss_and_grad(x, y, sizes=(1, 20, 20, 1)):
    """The same network as one would write it in NumPy."""
    import numpy as np

    shapes = [s for i, o in zip(sizes, sizes[1:], strict=False) for s in ((i, o), (o,))]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    def evaluate(theta):
        parts = [p.reshape(s) for p, s in zip(np.split(theta, ends), shapes, strict=True)]
        kernels, biases = parts[::2], parts[1::2]
        kept = [x]
        for i, (w, b) in enumerate(zip(kernels, biases, strict=True)):
            z = kept[-1] @ w + b
            kept.append(np.tanh(z) if i + 1 < len(kernels) else z)
        difference = kept[-1] - y
        d, gradient = 2 * difference / difference.size, []
        for i in range(len(kernels) - 1, -1, -1):
            gradient[:0] = [(kept[i].T @ d).ravel(), d.sum(0)]
            if i:
                d = (d @ kernels[i].T) * (1 - kept[i] ** 2)
        return np.mean(difference**2), np.concatenate(gradient)

    return evaluate


def scipy_fit():
    import numpy as np
    from scipy.optimize import minimize

    x, y = scipy_problem()
    model = network((1, 20, 20, 1), dtype="float64")
    model.forward(x)
    shapes = [w.shape for w in model.get_weights()]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    theta = np.concatenate([w.ravel() for w in model.get_weights()])

    def by_hand(theta):
        model.set_weights([p.reshape(s) for p, s in zip(np.split(theta, ends), shapes, strict=True)])
        difference = model.forward(x, training=True) - y
        model.backward(2 * difference / difference.size)
        return np.mean(difference**2), np.concatenate([g.ravel() for g in model.gradients()])

    ours = by_hand
    if hasattr(model, "loss_and_grad"):
        ours = lambda theta: model.loss_and_grad(theta, x, y)  # noqa: E731
    theirs = numpy_loss_and_grad(x, y)
    found = {"an evaluation": least(lambda: ours(theta)), "an evaluation, numpy": least(lambda: theirs(theta))}
    for name, function in (("", ours), (", numpy", theirs)):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            result = minimize(function, theta, jac=True, method="L-BFGS-B", options={"maxiter": 100})
            times.append((time.perf_counter() - began) / result.nfev)
        found["L-BFGS-B, by evaluation" + name] = min(times)
    return found


def array_functions():
    """`fastnn.ops` beside the same in NumPy."""
    found = {}
    for dtype in ("float32", "float64"):
        for label, run in functions_of(dtype).items():
            found[label.replace("@", dtype)] = least(run)
    return found


def functions_of(dtype):
    import numpy as np

    from fastnn import ops

    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((64, 20), (20, 30), (30,)))
    d = x @ w
    return {
        "dense_forward, @": lambda: ops.dense_forward(x, w, b),
        "dense_forward, @, numpy": lambda: x @ w + b,
        "dense_forward relu, @": lambda: ops.dense_forward(x, w, b, "relu"),
        "dense_forward relu, @, numpy": lambda: np.maximum(x @ w + b, 0),
        "dense_forward tanh, @": lambda: ops.dense_forward(x, w, b, "tanh"),
        "dense_forward tanh, @, numpy": lambda: np.tanh(x @ w + b),
        "dense_backward, @": lambda: ops.dense_backward(d, x, w),
        "dense_backward, @, numpy": lambda: (d @ w.T, x.T @ d, d.sum(0)),
        "tanh, @": lambda: ops.tanh(x),
        "tanh, @, numpy": lambda: np.tanh(x),
        "softmax, @": lambda: ops.softmax(d),
        "softmax, @, numpy": lambda: (e := np.exp(d - d.max(1, keepdims=True))) / e.sum(1, keepdims=True),
        "mean_squared_error, @": lambda: ops.mean_squared_error(d, d),
        "mean_squared_error, @, numpy": lambda: (((e := d - d) ** 2).mean(1), 2 / d.shape[1] * e),
    }


def first_call():
    found, x, y = {}, *batch_of(32)
    network().train_on_batch(x, y)
    for name, call in (("train_on_batch", lambda m: m.train_on_batch(x, y)), ("predict", lambda m: m.predict(x)),
                       ("manual step", manual_once)):  # fmt: skip
        times = []
        for _ in range(60):
            model = network()
            began = time.perf_counter()
            call(model)
            times.append(time.perf_counter() - began)
        found[f"first {name} of a second network"] = sorted(times)[len(times) // 4]
    return found


def manual_once(model):
    x, y = batch_of(32)
    model.forward(x, training=True)
    model.backward(y)
    model.apply_gradients()


def memory_of_many():
    models = [network() for _ in range(2)]
    for model in models:
        manual_once(model)
    models = []
    gc.collect()
    before = resident()
    models = [network() for _ in range(KEPT)]
    made = resident()
    for model in models:
        manual_once(model)
    kept = resident()
    models = model = None  # noqa: F841
    gc.collect()
    after = resident()
    size = {"bytes made": (made - before) / KEPT, "bytes with a step": (kept - before) / KEPT}
    return size | {"bytes left after deletion": (after - before) / KEPT}


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


TASKS = {f.__name__: f for f in (manual_step, scipy_fit, array_functions, first_call, memory_of_many)}


def run_apart(checkout, task):
    env = {**os.environ, "PYTHONPATH": checkout}
    command = [sys.executable, "-P", os.path.abspath(__file__), "--worker", task]
    done = subprocess.run(command, env=env, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{task} in {checkout}:\n{done.stderr}")
    return json.loads(done.stdout)


def text(label, value):
    return f"{value / 1024:9.1f} KiB" if label.startswith("bytes") else f"{value * 1e6:9.2f} us "


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", help="a built checkout to compare this one with")
    parser.add_argument("--tasks", default="", help=f"a part of the name of one of {', '.join(TASKS)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(TASKS[given.worker]()))
        return
    checkouts = [HERE] + ([os.path.abspath(given.other)] if given.other else [])
    for task in TASKS:
        if given.tasks not in task:
            continue
        found = [{} for _ in checkouts]
        for _ in range(given.repeats):
            for best, checkout in zip(found, checkouts, strict=True):
                for label, value in run_apart(checkout, task).items():
                    best[label] = min(value, best.get(label, value))
        print(task)
        for label, value in found[0].items():
            line = f"  {label:44}{text(label, value)}"
            if given.other:
                before = found[1][label]
                line += f" {text(label, before)} {value / before if before else float('nan'):7.2f}"
            peer = next((value / found[0][label + s] for s in (", numpy", ", train_on_batch") if label + s in found[0]),
                        None)  # fmt: skip
            print(line + (f"   {peer:.2f} of the next line" if peer else ""))


if __name__ == "__main__":
    main()
