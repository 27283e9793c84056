"""fastnn beside its peers, interleaved in one run: training steps, and the tasks of `tasks.py`.

    python -P benchmarks/peers.py                                      steps of fastnn, PyTorch, JAX; all but `wide`
    python -P benchmarks/peers.py --all --repeats 5 --json peers.json    the whole table, with every peer installed
    python -P benchmarks/peers.py --peers all --workloads rl,headline

How it measures
(a) A step is forward, backward and Adam in float32, on batches that cycle through one resident random data set. All
    start from the same weights; the mean loss of the first steps is compared, so all provably do the same work.
(b) Every peer x configuration (1 thread, all threads, ...) is a process of its own. It builds the model, warms up, then
    waits on a pipe; asked, it runs one block of steps and answers with the seconds. Only one works at a time.
(c) The driver goes round all workers block by block, starting with another one each round, so that a noisy minute
    hits them all. It reports the minimum and the median of the blocks, and a peer counts with its best configuration;
    one that is three times slower than that after five rounds rests (two busy threads on a busy machine can be).
(d) Peers are written as their manuals advise: PyTorch eager with fused Adam and batches cut beforehand; JAX with one
    `lax.scan` over the block inside `jit`, parameters donated; repeated layers also as an inner scan. With --all there
    are also PyTorch compiled and JAX with one call of a `jit` for each step. A peer that is not installed, or cannot do
    a workload (scikit-learn: no batch normalisation, no SELU), is left out and named.
(e) With --busy N, N other processes that compute without a pause run beside it all: what neighbours do to the choice of
    threads. The last column is the one to look at then.
(f) Beside each ratio stands the share of the machine's limit: the operations of a step's products / its least time /
    the FMA peak under load of as many threads, which is measured in every round (`limits.py`, `suite/peak.c`). The
    targets are those for the kind of machine at hand.

fastnn runs `model.fit` at its default number of threads: what a user gets, its Python included. On a CPU with AMX there
are also its precisions "high" and "medium", which do not count as its figure.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))  # last: this folder hides nobody's package
import limits  # noqa: E402
from suite.rows import ROWS  # noqa: E402
from tasks import TASKS, memory, the_fastnn  # noqa: E402

DEFAULT_WORKLOADS = [name for name in ROWS if name != "wide"]
DEFAULT_PEERS = ["fastnn", "torch", "jax"]
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7
BN_MOMENTUM, BN_EPSILON = 0.99, 1e-3
TRIAL_ROUNDS = 5
BUSY = "while True: sum(range(100000))"
COMPARED_STEPS = 2  # few: 100 layers amplify rounding to percents within a dozen steps
TOLERANCE = {
    "deep": 0.02
}  # else 0.001; PyTorch's epsilon meets the bias-corrected √v, ours and Keras' √v


class Workload:
    """Data and initial weights of one row of ROWS; the same in every process."""

    unit = "step"

    def can(self, peer):
        return PEERS[peer].can(self)

    def make(self, peer, config):
        return PEERS[peer].make(self, config)

    def __init__(self, name, block=1.0):
        row = ROWS[name]
        self.name, self.shape, self.flops = name, row.shape, row.flops
        self.sizes, self.activation, self.batch, self.loss, steps, self.bn = row
        self.steps = max(COMPARED_STEPS, round(steps * block))

    def data(self):
        import numpy as np

        rng = np.random.default_rng(1)
        n = self.steps * self.batch
        x = rng.standard_normal((n, self.sizes[0]), dtype=np.float32)
        if self.loss == "ce":
            return x, rng.integers(0, self.sizes[-1], n, dtype=np.int32)
        return x, rng.standard_normal((n, self.sizes[-1]), dtype=np.float32)

    def weights(self):
        """[(kernel (I, O), bias (O,)), ...] from one seed."""
        import numpy as np

        rng = np.random.default_rng(2)
        gain = {"tanh": 1.0, "relu": 2.0, "elu": 1.5, "selu": 1.0}[self.activation]
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        return [
            (
                rng.standard_normal((i, o), dtype=np.float32) * np.float32((gain / i) ** 0.5),
                np.zeros(o, np.float32),
            )
            for i, o in pairs
        ]


# --- the peers: each builds a function that runs one block; its first call returns the mean loss --
# --- of the first COMPARED_STEPS, or None ---------------------------------------------------------


def keras_like(api, w, **more):
    """fastnn and Keras: the same lines, as it should be; `more`, here or of a block, are arguments of `fit`."""
    layers = [api.layers.Input((w.sizes[0],))]
    for i, units in enumerate(w.sizes[1:], 1):
        if w.bn:
            layers.append(api.layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON))
        last = "softmax" if w.loss == "ce" else None
        layers.append(api.layers.Dense(units, w.activation if i < len(w.sizes) - 1 else last))
    model = api.Sequential(layers)
    dense = [layer for layer in model.layers if "Dense" in type(layer).__name__]
    for layer, weights in zip(dense, w.weights(), strict=True):
        layer.set_weights(list(weights))
    loss = "sparse_categorical_crossentropy" if w.loss == "ce" else "mean_squared_error"
    model.compile(optimizer=api.optimizers.Adam(RATE), loss=loss)
    x, y = w.data()
    options = {"batch_size": w.batch, "epochs": 1, "shuffle": False, "verbose": 0, **more}
    few = COMPARED_STEPS * w.batch
    losses = model.fit(x[:few], y[:few], **options).history["loss"]

    def run(**more):
        model.fit(x, y, **(options | more))
        return losses[0]

    return run


def make_fastnn(w, config):
    api = the_fastnn()
    api.set_float32_matmul_precision(config["variant"] or "highest")
    return keras_like(api, w)


def make_keras(w, config):
    import keras

    return keras_like(keras, w)


def make_torch(w, config):
    import torch
    from torch import nn

    torch.set_num_threads(config["threads"])
    layers = []
    for i, (kernel, bias) in enumerate(w.weights()):
        if w.bn:  # its momentum weighs the new value
            layers.append(nn.BatchNorm1d(len(kernel), BN_EPSILON, 1 - BN_MOMENTUM))
        linear = nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(kernel.T))
            linear.bias.copy_(torch.from_numpy(bias))
        layers.append(linear)
        if i < len(w.sizes) - 2:
            act = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU}[w.activation]
            layers.append(act())
    model = nn.Sequential(*layers)
    x, y = (torch.from_numpy(a) for a in w.data())
    if w.loss == "ce":
        y = y.long()
    batches = list(zip(x.split(w.batch), y.split(w.batch), strict=True))
    criterion = nn.CrossEntropyLoss() if w.loss == "ce" else nn.MSELoss()
    adam = torch.optim.Adam(model.parameters(), RATE, (BETA_1, BETA_2), EPSILON, fused=True)
    losses = []

    def loss_of(xb, yb):
        return criterion(model(xb), yb)

    if config["variant"] == "compiled":
        loss_of = torch.compile(loss_of)

    def run():
        for xb, yb in batches:
            adam.zero_grad(set_to_none=True)
            loss = loss_of(xb, yb)
            loss.backward()
            adam.step()
            if len(losses) < COMPARED_STEPS:
                losses.append(loss.item())
        return sum(losses) / len(losses)

    return run


def make_jax(w, config):
    import jax
    import jax.numpy as jnp
    from jax import lax

    act = {
        "tanh": jnp.tanh,
        "relu": jax.nn.relu,
        "elu": jax.nn.elu,
        "selu": jax.nn.selu,
    }[w.activation]
    params = [{"w": jnp.asarray(k), "b": jnp.asarray(b)} for k, b in w.weights()]
    averages = []
    if w.bn:
        for p in params:
            width = len(p["w"])
            p["gamma"], p["beta"] = jnp.ones(width), jnp.zeros(width)
            averages.append((jnp.zeros(width), jnp.ones(width)))
    stacked = config["variant"] == "inner scan"
    if stacked:  # the run of equal layers becomes one leaf with a leading axis
        equal = [i for i, p in enumerate(params) if p["w"].shape == (100, 100)]
        middle = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(params[i] for i in equal))
        params = [*params[: equal[0]], middle, *params[equal[-1] + 1 :]]

    def loss_of(params, averages, x, y):
        moved = []
        for i, p in enumerate(params):
            if averages:
                mean, variance = x.mean(axis=0), x.var(axis=0)
                x = (x - mean) * (p["gamma"] * lax.rsqrt(variance + BN_EPSILON)) + p["beta"]
                moved.append((mean, variance))
            if p["w"].ndim == 3:
                x, _ = lax.scan(lambda h, q: (act(h @ q["w"] + q["b"]), None), x, p)
                continue
            x = x @ p["w"] + p["b"]
            if i < len(params) - 1:
                x = act(x)
        if w.loss == "mse":
            return jnp.mean((x - y) ** 2), moved
        picked = jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=1)
        return -jnp.mean(picked), moved

    def step(carry, batch):
        params, m, v, t, averages = carry
        (loss, moved), g = jax.value_and_grad(loss_of, has_aux=True)(params, averages, *batch)
        t = t + 1
        rate = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        m = jax.tree.map(lambda m, g: m + (1 - BETA_1) * (g - m), m, g)
        v = jax.tree.map(lambda v, g: v + (1 - BETA_2) * (g * g - v), v, g)
        params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), params, m, v)
        averages = jax.tree.map(
            lambda a, b: a * BN_MOMENTUM + b * (1 - BN_MOMENTUM), averages, moved
        )
        return (params, m, v, t, averages), loss

    x, y = w.data()
    batches = (
        jnp.asarray(x.reshape(w.steps, w.batch, -1)),
        jnp.asarray(y.reshape(w.steps, w.batch, *y.shape[1:])),
    )
    zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    state = [(params, *zeros, jnp.float32(0), averages)]
    if config["variant"] == "step":
        one, pairs = jax.jit(step, donate_argnums=0), list(zip(*batches, strict=True))

        def run():
            losses = []
            for pair in pairs:
                state[0], loss = one(state[0], pair)
                losses.append(loss)
            jax.block_until_ready((state[0], losses))
            return sum(map(float, losses[:COMPARED_STEPS])) / COMPARED_STEPS

        return run
    block = jax.jit(lambda carry, batches: lax.scan(step, carry, batches), donate_argnums=0)

    def run():
        state[0], losses = block(state[0], batches)
        jax.block_until_ready((state[0], losses))
        return float(losses[:COMPARED_STEPS].mean())

    return run


def make_sklearn(w, config):
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore")
    x, y = w.data()
    kind = MLPClassifier if w.loss == "ce" else MLPRegressor
    model = kind(
        hidden_layer_sizes=tuple(w.sizes[1:-1]),
        activation=w.activation,
        alpha=0.0,
        batch_size=w.batch,
        learning_rate_init=RATE,
        shuffle=False,
        beta_1=BETA_1,
        beta_2=BETA_2,
        epsilon=EPSILON,
    )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y.ravel()
    first = [{"classes": list(range(w.sizes[-1]))} if w.loss == "ce" else {}]

    def run():  # one call is one pass over the data; it starts from weights of its own: no loss to compare
        model.partial_fit(x, y, **(first.pop() if first else {}))

    return run


def make_numpy(w, config):
    """What one writes by hand: float32, row-major, BLAS' own threads."""
    import numpy as np

    params = [a for pair in w.weights() for a in pair]
    m, v, t = [np.zeros_like(a) for a in params], [np.zeros_like(a) for a in params], [0]
    x, y = w.data()
    if w.loss == "ce":
        y = np.eye(w.sizes[-1], dtype=np.float32)[y]
    scale, alpha = (1.0507009873554805, 1.6732632423543772) if w.activation == "selu" else (1, 1)

    def act(z):
        if w.activation == "tanh":
            return np.tanh(z)
        if w.activation == "relu":
            return np.maximum(z, 0)
        return np.float32(scale) * np.where(z > 0, z, np.float32(alpha) * np.expm1(np.minimum(z, 0)))

    def slope(h):  # from the output
        if w.activation == "tanh":
            return 1 - h * h
        if w.activation == "relu":
            return h > 0
        return np.where(h > 0, np.float32(scale), h + np.float32(scale * alpha))

    def step(x, y):
        seen = [x]
        for i in range(0, len(params), 2):
            z = seen[-1] @ params[i] + params[i + 1]
            seen.append(act(z) if i < len(params) - 2 else z)
        if w.loss == "ce":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            loss, d = -np.log(np.maximum((p * y).sum(axis=1), 1e-30)).mean(), (p - y) / len(x)
        else:
            loss, d = ((z - y) ** 2).mean(), 2 * (z - y) / y.size
        t[0] += 1
        rate = np.float32(RATE * np.sqrt(1 - BETA_2 ** t[0]) / (1 - BETA_1 ** t[0]))
        for i in range(len(params) - 2, -1, -2):
            gradients = seen[i // 2].T @ d, d.sum(axis=0)
            if i:
                d = (d @ params[i].T) * slope(seen[i // 2])
            for j, g in enumerate(gradients, i):
                m[j] += np.float32(1 - BETA_1) * (g - m[j])
                v[j] += np.float32(1 - BETA_2) * (g * g - v[j])
                params[j] -= rate * m[j] / (np.sqrt(v[j]) + np.float32(EPSILON))
        return float(loss)

    def run():
        losses = [step(x[i : i + w.batch], y[i : i + w.batch]) for i in range(0, len(x), w.batch)]
        return sum(losses[:COMPARED_STEPS]) / COMPARED_STEPS

    return run


class Peer:
    def __init__(self, make, package, can=lambda w: True):
        self.make, self.package, self.can = make, package, can


PEERS = {
    "fastnn": Peer(make_fastnn, "fastnn"),
    "torch": Peer(make_torch, "torch"),
    "jax": Peer(make_jax, "jax"),
    "keras": Peer(make_keras, "keras"),
    "sklearn": Peer(
        make_sklearn, "scikit-learn", lambda w: not w.bn and w.activation in ("tanh", "relu")
    ),
    "numpy": Peer(make_numpy, "numpy", lambda w: not w.bn),
}


def cpus():
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))


def thread_counts():
    return sorted({1, len(cpus())})


def configurations(peer, w, thorough, tiles):
    """What to try: {"threads": n or 0 for the peer's own default, "variant": text}."""
    counts, variants = thread_counts(), [""]
    if peer == "jax" and w.name == "deep":
        variants.append("inner scan")
    if thorough and w.flops:
        variants += {"torch": ["compiled"], "jax": ["step"]}.get(peer, [])
    found = [{"threads": n, "variant": v} for v in variants for n in counts]
    if peer == "fastnn":
        more = ["high", "medium"] if tiles and w.flops else []
        found += [{"threads": 0, "variant": v} for v in ["", *more]]
    return found


def environment(peer, config):
    """The worker's environment: thread counts where libraries read them, before they are imported."""
    env = {
        **os.environ,
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "jax"),
        "JAX_PLATFORMS": "cpu",
    }
    env["PYTHONSAFEPATH"] = "1"  # this folder's modules must not hide anybody's package
    n = config["threads"]
    if n:
        for name in ("OMP", "MKL", "OPENBLAS"):
            env[f"{name}_NUM_THREADS"] = str(n)
    if n == 1 and peer in ("jax", "keras"):
        env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
    return env


