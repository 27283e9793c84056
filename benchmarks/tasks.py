"""Whole tasks beside the peers, for `peers.py`: epochs, a whole training, single rows, sweeps, memory.

A task has a unit (an epoch, a row, a network), how many of them a block does, and a function for each peer that
builds all that is needed and returns the block. What the block returns is shown: a loss or an accuracy, so that it can
be seen that all do the same.
"""

import os
import subprocess
import sys


def fashion_mnist():
    """((x, y), (x_test, y_test)): float32 (n, 784) from 0 to 1, int64 labels."""
    import numpy as np

    fastnn = the_fastnn()
    pairs = fastnn.datasets.fashion_mnist.load_data()
    return [(x.reshape(-1, 784).astype(np.float32) / 255, y.astype(np.int64)) for x, y in pairs]


def the_fastnn():
    try:
        import fastnn
    except ImportError:  # built in place, not installed
        sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        import fastnn
    return fastnn


# --- an epoch of fit, and the headline --------------------------------------------------------------------------------


def epoch_of_keras(api, config):
    """One epoch of 784-300-100-10, batch 32, with accuracy and validation: what users call."""

    (x, y), (xt, yt) = fashion_mnist()
    layers = [api.layers.Input((784,)), api.layers.Dense(300, "relu"), api.layers.Dense(100, "relu")]
    model = api.Sequential([*layers, api.layers.Dense(10, "softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def run():
        history = model.fit(x, y, batch_size=32, epochs=1, validation_data=(xt, yt), verbose=0).history
        return history["val_accuracy"][-1]

    return run


def epoch_of_sklearn(config):
    import warnings

    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    (x, y), (xt, yt) = fashion_mnist()
    model = MLPClassifier(hidden_layer_sizes=(300, 100), alpha=0.0, batch_size=32, max_iter=1, warm_start=True)

    def run():
        model.fit(x, y)
        return model.score(xt, yt)

    return run


EPOCHS, BATCH, PEAK = 6, 128, 5e-3  # of the headline


def headline_of(api, rate_of):
    """The same lines for fastnn and Keras; `rate_of` makes the schedule of so many steps."""
    (x, y), (xt, yt) = fashion_mnist()
    steps = -(-len(x) // BATCH) * EPOCHS

    def run():
        model = api.Sequential([api.layers.Input((784,))])
        for units in (300, 100):
            model.add(api.layers.Dense(units, kernel_initializer="he_normal", use_bias=False))
            model.add(api.layers.BatchNormalization())
            model.add(api.layers.Activation("relu"))
        model.add(api.layers.Dense(10, "softmax"))
        adam = api.optimizers.Adam(rate_of(steps))
        model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return model.evaluate(xt, yt, verbose=0)[1]

    return run


def headline_of_fastnn(config):
    api = the_fastnn()
    return headline_of(api, lambda steps: api.optimizers.schedules.OneCycle(PEAK, steps))


def headline_of_keras(config):
    """Keras has no one-cycle: a linear warm-up and a cosine."""
    import keras

    def rate(steps):
        warm_up = {"warmup_target": PEAK, "warmup_steps": int(0.3 * steps)}
        return keras.optimizers.schedules.CosineDecay(PEAK / 25, int(0.7 * steps), **warm_up)

    return headline_of(keras, rate)


def headline_of_torch(config):
    import torch
    from torch import nn

    torch.set_num_threads(config["threads"])
    (x, y), (xt, yt) = (map(torch.from_numpy, pair) for pair in fashion_mnist())
    steps = -(-len(x) // BATCH) * EPOCHS

    def run():
        hidden = []
        for i, o in ((784, 300), (300, 100)):
            linear = nn.Linear(i, o, bias=False)
            nn.init.kaiming_normal_(linear.weight)
            hidden += [linear, nn.BatchNorm1d(o), nn.ReLU()]
        model = nn.Sequential(*hidden, nn.Linear(100, 10))
        adam = torch.optim.Adam(model.parameters(), fused=True)
        rates = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK, total_steps=steps, cycle_momentum=False)
        criterion = nn.CrossEntropyLoss()
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x)).split(BATCH):
                adam.zero_grad(set_to_none=True)
                criterion(model(x[rows]), y[rows]).backward()
                adam.step()
                rates.step()
        model.eval()
        with torch.no_grad():
            return (model(xt).argmax(1) == yt).float().mean().item()

    return run


# --- single rows ------------------------------------------------------------------------------------------------------

CALLS = 1000


def row_net(api):
    layers = [api.layers.Input((20,)), api.layers.Dense(64, "tanh"), api.layers.Dense(64, "tanh"), api.layers.Dense(4)]
    model = api.Sequential(layers)
    model.compile("adam", "mse")
    return model


def train_row_of_fastnn(config):
    import numpy as np

    model, x, y = row_net(the_fastnn()), np.ones((1, 20), np.float32), np.ones((1, 4), np.float32)

    def run():
        for _ in range(CALLS):
            model.train_on_batch(x, y)

    return run


def predict_row_of_fastnn(config):
    import numpy as np

    model, x = row_net(the_fastnn()), np.ones((1, 20), np.float32)

    def run():
        for _ in range(CALLS):
            model.predict_on_batch(x)

    return run


def torch_net(config):
    import torch
    from torch import nn

    torch.set_num_threads(config["threads"])
    net = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4))
    return torch, nn, net


