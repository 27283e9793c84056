"""Random functional models, run by Keras and by fastnn from the same function.

    python tests/peers/functional_recipes.py --count 500 --seed 0

Needs Keras 3 with a back end, as `keras_recipes`, from which optimizers, targets and the comparison's limits come.

(a) A *recipe* is plain data that follows from a number: inputs, layers, and calls of layers, or of an expression such
    as "a / (b + 1.0)", on earlier values. `build` makes the model of it in the namespace it is given.
(b) Compared in float64, up to rounding: predictions, the gradients of all weights (a step of SGD with rate 1), the
    losses of 20 steps, all weights after the last one, predictions and losses of other samples.
(c) Left out, as in `keras_recipes`: what would compare the signs of rounding errors. So a batch normalisation stands
    right after an activation that is not linear, nothing is normalised over fewer than three values, and no recipe has
    Lion, or an L1 penalty with Ftrl, which leaves weights at 0, where the penalty has a kink.
"""

import sys

import keras_recipes
import numpy as np
from keras_recipes import (
    FLOAT64,
    NUDGES,
    ULP32,
    Draw,
    computing_in,
    made,
    make,
    size,
    targets_of,
)
from recipe_runs import Recipes

STEPS = 20
SMOOTH = ("tanh", "sigmoid", "softplus", "elu", "gelu", "silu", "softsign")
ACTIVATIONS = (*SMOOTH, "relu", "leaky_relu", "selu")
JOINS = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
EXPRESSIONS = ("a + b", "a - b", "a * b", "a / (b * b + 1.0)")
# loss -> (options, activation of the output, kind of targets)
LOSSES = (
    ("MeanSquaredError", {}, None, "normal"),
    ("MeanSquaredError", {}, "tanh", "normal"),
    ("MeanAbsoluteError", {}, None, "normal"),
    ("Huber", {"delta": 0.7}, None, "normal"),
    ("LogCosh", {}, None, "normal"),
    ("Poisson", {}, "softplus", "positive"),
    ("BinaryCrossentropy", {}, "sigmoid", "bits"),
    ("BinaryCrossentropy", {"from_logits": True}, None, "bits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "softmax", "one_hot"),
    ("SparseCategoricalCrossentropy", {}, "softmax", "labels"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, None, "labels"),
    ("KLDivergence", {}, "softmax", "distribution"),
)


class Network:
    """A network that grows: its values, and which of them nobody reads yet."""

    def __init__(self, d, inputs, inside=False):
        self.d, self.inside = d, inside
        self.inputs, self.layers, self.calls = inputs, {}, []
        self.shapes = [shape for _, shape, _ in inputs]
        self.unread = set(range(len(inputs)))
        self.smooth = set()  # values right after an activation that is not linear

    def put(self, layer, read, shape, name=None):
        """Call a new layer (class, arguments), a known one by its name, or an expression; the number of the result."""
        if isinstance(layer, tuple):
            name = name or f"layer{len(self.layers)}{'_inside' * self.inside}"
            self.layers[name], layer = layer, name
        self.calls.append((layer, list(read)))
        self.shapes.append(tuple(shape))
        self.unread -= set(read)
        self.unread.add(len(self.shapes) - 1)
        return len(self.shapes) - 1

    def values(self, rank):
        return [i for i, shape in enumerate(self.shapes) if len(shape) == rank and self.inputs_kind(i) != "index"]

    def inputs_kind(self, value):
        return self.inputs[value][2] if value < len(self.inputs) else None

    def pick(self, rank):
        """A value, mostly one that nobody reads yet."""
        found = self.values(rank)
        fresh = [i for i in found if i in self.unread]
        return self.d.of(*(fresh if fresh and self.d.chance(0.7) else found)) if found else None

    def plan(self, outputs):
        return {"inputs": self.inputs, "layers": self.layers, "calls": self.calls, "outputs": outputs}

    # -- one value --------------------------------------------------------------------------------------------
    def dense(self, x, units=None, linear=False):
        d, shape = self.d, self.shapes[x]
        units = units or d.of(3, 4, 6)
        activation = None if linear else d.of(None, *ACTIVATIONS)
        options = {"units": units, "use_bias": d.chance(0.8)}
        if activation:
            options["activation"] = activation
        if d.chance(0.15):
            options["kernel_regularizer"] = made("regularizers", d.of("L1", "L2"), **{})
        if d.chance(0.1):
            options["kernel_constraint"] = made("constraints", "MaxNorm", max_value=d.real(0.5, 2))
        y = self.put(("Dense", options), [x], (*shape[:-1], units))
        if activation in SMOOTH:
            self.smooth.add(y)
        return y

    def grow(self):
        """A further operation, chosen at random."""
        d = self.d
        x, s = self.pick(1), self.pick(2)
        if s is not None and (x is None or d.chance(0.45)):
            return self.sequence(s)
        kind = d.of(
            "dense", "dense", "residual", "branch", "norm", "norm", "activation", "repeat", "again", "again", "model",
            "affine", "reshape", "join", "join", "concatenate", "dot", "expression", "broadcast",
        )  # fmt: skip
        return getattr(self, kind)(x)

    def residual(self, x):
        y, (n,) = self.dense(x, self.shapes[x][0]), self.shapes[x]
        return self.put(d_of(self.d, ("Add", {}), "a + b"), [x, y], (n,))

    def branch(self, x):
        y = self.dense(x)
        return self.put(("Concatenate", {}), [x, y], (self.shapes[x][0] + self.shapes[y][0],))

    def norm(self, x):
        smooth = [v for v in sorted(self.smooth) if len(self.shapes[v]) == 1]
        if smooth and self.d.chance(0.7):
            options = {"momentum": self.d.of(0.9, 0.5), "center": self.d.chance(0.8), "scale": self.d.chance(0.8)}
            x = self.d.of(*smooth)
            return self.put(("BatchNormalization", options), [x], self.shapes[x])
        return self.put(("LayerNormalization", {}), [x], self.shapes[x]) if self.shapes[x][-1] >= 3 else self.dense(x)

    def activation(self, x):
        layer = d_of(self.d, ("Activation", {"activation": self.d.of(*ACTIVATIONS)}), ("PReLU", {}), ("LeakyReLU", {}),
                     ("Dropout", {"rate": 0.0}))  # fmt: skip
        return self.put(layer, [x], self.shapes[x])

    def repeat(self, x):
        n = self.d.of(2, 3)
        return self.put(("RepeatVector", {"n": n}), [x], (n, *self.shapes[x]))

    def again(self, x):
        """A layer or model that was called before, on another value of the same shape."""
        found = []
        for at, (layer, read) in enumerate(self.calls):
            kind = self.layers[layer][0] if layer in self.layers else None
            if len(read) == 1 and kind in ("Dense", "Model", "PReLU", "BatchNormalization"):
                shape, others = self.shapes[read[0]], range(len(self.shapes))
                if kind == "BatchNormalization":
                    others = [v for v in self.smooth if len(self.shapes[v]) == 1]
                fits = [v for v in sorted(others) if self.shapes[v] == shape and v != read[0]]
                made = self.shapes[len(self.inputs) + at]
                found += [(layer, v, made) for v in fits if self.inputs_kind(v) != "index"]
        if not found:
            return self.dense(x)
        layer, value, shape = d_of(self.d, *found)
        return self.put(layer, [value], shape)

    def model(self, x):
        """A model as a layer, of one or two inputs, called once or twice."""
        if self.inside:
            return self.dense(x)
        d, read = self.d, [x]
        same = [i for i in self.values(1) if i != x]
        if same and d.chance(0.5):
            read.append(d.of(*same))
        number = len(self.layers)
        inner = Network(d, [(f"inner{number}_{i}", self.shapes[v], "real") for i, v in enumerate(read)], inside=True)
        for _ in range(int(d.rng.integers(1, 4))):
            inner.grow()
        y = inner.head()
        y = inner.dense(y)
        made_of = inner.plan([y])
        made_of["layers"] = {f"model{number}_{name}": layer for name, layer in inner.layers.items()}
        made_of["calls"] = [(f"model{number}_{c}" if c in inner.layers else c, read) for c, read in inner.calls]
        first = self.put(("Model", made_of), read, inner.shapes[y], f"model{number}")
        if d.chance(0.4) and len(read) == 2 and self.shapes[read[0]] == self.shapes[read[1]]:
            second = self.put(f"model{number}", read[::-1], inner.shapes[y])
            return self.put(("Add", {}), [first, second], inner.shapes[y])
        return first

    def affine(self, x):
        if self.d.chance(0.3):
            options = {"scale": self.d.real(0.3, 2), "offset": self.d.real(-1, 1)}
            return self.put(("Rescaling", options), [x], self.shapes[x])
        expression = self.d.of("0.5 * a - 1.0", "1.0 - a", "-a", "a / 2.0", "2.0 / (a * a + 1.0)")
        return self.put(expression, [x], self.shapes[x])

    def reshape(self, x):
        (n,) = self.shapes[x]
        return self.put(("Reshape", {"target_shape": (2, n // 2)}), [x], (2, n // 2)) if n % 2 == 0 else self.dense(x)

    # -- several values ---------------------------------------------------------------------------------------
    def join(self, x):
        y, d = self.other(x), self.d
        name = d.of(*JOINS)
        read = [x, y]
        if name not in ("Subtract",) and d.chance(0.3):
            read.append(self.other(x))
        return self.put((name, {}), read, self.shapes[x])

    def other(self, x):
        """Another value of the shape of x."""
        found = [i for i in self.values(len(self.shapes[x])) if self.shapes[i] == self.shapes[x] and i != x]
        if found and self.d.chance(0.7):
            return self.d.of(*found)
        y = self.d.of(*[i for i in self.values(len(self.shapes[x])) if self.shapes[i][:-1] == self.shapes[x][:-1]])
        return self.dense(y, self.shapes[x][-1])

    def concatenate(self, x):
        y = self.d.of(*self.values(1))
        shape = (self.shapes[x][0] + self.shapes[y][0],)
        return self.put(("Concatenate", {"axis": self.d.of(-1, 1)}), [x, y], shape)

    def dot(self, x):
        if self.shapes[x][-1] < 3:
            return self.dense(x)
        return self.put(("Dot", {"axes": self.d.of(1, -1), "normalize": self.d.chance(0.5)}), [x, self.other(x)], (1,))

    def expression(self, x):
        return self.put(self.d.of(*EXPRESSIONS), [x, self.other(x)], self.shapes[x])

    def broadcast(self, x):
        one = self.dense(self.d.of(*self.values(1)), 1)
        return self.put(d_of(self.d, (self.d.of(*JOINS), {}), *EXPRESSIONS), [x, one], self.shapes[x])

    # -- sequences: samples of shape (steps, features) ----------------------------------------------------------
    def sequence(self, s):
        d, (steps, n) = self.d, self.shapes[s]
        kind = d.of("dense", "each", "permute", "average", "max", "flatten", "norm", "activation", "join",
                    "concatenate", "dot", "dot_vector", "reshape", "expression")  # fmt: skip
        put = self.put
        if kind in ("norm", "activation"):
            return put(("LayerNormalization", {}), [s], (steps, n)) if kind == "norm" and n >= 3 else self.activation(s)
        if kind == "each":
            inner = ("Dense", {"units": 4, "activation": "tanh"})
            if d.chance(0.5) and n >= 3:
                inner = d_of(d, ("LayerNormalization", {}), ("PReLU", {}), ("Stack", [inner, ("Dense", {"units": 4})]))
            return put(("TimeDistributed", {"layer": inner}), [s], (steps, 4 if inner[0] in ("Dense", "Stack") else n))
        if kind == "permute":
            return put(("Permute", {"dims": (2, 1)}), [s], (n, steps))
        if kind in ("average", "max"):
            keep = d.chance(0.2)
            name = {"average": "GlobalAveragePooling1D", "max": "GlobalMaxPooling1D"}[kind]
            return put((name, {"keepdims": keep}), [s], (1, n) if keep else (n,))
        if kind == "flatten":
            return put(("Flatten", {}), [s], (steps * n,))
        if kind == "reshape":
            return put(("Reshape", {"target_shape": (n, steps)}), [s], (n, steps))
        if kind == "join":
            return put((d.of(*JOINS), {}), [s, self.other(s)], (steps, n))
        if kind == "expression":
            return put(d.of(*EXPRESSIONS), [s, self.other(s)], (steps, n))
        if kind == "concatenate":
            other = self.dense(s)
            return put(("Concatenate", {}), [s, other], (steps, n + self.shapes[other][-1]))
        if kind == "dot" and n >= 3:
            fits = [i for i in self.values(2) if self.shapes[i][1] == n]
            other = d.of(*fits)
            options = {"axes": d.of(2, (2, 2), -1), "normalize": d.chance(0.4)}
            return put(("Dot", options), [s, other], (steps, self.shapes[other][0]))
        if kind == "dot_vector" and self.values(1):
            vector = self.dense(d.of(*self.values(1)), steps)
            return put(("Dot", {"axes": 1}), [s, vector], (n,))
        return self.dense(s)

    def head(self):
        """One flat value that depends on all that nobody reads yet."""
        flat = []
        for i in sorted(self.unread):
            rank = len(self.shapes[i])
            if rank == 2:
                name = self.d.of("GlobalAveragePooling1D", "GlobalMaxPooling1D", "Flatten")
                steps, n = self.shapes[i]
                i = self.put((name, {}), [i], (steps * n,) if name == "Flatten" else (n,))
            flat.append(i)
        if len(flat) == 1:
            return flat[0]
        return self.put(("Concatenate", {}), flat, (sum(self.shapes[i][0] for i in flat),))


def _inner_layers(layers):
    """Those of the models among some layers."""
    return [layer for kind, plan in layers.values() if kind == "Model" for layer in plan["layers"].values()]


def d_of(d, *items):
    """`Draw.of` for items that NumPy would make arrays of."""
    return items[int(d.rng.integers(len(items)))]


def recipe(seed, can):
    """The recipe of a number; `can`: see `recipe_runs.features`."""
    d = Draw(1000 + seed)
    inputs, tables = [], {}
    for i in range(d.of(1, 1, 2, 2, 3)):
        kind = d.of("real", "real", "steps", "index")
        shape = {"real": lambda: (d.of(3, 4, 6),), "steps": lambda: (d.of(2, 3, 5), d.of(3, 4)),
                 "index": lambda: (d.of(1, 2, 4),)}[kind]()  # fmt: skip
        inputs.append((f"input{i}", shape, "index" if kind == "index" else "real"))
    net = Network(d, inputs)
    for i, (_, shape, kind) in enumerate(inputs):
        if kind == "index":
            rows, width = d.of(5, 20), d.of(3, 4)
            options = {"input_dim": rows, "output_dim": width}
            if d.chance(0.2):
                options["embeddings_regularizer"] = made("regularizers", "L2", l2=0.01)
            if d.chance(0.2):
                options["embeddings_constraint"] = made("constraints", "UnitNorm")
            known = [name for name, (_, o) in net.layers.items() if o["input_dim"] == rows and o["output_dim"] == width]
            layer = d.of(*known) if known and d.chance(0.6) else ("Embedding", options)
            tables[i] = rows
            net.put(layer, [i], (*shape, width))
    for _ in range(int(d.rng.integers(3, 11))):
        net.grow()
    outputs, losses = [], []
    for i in range(d.of(1, 1, 2, 2, 3)):
        loss, options, activation, targets = d_of(d, *LOSSES)
        k = d.of(2, 3)
        head = {"units": k, **({"activation": activation} if activation else {})}
        steps = net.pick(2) if i and targets in ("normal", "bits") else None
        x = net.head() if i == 0 else steps if steps is not None and d.chance(0.4) else net.pick(1)
        y = net.put(("Dense", head), [x], (*net.shapes[x][:-1], k), f"out{i}")
        outputs.append(y)
        losses.append((loss, options, targets, net.shapes[y]))
    optimizer = keras_recipes._optimizer(d, can)
    while optimizer["name"] == "Lion":
        optimizer = keras_recipes._optimizer(d, can)
    for _, options in [*net.layers.values(), *_inner_layers(net.layers)]:
        if optimizer["name"] == "Ftrl" and isinstance(options, dict) and "kernel_regularizer" in options:
            options["kernel_regularizer"] = made("regularizers", "L2")
    return net.plan(outputs) | {
        "seed": seed, "losses": losses, "tables": tables, "optimizer": optimizer,
        "loss_weights": [d.real(0.1, 2) for _ in outputs] if d.chance(0.5) else None,
        "weights": d.of("no", "no", "all", "each"), "batch": int(d.rng.integers(8, 33)),
    }  # fmt: skip


# --- the one function for both ------------------------------------------------------------------------------


def layer_of(ns, name, layer, dtype):
    kind, arguments = layer
    if kind == "Model":
        return model_of(ns, arguments, dtype, name=name)
    if kind == "Stack":
        return ns.Sequential([layer_of(ns, None, part, dtype) for part in arguments])
    arguments = {k: make(ns, v) for k, v in arguments.items()}
    if kind == "TimeDistributed":
        return ns.layers.TimeDistributed(layer_of(ns, None, arguments["layer"], dtype), dtype=dtype, name=name)
    return getattr(ns.layers, kind)(dtype=dtype, name=name, **arguments)


def model_of(ns, plan, dtype, **options):
    """The model, not compiled."""
    kinds = {"index": "int32", "real": dtype}
    inputs = [ns.Input(shape, name=name, dtype=kinds[kind]) for name, shape, kind in plan["inputs"]]
    layers = {name: layer_of(ns, name, layer, dtype) for name, layer in plan["layers"].items()}
    values = list(inputs)
    for layer, read in plan["calls"]:
        given = [values[i] for i in read]
        if layer in layers:
            values.append(layers[layer](given if len(given) > 1 else given[0]))
        else:
            values.append(eval(layer, dict(zip("ab", given, strict=False))))
    outputs = [values[i] for i in plan["outputs"]]
    return ns.Model(*(v if len(v) > 1 else v[0] for v in (inputs, outputs)), **options)


def build(ns, plan, dtype, optimizer, by_name=False, **options):
    """The compiled model; by_name: losses and their weights are dicts by names of the outputs."""
    model = model_of(ns, plan, dtype)
    compile_as(ns, plan, model, optimizer, by_name, **options)
    return model


def compile_as(ns, plan, model, optimizer, by_name=False, **options):
    names = [f"out{i}" for i in range(len(plan["outputs"]))]
    losses = [getattr(ns.losses, loss)(**given) for loss, given, *_ in plan["losses"]]
    weights = plan["loss_weights"]
    if by_name:
        losses = dict(zip(names, losses, strict=True))
        weights = weights and dict(zip(names, weights, strict=True))
    elif len(names) == 1:
        losses = losses[0]
    model.compile(optimizer=make(ns, optimizer), loss=losses, loss_weights=weights, **options)


SGD = made("optimizers", "SGD", learning_rate=1.0)


def run(ns, plan, dtype, weights, data, by_name=False, **options):
    """``{what: array}``: see (b) above."""
    def given(x, y, w):
        names = [name for name, *_ in plan["inputs"]]
        if by_name:
            x = dict(zip(names, x, strict=True))
            y = {f"out{i}": a for i, a in enumerate(y)}
            w = w if w is None or isinstance(w, np.ndarray) else {f"out{i}": a for i, a in enumerate(w)}
        else:
            x, y = (a if len(a) > 1 else a[0] for a in (x, y))
            w = w[0] if isinstance(w, list) and len(w) == 1 else w
        return x, y, w

    model = build(ns, plan, dtype, SGD, by_name, **options)
    model.set_weights([w.astype(dtype) for w in weights])
    results = {}

    def predict(what, x):
        found = model.predict_on_batch(x)
        for i, y in enumerate(found if isinstance(found, list) else [found]):
            results[f"{what} of out{i}"] = y

    x, y, w = given(*data[0])
    predict("predictions", x)
    model.train_on_batch(x, y, sample_weight=w)
    for i, (before, after) in enumerate(zip(weights, model.get_weights(), strict=True)):
        results[f"gradient[{i}]"] = before - after
    model.set_weights([w.astype(dtype) for w in weights])
    compile_as(ns, plan, model, plan["optimizer"], by_name, **options)
    for step in range(STEPS):
        x, y, w = given(*data[step])
        for name, value in model.train_on_batch(x, y, sample_weight=w, return_dict=True).items():
            results[f"{name} of step {step + 1}"] = value
    for i, w in enumerate(model.get_weights()):
        results[f"weights[{i}]"] = w
    x, y, _ = given(*data[-1])
    predict("later predictions", x)
    for name, value in model.test_on_batch(x, y, return_dict=True).items():
        results[f"{name} of the test"] = value
    return {k: np.asarray(v, np.float64) for k, v in results.items()}


def data_of(plan):
    rng = np.random.default_rng([32, plan["seed"]])
    n, batches = plan["batch"], []
    for _ in range(STEPS + 1):
        x = [
            rng.integers(0, plan["tables"][i], (n, *shape)) if kind == "index" else rng.normal(size=(n, *shape))
            for i, (_, shape, kind) in enumerate(plan["inputs"])
        ]  # fmt: skip
        y = []
        for _, _, targets, (*steps, k) in plan["losses"]:
            found = targets_of(targets, n * int(np.prod(steps)), k, rng)
            y.append(found.reshape(n, *steps, k) if steps else found)
        weights = [rng.uniform(0.1, 2, n) for _ in y]
        batches.append((x, y, {"no": None, "all": weights[0], "each": weights}[plan["weights"]]))
    return batches


def weights_of(plan, variables):
    return keras_recipes.weights_of({"seed": 5000 + plan["seed"]}, variables)


def run_keras(keras, plan, data, weights=None):
    """(results, weights) of Keras, all of it in float64."""
    with computing_in(keras, "float64"):
        if weights is None:
            weights = weights_of(plan, build(keras, plan, "float64", SGD).weights)
        lists = [(x, y, None if w is None else _weights_of_keras(y, w)) for x, y, w in data]
        eager = keras.backend.backend() == "torch"
        return run(keras, plan, "float64", weights, lists, run_eagerly=eager, jit_compile=not eager), weights


def _weights_of_keras(y, weights):
    """An array for each output, with an axis more where there is a loss for each step."""
    each = weights if isinstance(weights, list) else [weights] * len(y)
    return [w[:, None] if a.ndim == 3 else w for a, w in zip(y, each, strict=True)]


def compare(keras, fastnn, plan, ours_only=None):
    """A list of what differs, empty if nothing does; `ours_only`: another recipe for fastnn, to see that it counts."""
    data = data_of(plan)
    truth, weights = run_keras(keras, plan, data)
    plan = ours_only or plan
    by_name = plan["seed"] % 2 == 1
    ours = run(fastnn, plan, "float64", weights, data, by_name, seed=0)
    moved, rng = dict.fromkeys(ours, 0.0), np.random.default_rng([33, plan["seed"]])

    def nudge(a):
        return a if a.dtype.kind == "i" else a * (1 + ULP32 * rng.choice([-1.0, 1.0], a.shape))

    for _ in range(NUDGES):
        other = [([nudge(a) for a in x], y, w) for x, y, w in data]
        found = run(fastnn, plan, "float64", [nudge(w.astype(np.float64)) for w in weights], other, by_name, seed=0)
        for k, v in found.items():
            moved[k] = max(moved[k], size(v - ours[k]))
    if set(truth) != set(ours):
        return [f"expected {sorted(set(truth) - set(ours))} too, got {sorted(set(ours) - set(truth))}"]
    if not all(np.isfinite(v).all() for v in truth.values()):
        compare.not_finite.append(plan["seed"])
    faults = []
    for k, right in truth.items():
        if not np.isfinite(right).all():
            continue
        if ours[k].shape != right.shape:
            faults.append(f"{k}: shape {ours[k].shape}, Keras' {right.shape}")
            continue
        scale, off = size(right), size(ours[k] - right)
        limit = 1e-5 * (moved[k] + 4 * ULP32 * scale) + FLOAT64 * max(scale, 1.0)
        if not off <= limit:
            faults.append(f"{k}: off by {off:.2g}, allowed {limit:.2g}, of at most {scale:.3g}")
    return faults


compare.not_finite = []


def contents(plan):
    """What the recipe has in it: classes of layers, "shared", "operators", and so on."""
    found = {kind for kind, _ in plan["layers"].values()}
    used = [layer for layer, _ in plan["calls"] if layer in plan["layers"]]
    found |= {"shared"} if len(set(used)) < len(used) else set()
    found |= {"operators"} if any(layer not in plan["layers"] for layer, _ in plan["calls"]) else set()
    found |= {f"{len(plan['inputs'])} inputs", f"{len(plan['outputs'])} outputs"}
    for kind, arguments in plan["layers"].values():
        if kind == "Model":
            found |= contents({**arguments, "outputs": []}) - {"1 inputs", "0 outputs", "2 inputs"}
    return found


def describe(plan):
    lines = [f"  inputs {plan['inputs']}, batch {plan['batch']}, weights {plan['weights']}"]
    number = len(plan["inputs"])
    for layer, read in plan["calls"]:
        what = plan["layers"].get(layer, "")
        lines.append(f"  {number} = {layer}{what} of {read}")
        number += 1
    lines.append(f"  outputs {plan['outputs']}: {plan['losses']}, times {plan['loss_weights']}")
    return "\n".join([*lines, f"  {plan['optimizer']}"])


RECIPES = Recipes("functional_recipes.py", "functional recipes", recipe, compare, describe)

if __name__ == "__main__":
    sys.exit(RECIPES.main(contents=contents))