# --- a worker -------------------------------------------------------------------------------------


def workload(name, block):
    return TASKS[name] if name in TASKS else Workload(name, block)


def worker(task):
    """Answers one JSON line to every line on standard input; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    w, config = workload(task["workload"], task["block"]), task["config"]
    if (
        config["threads"] == 1
        and task["peer"] in ("jax", "keras")
        and hasattr(os, "sched_setaffinity")
    ):
        os.sched_setaffinity(0, cpus()[-1:])  # XLA's pool is as large as the CPUs it sees
    run = w.make(task["peer"], config)
    loss = run()
    if w.flops:  # a task is long enough without
        run()
    file = getattr(sys.modules.get(task["peer"]), "__file__", None)
    print(json.dumps({"loss": loss, "file": file}), file=answers)
    for _ in sys.stdin:
        start, busy = time.perf_counter(), time.process_time()
        run()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "cores": (time.process_time() - busy) / seconds}), file=answers)


class Worker:
    """The driver's end of one worker process."""

    def __init__(self, python, peer, config, w, block, env=()):
        self.peer, self.config, self.times, self.cores = peer, config, [], []
        threads = config["threads"] or "default"
        self.name = f"{peer} {threads}" + (f", {config['variant']}" if config["variant"] else "")
        task = {"peer": peer, "config": config, "workload": w.name, "block": block}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [python, str(Path(__file__).resolve()), "--worker", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(peer, config) | dict(env),
        )
        first = self._answer()
        self.loss, self.file = first["loss"], first["file"]  # the peer's package, for whoever has several

    def _answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.close()
        self.errors.seek(0)
        tail = self.errors.read().strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"{self.name} ended: {tail[0]}")

    def block(self):
        print("run", file=self.process.stdin, flush=True)
        answer = self._answer()
        self.times.append(answer["seconds"])
        self.cores.append(answer["cores"])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- the driver -----------------------------------------------------------------------------------