def train_row_of_torch(config):
    torch, nn, net = torch_net(config)
    adam, mse = torch.optim.Adam(net.parameters(), fused=True), nn.MSELoss()
    x, y = torch.ones(1, 20), torch.ones(1, 4)

    def run():
        for _ in range(CALLS):
            adam.zero_grad(set_to_none=True)
            mse(net(x), y).backward()
            adam.step()

    return run


def predict_row_of_torch(config):
    torch, _, net = torch_net(config)
    x = torch.ones(1, 20)

    def run():
        with torch.inference_mode():
            for _ in range(CALLS):
                net(x)

    return run


# --- sweeps: networks 10-64-64-1, 1000 samples, batch 32, Adam, mse; each its own seed and rate ----------------------

SWEEP_EPOCHS = 20


def sweep_data():
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 10), dtype=np.float32)
    return x, np.sin(x[:, :1]) + 0.5 * x[:, 1:2]


def rates(n):
    import numpy as np

    return [float(r) for r in np.geomspace(1e-4, 1e-2, n)]


def sweep_of_fastnn(config, n):
    fastnn = the_fastnn()
    x, y = sweep_data()

    def build(rate):
        layers = [fastnn.layers.Dense(64, "relu", input_shape=(10,)), fastnn.layers.Dense(64, "relu")]
        model = fastnn.Sequential([*layers, fastnn.layers.Dense(1)])
        model.compile(fastnn.Adam(rate), "mse")
        return model

    def run():
        grid = [{"rate": r} for r in rates(n)]
        workers = config["threads"] or None
        result = fastnn.sweep(build, grid, x, y, epochs=SWEEP_EPOCHS, batch_size=32, workers=workers, verbose=0)
        return result.best["loss"]

    return run


def one_of_sklearn(rate, x, y):
    import warnings

    from sklearn.neural_network import MLPRegressor

    warnings.simplefilter("ignore")
    return MLPRegressor(
        hidden_layer_sizes=(64, 64), alpha=0.0, batch_size=32, learning_rate_init=rate, max_iter=SWEEP_EPOCHS,
        n_iter_no_change=10**6,
    ).fit(x, y).loss_  # fmt: skip


def sweep_of_sklearn(config, n):
    from joblib import Parallel, delayed

    x, y = sweep_data()
    y = y.ravel()
    pool = Parallel(n_jobs=config["threads"])  # workers have one BLAS thread each: joblib's rule for them

    def run():  # its loss is half of ours
        return 2 * min(pool(delayed(one_of_sklearn)(r, x, y) for r in rates(n)))

    return run


