"""Random models, losses, optimizers and data, run by Keras and by fastnn from the same function.

    python tests/peers/keras_recipes.py --count 500 --seed 0

Needs Keras 3 with a back end (KERAS_BACKEND; jax if nothing is said) and fastnn in one environment.

(a) A *recipe* is plain data that follows from a number. `run` builds its model in the namespace it is given, `keras`
    or `fastnn`, sets the same weights and takes 8 steps on the same batches. What is compared: the loss of each step,
    all weights after the last one, predictions and the loss of other samples.
(b) Truth is Keras in float64. fastnn in float64 must give the same up to rounding: this is where a misplaced epsilon
    shows.
(c) fastnn in float32 must be as near to that truth as float32 can be asked to: ALLOWED times the sum of how far Keras
    in float32 is from it, and how far the float64 result moves if weights and inputs are moved by a unit of float32's
    last place; the latter is what rounding does to any implementation of this recipe. Both count together, as the
    luck of one array, often of one or two numbers, says little.
(d) Left out, because the sign or scale of rounding errors would be compared: batch normalisation of one sample; a
    constant that goes into it, whose gradient is 0, be it a bias right before or linear layers further up; with Lion,
    which takes the sign, batch normalisation as a whole. And kinks: at 0 the back ends of Keras have different slopes
    for one and the same activation (LeakyReLU: 1 with JAX, the lower slope with PyTorch), so biases are not 0.
(e) Where Keras arrives at NaN or infinity nothing is compared; the end of the output says for how many recipes.
"""

import sys
from contextlib import contextmanager

import numpy as np
from recipe_runs import Recipes

STEPS = 8
ALLOWED = 8.0
ULP32 = 2.0**-23
NUDGES = 4  # runs with moved weights and inputs
FLOAT64 = 1e-8  # Keras has constants and rates in float32 whatever is asked for

# Activations that both have under the same name without further arguments; the rest needs arguments or a domain.
ACTIVATIONS = ["linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "tanh",
               "sigmoid", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "hard_shrink", "soft_shrink",
               "tanh_shrink", "softplus", "softsign", "squareplus", "sparse_plus", "log_sigmoid", "exponential",
               "softmax", "log_softmax"]  # fmt: skip
INNER = [a for a in ACTIVATIONS if a not in ("linear", "exponential", "log_softmax")]

# loss -> (kinds of output, kind of targets)
LOSSES = {
    "MeanSquaredError": (["linear", "tanh", "sigmoid"], "normal"),
    "MeanAbsoluteError": (["linear", "elu"], "normal"),
    "MeanAbsolutePercentageError": (["linear"], "normal"),
    "MeanSquaredLogarithmicError": (["softplus", "relu", "exponential"], "positive"),
    "Huber": (["linear"], "normal"),
    "LogCosh": (["linear", "softsign"], "normal"),
    "CosineSimilarity": (["linear", "tanh"], "normal"),
    "KLDivergence": (["softmax", "sigmoid"], "distribution"),
    "Poisson": (["softplus", "exponential"], "positive"),
    "Hinge": (["linear", "tanh"], "sign"),
    "SquaredHinge": (["linear"], "sign"),
    "CategoricalHinge": (["linear", "sigmoid"], "one_hot"),
    "BinaryCrossentropy": (["sigmoid", "logits"], "bits"),
    "BinaryFocalCrossentropy": (["sigmoid", "logits"], "bits"),
    "CategoricalCrossentropy": (["softmax", "logits"], "one_hot"),
    "SparseCategoricalCrossentropy": (["softmax", "logits"], "labels"),
}
BY_CLASS = ("one_hot", "labels")


class Draw:
    """Choices of one recipe."""

    def __init__(self, seed):
        self.rng = np.random.default_rng([20, seed])

    def chance(self, p):
        return bool(self.rng.random() < p)

    def of(self, *items):
        return items[self.rng.integers(len(items))]

    def real(self, low, high):
        return round(float(self.rng.uniform(low, high)), 3)

    def rate(self, low, high):
        """Evenly in its logarithm."""
        return float(f"{10 ** self.rng.uniform(np.log10(low), np.log10(high)):.3g}")