def version(python, peer):
    """The installed version, or None, as the given interpreter sees it; imports nothing."""
    package = "fastnn-cpu" if peer == "fastnn" else PEERS[peer].package
    code = (
        "import sys, importlib.util as u, importlib.metadata as m\n"
        f"if not u.find_spec({peer!r}): raise SystemExit\n"
        f"try: print(m.version({package!r}))\n"
        "except m.PackageNotFoundError: print('in place')"
    )
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return answer.stdout.strip() or None


def has_tiles(python):
    """Whether fastnn's precisions differ on this CPU."""
    code = "import fastnn.engine.precision as p; print(p.used('medium'))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    for each in (None, env):  # installed, or built in place
        answer = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, env=each)
        if answer.returncode == 0:
            return answer.stdout.strip() != "float32"
    return False


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def worth_going_on(workers):
    """Not a configuration three times slower than another one of the same peer."""
    fastest = {}
    for each in workers:
        fastest[each.peer] = min(fastest.get(each.peer, float("inf")), *each.times)
    return [each for each in workers if min(each.times) <= 3 * fastest[each.peer]]


@contextmanager
def neighbours(n):
    """So many processes that compute all the time."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(n)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def measure(w, peers, pythons, repeats, block, settle, thorough=False, tiles=False):
    """(a row for every worker, notes, the machine's limit); the workers run in turn, never together."""
    workers, problems = [], []
    limit = limits.Limit(thread_counts(), max(0.05, 0.1 * block))
    for peer in peers:
        if not w.can(peer):
            if w.flops:
                problems.append(f"{peer}: cannot do {w.name}")
            continue
        for config in configurations(peer, w, thorough, tiles):
            try:
                workers.append(Worker(pythons[peer], peer, config, w, block))
            except RuntimeError as error:
                problems.append(str(error))
    try:
        running = list(workers)
        for i in range(repeats):
            if i == TRIAL_ROUNDS:
                running = worth_going_on(workers)
            if w.flops:
                limit.block()
            for k in range(len(running)):
                time.sleep(settle)  # the pool of the one before stops spinning
                running[(i + k) % len(running)].block()
    finally:
        for each in workers:
            each.close()
    rows = []
    for each in workers:
        steps = [1e6 * t / w.steps for t in each.times]
        row = {"peer": each.peer, **each.config, "name": each.name, "loss": each.loss}
        row |= {"min_us": min(steps), "median_us": statistics.median(steps), "blocks_us": steps}
        row["gflops"] = w.flops / row["min_us"] / 1e3 if w.flops else None
        row["cores"] = statistics.median(each.cores)
        row["peak_threads"] = limit.threads(row["threads"], row["cores"])
        row["share_of_peak"] = limit.share(w.flops, row["min_us"], row["peak_threads"])
        rows.append(row)
    exact = [r for r in rows if r["variant"] not in ("high", "medium")]
    losses = [r["loss"] for r in exact if r["loss"] is not None and w.flops]
    allowed = TOLERANCE.get(w.name, 0.001) * statistics.median(losses or [0])
    if losses and max(losses) - min(losses) > allowed:
        problems.append(f"{w.name}: the losses differ, the peers do not do the same work")
    return rows, problems, limit


def best(rows, key):
    return min(rows, key=lambda r: r[key]) if rows else None


def summary(rows):
    """Best peer beside fastnn at its default threads, by minimum and by median."""
    ours = [r for r in rows if r["peer"] == "fastnn" and r["threads"] == 0 and not r["variant"]]
    fixed = [r for r in rows if r["peer"] == "fastnn" and r["threads"]]
    theirs = [r for r in rows if r["peer"] != "fastnn"]
    out = {}
    one = [r for r in fixed if r["threads"] == 1]
    for name, others in (("default_to_best", fixed), ("default_to_one", one)):  # how much worse the default is
        if ours and others:
            out[name] = {k: best(ours, k)[k] / best(others, k)[k] for k in ("min_us", "median_us")}
    out["by_peer"] = {}
    for peer in dict.fromkeys(r["peer"] for r in theirs if ours):
        middle = best([r for r in theirs if r["peer"] == peer], "median_us")["median_us"]
        out["by_peer"][peer] = middle / best(ours, "median_us")["median_us"]
    for key in ("min_us", "median_us"):
        us, peer = best(ours, key), best(theirs, key)
        out[key] = {
            "fastnn": us and us[key],
            "best_peer": peer and peer["name"],
            "peer": peer and peer[key],
            "ratio": peer[key] / us[key] if us and peer else None,
        }
    found = (best(group, "min_us") for group in (ours, theirs))
    for who, row in zip(("fastnn", "best_peer"), found, strict=True):
        out[f"{who}_of_peak"] = row and {key: row[key] for key in ("share_of_peak", "peak_threads")}
    return out


def percent(row):
    """ "48 % of 1": the share, and of how many threads' peak."""
    share = row and row["share_of_peak"]
    return "–" if share is None else f"{100 * share:.0f} % of {row['peak_threads']}"


def show(w, rows, problems, limit, column):
    if w.flops:
        print(f"\n{w.name} ({w.shape}): {w.flops / 1e6:.1f} MFLOP a step, {w.steps} steps a block\n{limit.text()}")
    else:
        print(f"\n{w.name} ({w.shape}): µs a {w.unit}, {w.steps} a block; target: {limits.target(w.name, column)}")
    last = "first loss" if w.flops else "loss or accuracy"
    print(f"| worker | min µs | median | GFLOP/s | of the peak | blocks | {last} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for r in sorted(rows, key=lambda r: r["min_us"]):
        loss = "" if r["loss"] is None else f"{r['loss']:.5f}"
        speed = "" if r["gflops"] is None else f"{r['gflops']:.1f}"
        times = f"{r['min_us']:.1f} | {r['median_us']:.1f} | {speed} | {percent(r)}"
        print(f"| {r['name']} | {times} | {len(r['blocks_us'])} | {loss} |")
    for problem in problems:
        print(f"note: {problem}")
    sys.stdout.flush()


def show_summary(results, column):
    head = "work | shape | fastnn min / median µs | best peer min / median µs | peer ÷ fastnn, min / median | target"
    head += " | of the FMA peak, fastnn / best peer | every peer, median"
    head += " | default ÷ better of 1 and all threads, min / median | default ÷ 1 thread"
    print(f"\n| {head} |\n|---|---|---:|---|---:|---:|---:|---|---:|---:|")

    def number(value, form="{:.1f}"):
        return "–" if value is None else form.format(value)

    for name, result in results.items():
        low, mid = result["summary"]["min_us"], result["summary"]["median_us"]
        cells = [
            result["shape"],
            f"{number(low['fastnn'])} / {number(mid['fastnn'])}",
            f"{low['best_peer'] or 'none'}: {number(low['peer'])} / {number(mid['peer'])}",
            f"{number(low['ratio'], '{:.2f}')} / {number(mid['ratio'], '{:.2f}')}",
            limits.target(name, column),
            " / ".join(percent(result["summary"][f"{who}_of_peak"]) for who in ("fastnn", "best_peer")),
            ", ".join(f"{peer} {ratio:.2f}" for peer, ratio in result["summary"]["by_peer"].items()),
        ]
        for key in ("default_to_best", "default_to_one"):
            ratio = result["summary"].get(key)
            cells.append(f"{ratio['min_us']:.2f} / {ratio['median_us']:.2f}" if ratio else "–")
        print(f"| {name} | {' | '.join(cells)} |")


def names(text, known, default):
    if text is None or text == "all":
        return list(known) if text else default
    chosen = text.split(",")
    for name in chosen:
        if name not in known:
            raise SystemExit(f"unknown name {name!r}; known: all, {', '.join(known)}")
    return chosen


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="peers.py", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--workloads",
        metavar="A,B",
        help=f"all, or some of {', '.join([*ROWS, *TASKS])}; without: all steps but wide",
    )
    parser.add_argument("--all", action="store_true", help="every workload, every peer, and memory")
    parser.add_argument(
        "--peers",
        metavar="A,B",
        help=f"all, or some of {', '.join(PEERS)}; without: fastnn,torch,jax",
    )
    parser.add_argument("--repeats", type=int, help="blocks of each worker (30; --quick: 5)")
    parser.add_argument("--json", metavar="FILE", help="write everything measured there")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the steps, few repeats: does it run?"
    )
    parser.add_argument(
        "--settle", type=float, default=0.02, metavar="S", help="pause before a block (0.02 s)"
    )
    parser.add_argument(
        "--busy", type=int, default=0, metavar="N", help="other processes that compute all the time"
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="[PEER=]FILE",
        help="interpreter of another environment, for all peers or for one",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None):
    options = parse(argv)
    if options.worker:
        return worker(json.loads(options.worker))
    pythons = dict.fromkeys(PEERS, sys.executable)
    for text in options.python:
        peer, _, file = text.rpartition("=")
        pythons.update({peer: file} if peer else dict.fromkeys(PEERS, file))
    if options.all:
        options.peers, options.workloads = options.peers or "all", options.workloads or "all"
    wanted = names(options.peers, PEERS, DEFAULT_PEERS)
    versions = {peer: version(pythons[peer], peer) for peer in wanted}
    peers = [peer for peer in wanted if versions[peer]]
    block, repeats = (0.1, options.repeats or 5) if options.quick else (1.0, options.repeats or 30)
    column, why = limits.machine()
    head = {
        "cpu": processor(),
        "cpus": len(cpus()),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": versions,
        "repeats": repeats,
        "block": block,
        "busy": options.busy,
        "targets": why.removeprefix("targets: "),
    }
    shown = ", ".join(f"{p} {v or 'not installed'}" for p, v in versions.items())
    print(
        f"{head['cpu']}, {head['cpus']} CPUs, Python {head['python']}; {shown}; {repeats} blocks each"
        + (f"; beside {options.busy} busy processes" if options.busy else "")
        + f"\n{why}"
    )
    with neighbours(options.busy):
        compare(options, head, peers, pythons, column)