def sweep_of_jax(config, n):
    """All networks in one `vmap`, all steps in one `scan`, one shuffled order for all."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    x, y = sweep_data()
    sizes = [10, 64, 64, 1]

    def init(key):
        keys = jax.random.split(key, 3)
        pairs = zip(keys, sizes, sizes[1:], strict=False)
        return [(jax.random.normal(k, (i, o)) * (2 / (i + o)) ** 0.5, jnp.zeros(o)) for k, i, o in pairs]

    def loss(params, xb, yb):
        for w, b in params[:-1]:
            xb = jax.nn.relu(xb @ w + b)
        return jnp.mean((xb @ params[-1][0] + params[-1][1] - yb) ** 2)

    def train(key, rate, batches):
        params = init(key)
        zeros = jax.tree.map(jnp.zeros_like, params)

        def step(carry, batch):
            params, m, v, t = carry
            value, g = jax.value_and_grad(loss)(params, *batch)
            t = t + 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            size = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            params = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) + 1e-7), params, m, v)
            return (params, m, v, t), value

        (_, _, _, _), losses = lax.scan(step, (params, zeros, zeros, jnp.float32(0)), batches)
        return losses[-31:].mean()

    xb = jnp.asarray(x[:992].reshape(31, 32, 10))  # without the short last batch
    yb = jnp.asarray(y[:992].reshape(31, 32, 1))
    batches = (jnp.tile(xb, (SWEEP_EPOCHS, 1, 1)), jnp.tile(yb, (SWEEP_EPOCHS, 1, 1)))
    block = jax.jit(jax.vmap(train, in_axes=(0, 0, None)))
    keys, each = jax.random.split(jax.random.key(0), n), jnp.asarray(rates(n))

    def run():
        return float(jnp.nanmin(jax.block_until_ready(block(keys, each, batches))))

    return run


# --- the list ---------------------------------------------------------------------------------------------------------


class Task:
    """One row of the table of tasks."""

    loss = flops = None

    def __init__(self, name, shape, unit, units, peers):
        self.name, self.shape, self.unit, self.steps, self.peers = name, shape, unit, units, peers

    def can(self, peer):
        return peer in self.peers

    def make(self, peer, config):
        return self.peers[peer](config)


def _sweep(name, n, peers):
    made = {"fastnn": sweep_of_fastnn, "sklearn": sweep_of_sklearn, "jax": sweep_of_jax}
    chosen = {p: (lambda config, p=p: made[p](config, n)) for p in peers}
    return Task(name, f"a network 10-64-64-1 of a sweep of {n:,}", "network", n, chosen)


def keras_epoch(config):
    import keras

    return epoch_of_keras(keras, config)


TASKS = {
    task.name: task
    for task in (
        Task("epoch", "784-300-100-10 relu, `fit`, Fashion-MNIST, batch 32, validation", "epoch", 1, {
            "fastnn": lambda config: epoch_of_keras(the_fastnn(), config), "keras": keras_epoch,
            "sklearn": epoch_of_sklearn}),
        Task("headline", "784-300-BN-100-BN-10 relu, batch 128, one-cycle, 6 epochs to 0.90", "training", 1, {
            "fastnn": headline_of_fastnn, "torch": headline_of_torch, "keras": headline_of_keras}),
        Task("train-row", "20-64-64-4 tanh, `train_on_batch` of one row", "row", CALLS, {
            "fastnn": train_row_of_fastnn, "torch": train_row_of_torch}),
        Task("predict-row", "20-64-64-4 tanh, `predict_on_batch` of one row", "row", CALLS, {
            "fastnn": predict_row_of_fastnn, "torch": predict_row_of_torch}),
        _sweep("sweep", 40, ("fastnn", "sklearn")),
        _sweep("sweep1000", 1000, ("fastnn", "jax")),
    )
}  # fmt: skip


# --- memory: one process each, no interleaving needed -----------------------------------------------------------------

FIT = """
import resource, sys, numpy as np
rng = np.random.default_rng(0)
x, y = rng.integers(0, 256, (60000, 28, 28), np.uint8), rng.integers(0, 10, 60000)
if sys.argv[1] == "torch":
    import torch
    from torch import nn
    x, y = torch.from_numpy(x.reshape(-1, 784)), torch.from_numpy(y)
    net = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    adam, ce = torch.optim.Adam(net.parameters(), fused=True), nn.CrossEntropyLoss()
    for rows in torch.randperm(60000).split(32):
        adam.zero_grad(set_to_none=True)
        ce(net(x[rows].float() / 255), y[rows]).backward()
        adam.step()
elif sys.argv[1] == "sklearn":
    from sklearn.neural_network import MLPClassifier
    MLPClassifier(hidden_layer_sizes=(300, 100), batch_size=32, max_iter=1).fit(x.reshape(-1, 784) / np.float32(255), y)
else:
    if sys.argv[1] == "keras":
        import keras as api
    else:
        try:
            import fastnn as api
        except ImportError:
            sys.path.append(sys.argv[2])
            import fastnn as api
    layers = [api.layers.Input((28, 28)), api.layers.Rescaling(1 / 255), api.layers.Flatten(),
              api.layers.Dense(300, "relu"), api.layers.Dense(100, "relu"), api.layers.Dense(10, "softmax")]
    model = api.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def memory(pythons, environment):
    """{peer: MiB} at the peak of a process that makes 60,000 images of bytes and trains an epoch on them."""
    root, found = os.path.dirname(os.path.dirname(os.path.abspath(__file__))), {}
    for peer, python in pythons.items():
        if peer in ("jax", "numpy"):
            continue
        command = [python, "-P", "-c", FIT, peer, root]
        env = environment(peer, {"threads": 0})
        answer = subprocess.run(command, capture_output=True, text=True, env=env)
        found[peer] = float(answer.stdout.split()[-1]) if answer.returncode == 0 else None
    return found