def made(place, name, **arguments):
    """An object for an argument: ``namespace.place.name(**arguments)``."""
    return {"of": place, "name": name, "arguments": arguments}


def recipe(seed, can=frozenset()):
    """The recipe of a number; `can`: features beyond the oldest (see `features`)."""
    d = Draw(seed)
    loss = d.of(*LOSSES)
    outputs, targets = LOSSES[loss]
    output = d.of(*outputs)
    classes = d.of(2, 3, 5)
    shape = d.of((4,), (7,), (13,), (2, 3))
    batch = int(d.rng.integers(1, 33))
    optimizer = _optimizer(d, can)
    layers = [*_entrance(d, shape), *(x for _ in range(int(d.rng.integers(0, 4))) for x in _block(d, can))]
    if output not in ("linear", "logits"):
        out = [("Dense", {"units": classes, "activation": output})]
        if d.chance(0.3):
            out = [("Dense", {"units": classes}), ("Activation", {"activation": output})]
    else:
        out = [("Dense", {"units": classes, "use_bias": d.chance(0.8)})]
    layers += out
    if optimizer["name"] == "Lion":
        layers = [layer for layer in layers if layer[0] != "BatchNormalization"]
    layers = _without_constants(layers)
    options = {"reduction": d.of(*["sum_over_batch_size"] * 5, "sum", "mean", "mean_with_sample_weight")}
    if output == "logits":
        options["from_logits"] = True
    if loss in ("CategoricalCrossentropy", "BinaryCrossentropy", "BinaryFocalCrossentropy") and d.chance(0.4):
        options["label_smoothing"] = d.real(0.01, 0.3)
    if loss == "BinaryFocalCrossentropy":
        options |= {"gamma": d.of(2.0, 1.0, 1.5), "apply_class_balancing": d.chance(0.5), "alpha": d.real(0.1, 0.9)}
    if loss == "SparseCategoricalCrossentropy" and classes > 2 and d.chance(0.2):
        options["ignore_class"] = 1
    if loss == "Huber":
        options["delta"] = d.of(1.0, 0.3)
    weights = d.of("no", "no", "sample", "class" if targets in BY_CLASS else "sample")
    if any(name == "BatchNormalization" for name, _ in layers):
        batch = max(batch, 2)
    last = batch if d.chance(0.6) else max(1 + (batch > 1), batch // 2)
    return {
        "seed": seed, "shape": shape, "classes": classes, "layers": layers, "loss": (loss, options),
        "targets": targets, "optimizer": optimizer, "weights": weights, "batch": batch, "last": last,
        "zeros": d.chance(0.25),
    }  # fmt: skip


STRAIGHT = ("Dropout", "GaussianDropout", "AlphaDropout", "GaussianNoise", "ActivityRegularization", "Rescaling",
            "Reshape", "Flatten")  # fmt: skip


def _without_constants(layers):
    """`layers` without the biases and centers that a batch normalisation further on subtracts again: (d) above."""
    found, vanishes = [], False
    for name, options in reversed(layers):
        if name == "Dense" and options.get("activation", "linear") != "linear":
            vanishes = False
        elif name == "Dense" and vanishes:
            options = {**options, "use_bias": False}
        elif name.endswith("Normalization") and name != "Normalization":
            options = {**options, "center": False} if vanishes else options
            vanishes = name == "BatchNormalization"
        elif name not in ("Dense", "Normalization", *STRAIGHT):
            vanishes = False
        found.append((name, options))
    return found[::-1]


def _entrance(d, shape):
    found = []
    if d.chance(0.2):
        found.append(("Rescaling", {"scale": d.real(0.3, 2), "offset": d.real(-0.5, 0.5)}))
    if len(shape) > 1:
        found += _grouped(d)
        found.append(("Flatten", {}))
    if d.chance(0.15):
        found.append(("Normalization", {"mean": d.real(-1, 1), "variance": d.real(0.5, 2)}))
    if d.chance(0.15):
        found.append(d.of(("PReLU", {}), ("LeakyReLU", {}), ("BatchNormalization", {}), ("LayerNormalization", {})))
    return found


def _grouped(d):
    """Layers for samples of shape (groups, features)."""
    return [d.of(("LayerNormalization", {}), ("PReLU", {"shared_axes": [1]}), ("PReLU", {"shared_axes": [2]}),
                 ("Softmax", {}), ("PReLU", {}), ("Rescaling", {"scale": 0.7}))]  # fmt: skip


def _norm(d):
    if d.chance(0.6):
        options = {"momentum": d.of(0.99, 0.9, 0.5), "epsilon": d.of(1e-3, 1e-5)}
        return ("BatchNormalization", options | {"center": d.chance(0.8), "scale": d.chance(0.8)})
    options = {"epsilon": d.of(1e-3, 1e-6), "center": d.chance(0.8), "scale": d.chance(0.8)}
    return ("LayerNormalization", options)


def _activation(d):
    """(argument of Dense or None, layers)."""
    kind = d.of("argument", "argument", "layer", "advanced")
    if kind == "argument":
        return d.of(*INNER), []
    if kind == "layer":
        return None, [("Activation", {"activation": d.of(*INNER)})]
    return None, [d.of(
        ("PReLU", {}), ("PReLU", {"shared_axes": [1]}), ("LeakyReLU", {}), ("LeakyReLU", {"negative_slope": 0.05}),
        ("ELU", {}), ("ELU", {"alpha": 0.6}), ("ReLU", {}),
        ("ReLU", {"max_value": 1.2, "negative_slope": 0.1, "threshold": 0.2}), ("Softmax", {}),
    )]  # fmt: skip


def _block(d, can):
    units = d.of(4, 6, 16, 17)
    activation, after = _activation(d)
    dense = {"units": units, "use_bias": d.chance(0.85)}
    place = d.of("no", "no", "before", "after")
    if place == "before":
        norm = _norm(d)
        after = after or ([("Activation", {"activation": activation})] if activation else [])
        found = [("Dense", dense), norm, *after]
    else:
        found = [("Dense", dense | ({"activation": activation} if activation else {})), *after]
        if place == "after":
            norm = _norm(d)
            found.append(norm)
    if "regularizers" in can and d.chance(0.3):
        l1, l2 = d.rate(1e-4, 1e-2), d.rate(1e-4, 1e-1)
        rule = d.of(made("regularizers", "L1", l1=l1), made("regularizers", "L2", l2=l2),
                    made("regularizers", "L1L2", l1=l1, l2=l2))  # fmt: skip
        found[0][1][d.of("kernel_regularizer", "kernel_regularizer", "bias_regularizer")] = rule
    if "constraints" in can and d.chance(0.25):
        rule = d.of(made("constraints", "MaxNorm", max_value=d.real(0.5, 2)), made("constraints", "NonNeg"),
                    made("constraints", "UnitNorm"),
                    made("constraints", "MinMaxNorm", min_value=0.5, max_value=1.5, rate=d.of(1.0, 0.5)))  # fmt: skip
        found[0][1]["kernel_constraint"] = rule
    if d.chance(0.2):
        found.append((d.of("Dropout", "GaussianDropout", "AlphaDropout"), {"rate": 0.0}))
    if d.chance(0.1):
        found.append(("GaussianNoise", {"stddev": 0.0}))
    if d.chance(0.15):
        found.append(("ActivityRegularization", {"l1": d.of(0.0, 0.01), "l2": d.of(0.0, 0.02)}))
    if units % 2 == 0 and d.chance(0.2):
        found += [("Reshape", {"target_shape": (2, units // 2)}), *_grouped(d), ("Flatten", {})]
    return found


def _schedule(d, rate, can):
    schedules = (
        made("optimizers.schedules", "ExponentialDecay", initial_learning_rate=rate, decay_steps=d.of(3, 5),
             decay_rate=d.real(0.3, 0.9), staircase=d.chance(0.5)),
        made("optimizers.schedules", "PiecewiseConstantDecay", boundaries=[2, 5], values=[rate, rate / 2, rate / 8]),
        made("optimizers.schedules", "PolynomialDecay", initial_learning_rate=rate, decay_steps=6,
             end_learning_rate=rate / 20, power=d.of(1.0, 2.0), cycle=d.chance(0.3)),
        made("optimizers.schedules", "InverseTimeDecay", initial_learning_rate=rate, decay_steps=2,
             decay_rate=d.real(0.3, 2), staircase=d.chance(0.5)),
        made("optimizers.schedules", "CosineDecay", initial_learning_rate=rate, decay_steps=6, alpha=0.1),
        made("optimizers.schedules", "CosineDecay", initial_learning_rate=rate / 10, decay_steps=4,
             warmup_target=rate, warmup_steps=3),
        made("optimizers.schedules", "CosineDecayRestarts", initial_learning_rate=rate, first_decay_steps=3,
             t_mul=d.of(1.0, 2.0), m_mul=d.of(1.0, 0.5)),
    )  # fmt: skip
    return d.of(*(s for s in schedules if s["name"] in can))


def _optimizer(d, can):
    name = d.of("SGD", "SGD", "Adam", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "Lion",
                "Ftrl")  # fmt: skip
    name = "Adam" if "weight_decay" not in can and name == "AdamW" else name
    options = {}
    if name == "SGD" and d.chance(0.7):
        options = {"momentum": d.of(0.9, 0.5), "nesterov": d.chance(0.5)}
    elif name in ("Adam", "AdamW"):
        options = {"amsgrad": d.chance(0.3), "beta_1": d.of(0.9, 0.8), "epsilon": d.of(1e-7, 1e-3)}
        if name == "AdamW":
            options["weight_decay"] = d.of(0.004, 0.1)
    elif name == "RMSprop":
        options = {"momentum": d.of(0.0, 0.9), "centered": d.chance(0.5), "rho": d.of(0.9, 0.7)}
    elif name == "Ftrl":
        options = {"l1_regularization_strength": d.of(0.0, 0.01), "l2_regularization_strength": d.of(0.0, 0.01),
                   "l2_shrinkage_regularization_strength": d.of(0.0, 0.01), "beta": d.of(0.0, 0.5)}  # fmt: skip
    rate = d.rate(0.1, 2) if name in ("Adadelta",) else d.rate(3e-4, 3e-3) if name == "Lion" else d.rate(1e-3, 5e-2)
    options["learning_rate"] = _schedule(d, rate, can) if d.chance(0.35) else rate
    clip = d.of("", "", "clipvalue", "clipnorm", "global_clipnorm")
    if clip:
        options[clip] = d.rate(1e-3, 1) if clip == "clipvalue" else d.rate(1e-2, 3)
    if "weight_decay" in can and name != "AdamW" and d.chance(0.2):
        options["weight_decay"] = d.rate(1e-3, 0.2)
    if "use_ema" in can and d.chance(0.15):
        options |= {"use_ema": True, "ema_momentum": d.real(0.5, 0.99)}
        options |= {"ema_overwrite_frequency": 3} if d.chance(0.6) else {}
    if "gradient_accumulation_steps" in can and d.chance(0.15):
        options["gradient_accumulation_steps"] = d.of(2, 3)
    return made("optimizers", name, **options)


# --- the one function for both ------------------------------------------------------------------------------


def make(ns, thing):
    """The object in namespace `ns` that `made` described; other things as they are."""
    if not isinstance(thing, dict) or "of" not in thing:
        return thing
    place = ns
    for part in thing["of"].split("."):
        place = getattr(place, part)
    return getattr(place, thing["name"])(**{k: make(ns, v) for k, v in thing["arguments"].items()})


def build(ns, recipe, dtype, **compile_options):
    """The compiled model."""
    parts = []
    for name, arguments in recipe["layers"]:
        arguments = {k: make(ns, v) for k, v in arguments.items()}
        if not parts:
            arguments["input_shape"] = recipe["shape"]
        parts.append(getattr(ns.layers, name)(dtype=dtype, **arguments))
    model = ns.Sequential(parts)
    name, options = recipe["loss"]
    loss = getattr(ns.losses, name)(**options)
    model.compile(optimizer=make(ns, recipe["optimizer"]), loss=loss, **compile_options)
    return model


def run(ns, recipe, dtype, weights, data, **compile_options):
    """``{what: array}`` after the recipe's steps."""
    model = build(ns, recipe, dtype, **compile_options)
    model.set_weights([w.astype(dtype) for w in weights])
    results = {}
    for i, (x, y, options) in enumerate(data["batches"]):
        results[f"loss of step {i + 1}"] = model.train_on_batch(x.astype(dtype), y, **options)
    for i, w in enumerate(model.get_weights()):
        results[f"weights[{i}]"] = w
    x, y, _ = data["test"]
    results["predictions"] = model.predict_on_batch(x.astype(dtype))
    results["loss of the test"] = model.test_on_batch(x.astype(dtype), y)
    return {k: np.asarray(v, np.float64) for k, v in results.items()}


# --- weights and data ---------------------------------------------------------------------------------------


def weights_of(recipe, variables):
    """Values, exact in float32, for variables with a name and a shape."""
    rng = np.random.default_rng([21, recipe["seed"]])
    found = []
    for v in variables:
        name, shape = v.name.split("/")[-1], tuple(v.shape)
        value = rng.normal(size=shape)
        if "kernel" in name:
            value *= 1.4 / np.sqrt(shape[0])
        elif name in ("gamma", "moving_variance", "variance"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value *= 0.2
        found.append(value.astype(np.float32))
    return found


def data_of(recipe):
    rng = np.random.default_rng([22, recipe["seed"]])
    sizes = [recipe["batch"]] * (STEPS - 1) + [recipe["last"]]
    by_class = {k: round(float(rng.uniform(0.3, 2)), 2) for k in range(recipe["classes"])}
    batches = []
    for n in [*sizes, 9]:
        x = rng.normal(size=(n, *recipe["shape"])).astype(np.float32)
        if recipe["zeros"]:
            x[rng.random(n) < 0.3] = 0
            x[rng.random(x.shape) < 0.1] = 0
        options = {}
        if recipe["weights"] == "sample":
            options["sample_weight"] = rng.uniform(0.1, 2, n).astype(np.float32)
            options["sample_weight"][rng.random(n) < 0.1] = 0
        elif recipe["weights"] == "class":
            options["class_weight"] = by_class
        batches.append((x, targets_of(recipe["targets"], n, recipe["classes"], rng), options))
    return {"batches": batches[:-1], "test": batches[-1]}


def targets_of(kind, n, k, rng):
    labels = rng.integers(0, k, n)
    return {
        "labels": lambda: labels,
        "one_hot": lambda: np.eye(k, dtype=np.float32)[labels],
        "bits": lambda: rng.integers(0, 2, (n, k)).astype(np.float32),
        "sign": lambda: np.where(rng.random((n, k)) < 0.5, -1, 1).astype(np.float32),
        "positive": lambda: rng.gamma(2, 0.7, (n, k)).astype(np.float32),
        "distribution": lambda: rng.dirichlet(np.ones(k), n).astype(np.float32),
        "normal": lambda: rng.normal(size=(n, k)).astype(np.float32),
    }[kind]()


# --- comparison ---------------------------------------------------------------------------------------------


@contextmanager
def computing_in(keras, dtype):
    """In float64 all of Keras' arithmetic, that of losses and optimizers too, is float64.

    That takes a change inside of Keras: it computes in float32 what is float64 by promotion, save with TensorFlow."""
    from keras.src.backend.common import dtypes

    before, promotion = keras.config.floatx(), dtypes.BIT64_TO_BIT32_DTYPE["float64"]
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = dtype
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        keras.backend.clear_session()
        yield
    finally:
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = promotion
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)


def run_keras(keras, recipe, dtype, data, weights=None):
    """(results, weights); see `computing_in`."""
    with computing_in(keras, dtype):
        if weights is None:
            weights = weights_of(recipe, build(keras, recipe, dtype).weights)
        eager = keras.backend.backend() == "torch"  # JAX is far slower step by step, PyTorch when compiled
        return run(keras, recipe, dtype, weights, data, run_eagerly=eager, jit_compile=not eager), weights


def size(array):
    return np.max(np.abs(array), initial=0.0)


def compare(keras, fastnn, recipe, ours_only=None):
    """A list of what differs, empty if nothing does; `ours_only`: another recipe for fastnn, to see that it counts.

    Adds the recipe's number to `compare.not_finite` if Keras does not stay finite."""
    data, keras_recipe = data_of(recipe), recipe
    recipe = ours_only or recipe
    truth, weights = run_keras(keras, keras_recipe, "float64", data)
    theirs, _ = run_keras(keras, keras_recipe, "float32", data, weights)
    ours = {d: run(fastnn, recipe, d, weights, data, seed=0) for d in ("float32", "float64")}
    moved = dict.fromkeys(truth, 0.0)
    rng = np.random.default_rng([23, recipe["seed"]])

    def nudge(a):
        return a * (1 + ULP32 * rng.choice([-1.0, 1.0], a.shape))

    for _ in range(NUDGES):
        batches = [(nudge(x.astype(np.float64)), y, o) for x, y, o in data["batches"]]
        x, y, o = data["test"]
        other = {"batches": batches, "test": (nudge(x.astype(np.float64)), y, o)}
        found = run(fastnn, recipe, "float64", [nudge(w.astype(np.float64)) for w in weights], other, seed=0)
        for k, v in found.items():
            moved[k] = max(moved[k], size(v - ours["float64"][k]))
    faults = []
    if not all(np.isfinite(v).all() for v in truth.values()):
        compare.not_finite.append(recipe["seed"])
    for k, right in truth.items():
        if not np.isfinite(right).all():
            continue  # (e)
        scale = size(right)
        rounding = moved[k] + 4 * ULP32 * scale
        limits = {
            "float64": 1e-5 * rounding + FLOAT64 * max(scale, 1.0),
            "float32": ALLOWED * (rounding + size(theirs[k] - right)),
        }
        for dtype in ("float64", "float32"):
            found = ours[dtype][k]
            if found.shape != right.shape:
                faults.append(f"{k}: shape {found.shape}, Keras' {right.shape}")
                break
            off = size(found - right)
            if not off <= limits[dtype]:
                at = np.unravel_index(np.argmax(np.abs(found - right)), right.shape)
                faults.append(
                    f"{k}, {dtype}: off by {off:.2g}, allowed {limits[dtype]:.2g}; at {[int(i) for i in at]}"
                    f" {found[at]:.17g}, Keras {right[at]:.17g}"
                )
                break
    return faults


compare.not_finite = []


def describe(recipe):
    def text(thing):
        if isinstance(thing, dict) and "of" in thing:
            return f"{thing['name']}({arguments(thing['arguments'])})"
        return repr(thing)

    def arguments(given):
        return ", ".join(f"{k}={text(v)}" for k, v in given.items())

    lines = [f"  input {recipe['shape']}, batch {recipe['batch']}, last {recipe['last']}, zeros {recipe['zeros']}"]
    lines += [f"  {name}({arguments(options)})" for name, options in recipe["layers"]]
    lines.append(f"  {recipe['loss'][0]}({arguments(recipe['loss'][1])}), weights: {recipe['weights']}")
    return "\n".join([*lines, "  " + text(recipe["optimizer"])])


RECIPES = Recipes("keras_recipes.py", "recipes", recipe, compare, describe)

if __name__ == "__main__":
    sys.exit(RECIPES.main())
