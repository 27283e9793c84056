"""Random models with recurrent layers, run by Keras and by fastnn in float64 from the same function.

    python tests/peers/recurrent_recipes.py --count 300 --seed 0

Needs Keras 3 with a back end, as `keras_recipes.py`, whose ways these are: a recipe is plain data that follows from a
number, and `run` builds its model in the namespace that it is given. Compared are the loss of each of 20 steps, all
weights after the last one, and predictions. A recipe is a stack of recurrent layers, alone or in both directions, with
or without masked steps, before a dense layer; or an encoder whose last states are the first ones of a decoder.
"""

import sys

import keras_recipes
import numpy as np
from keras_recipes import made, make
from recipe_runs import Recipes

STEPS, TOLERANCE = 20, 1e-8
NUDGE, ALLOWED = 2.0**-50, 32  # what rounding does to a recipe: this many times what so small a change of weights does
CELLS = ("SimpleRNN", "LSTM", "GRU", "GRU")
ACTIVATIONS = ("tanh", "tanh", "tanh", "sigmoid", "softsign", "relu", "silu", "linear", "elu")
GATES = ("sigmoid", "sigmoid", "hard_sigmoid", "tanh", "softsign")


def recipe(seed):
    rng = np.random.default_rng([31, seed])
    of = lambda *choices: choices[int(rng.integers(len(choices)))]  # noqa: E731
    steps, features = of(1, 2, 3, 7, 12), of(1, 2, 5)
    plan = {"seed": seed, "shape": (steps, features), "batch": of(1, 4, 9, 33), "out": of(1, 3)}
    plan["mask"] = of(None, None, 0.0, -1.5) if steps > 1 else None
    plan["kind"] = of("stack", "stack", "stack", "states")
    count = 2 if plan["kind"] == "states" else of(1, 1, 2)
    plan["layers"] = []
    for i in range(count):
        last = i == count - 1
        name = CELLS[int(rng.integers(4))] if plan["kind"] == "stack" or not i else plan["layers"][0]["name"]
        options = {
            "units": of(1, 3, 8, 17), "use_bias": of(True, True, False), "activation": of(*ACTIVATIONS),
            "return_sequences": True if not last else of(True, False), "go_backwards": of(False, False, True),
        }  # fmt: skip
        if plan["kind"] == "states":
            options["units"] = plan.setdefault("units", options["units"])
        if plan["mask"] is not None and not last:
            options["go_backwards"] = False  # Keras then gives the next layer a mask of another order
        if name != "SimpleRNN":
            options["recurrent_activation"] = of(*GATES)
        if name == "GRU":
            options["reset_after"] = of(True, False)
        if of(*range(4)) == 0:
            options[of("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")] = made(
                "regularizers", "L2", l2=0.01
            )
        both = of("concat", "sum", "mul", "ave") if plan["kind"] == "stack" and of(*range(3)) == 0 else None
        if both:
            options["go_backwards"] = False  # Keras has nothing else in both directions
        plan["layers"].append({"name": name, "options": options, "both": both})
    rate = float(np.exp(rng.uniform(np.log(1e-3), np.log(2e-2))))
    clip = of({}, {}, {"global_clipnorm": 1.0}, {"clipvalue": 0.1})
    name = of("SGD", "Adam", "RMSprop")
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    plan["optimizer"] = made("optimizers", name, learning_rate=rate, **momentum, **clip)
    if plan["mask"] is not None and plan["layers"][-1]["options"]["return_sequences"]:
        plan["layers"][-1]["options"]["return_sequences"] = False  # Keras would mask the loss
    return plan


def layer_of(ns, plan, **more):
    options = {k: make(ns, v) for k, v in plan["options"].items()} | more
    layer = getattr(ns.layers, plan["name"])(**options)
    return layer if plan["both"] is None else ns.layers.Bidirectional(layer, merge_mode=plan["both"])


def build(ns, plan, dtype, **compile_options):
    more = {} if ns.__name__ == "keras" else {"dtype": dtype}
    x = ns.layers.Input(plan["shape"])
    h = x if plan["mask"] is None else ns.layers.Masking(plan["mask"])(x)
    if plan["kind"] == "states":
        encoder, decoder = plan["layers"]
        seen = layer_of(ns, encoder, return_state=True)(h)
        # with `initial_state`, Keras does not pass a mask on to the layer
        h = layer_of(ns, decoder)(seen[0] if plan["mask"] is None else x, initial_state=list(seen[1:]))
    else:
        for each in plan["layers"]:
            h = layer_of(ns, each)(h)
    if len(h.shape) == 3:
        h = ns.layers.Flatten()(ns.layers.Dense(2)(h))
    model = ns.Model(x, ns.layers.Dense(plan["out"])(h), **more)
    model.compile(optimizer=make(ns, plan["optimizer"]), loss="mean_squared_error", **compile_options)
    return model


def data_of(plan):
    rng = np.random.default_rng([32, plan["seed"]])
    batches = []
    for _ in range(STEPS + 1):
        x = rng.normal(size=(plan["batch"], *plan["shape"]))
        if plan["mask"] is not None:
            x[rng.random(x.shape[:2]) < 0.3] = plan["mask"]
        batches.append((x, rng.normal(size=(plan["batch"], plan["out"]))))
    return batches


def run(ns, plan, dtype, weights, batches, **compile_options):
    model = build(ns, plan, dtype, **compile_options)
    if weights is None:
        weights = keras_recipes.weights_of(plan, model.weights)
    model.set_weights([w.astype(dtype) for w in weights])
    found = {f"loss of step {i + 1}": model.train_on_batch(x, y) for i, (x, y) in enumerate(batches[:-1])}
    found |= {f"weights[{i}]": w for i, w in enumerate(model.get_weights())}
    found["predictions"] = model.predict_on_batch(batches[-1][0])
    return {k: np.asarray(v, np.float64) for k, v in found.items()}, weights


def compare(keras, fastnn, plan):
    """What differs, a list of texts; adds the number to `compare.not_finite` if Keras does not stay finite."""
    batches = data_of(plan)
    with keras_recipes.computing_in(keras, "float64"):
        expected, weights = run(keras, plan, "float64", None, batches, jit_compile=True)
    found, _ = run(fastnn, plan, "float64", weights, batches)
    rng = np.random.default_rng([33, plan["seed"]])
    nudged = [w.astype(float) * (1 + NUDGE * rng.choice([-1.0, 1.0], w.shape)) for w in weights]
    moved, _ = run(fastnn, plan, "float64", nudged, batches)
    if not all(np.isfinite(right).all() for right in expected.values()):
        compare.not_finite.append(plan["seed"])
    faults = []
    for what, right in expected.items():
        if not np.isfinite(right).all():
            break  # losses come first: what follows is what NaN has left over
        if found[what].shape != right.shape:
            faults.append(f"{what}: of shape {found[what].shape}, not {right.shape}")
            continue
        difference, most = np.abs(found[what] - right).max(), np.abs(moved[what] - found[what]).max()
        if not difference <= TOLERANCE * (1 + np.abs(right).max()) + ALLOWED * most:
            faults.append(f"{what}: differs by {difference}")
    return faults


compare.not_finite = []


def describe(plan):
    return f"  {plan}"


RECIPES = Recipes("recurrent_recipes.py", "recurrent recipes", lambda seed, can: recipe(seed), compare, describe)

if __name__ == "__main__":
    sys.exit(RECIPES.main(count=300))