def compare(options, head, peers, pythons, column):
    """Every workload asked for, and the tables."""
    repeats, block = head["repeats"], head["block"]
    results, tiles = {}, "fastnn" in peers and has_tiles(pythons["fastnn"])
    for name in names(options.workloads, [*ROWS, *TASKS], DEFAULT_WORKLOADS):
        w = workload(name, block)
        rows, problems, limit = measure(w, peers, pythons, repeats, block, options.settle, options.all, tiles)
        show(w, rows, problems, limit, column)
        results[name] = {"unit": w.unit, "shape": w.shape, "steps": w.steps, "flops": w.flops, "notes": problems}
        results[name] |= {"target": limits.target(name, column), "fma_peak_gflops": limit.summary()}
        results[name] |= {"rows": rows, "summary": summary(rows)}
        if options.json:  # after each workload: an interrupted run keeps what it has
            Path(options.json).write_text(json.dumps({**head, "results": results}, indent=1) + "\n")
    show_summary(results, column)
    if options.all:
        found = memory({peer: pythons[peer] for peer in peers}, environment)
        print("\nMemory of a process that trains an epoch on 60,000 images of bytes, MiB at its peak:", found)
        if options.json:
            Path(options.json).write_text(json.dumps({**head, "results": results, "memory": found}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
