"""The first 50 random functional models agree with Keras; all 500: ``python tests/peers/functional_recipes.py``."""

import functional_recipes
import keras_recipes
import pytest
from recipe_runs import features, keras_or_skip

import fastnn

COUNT = 50

# what the first recipes have in them: layers, and "2 inputs", "shared", ...
EVERYTHING = {
    "1 inputs", "2 inputs", "3 inputs", "1 outputs", "2 outputs", "3 outputs", "shared", "operators", "Model",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Dense", "Embedding",
    "TimeDistributed", "RepeatVector", "Permute", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Flatten", "Reshape",
    "BatchNormalization", "LayerNormalization", "PReLU", "Rescaling",
}  # fmt: skip


def test_the_first_recipes_have_everything_in_them():
    found, can = set(), features(fastnn)
    for seed in range(COUNT):
        found |= functional_recipes.contents(functional_recipes.recipe(seed, can))
    assert found >= EVERYTHING, f"missing: {sorted(EVERYTHING - found)}"


@pytest.fixture(scope="module")
def keras():
    return keras_or_skip()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_fifty_functional_recipes(keras):
    ran, failed = functional_recipes.RECIPES.run_first(keras, COUNT)
    assert ran == COUNT == 50 and len(functional_recipes.compare.not_finite) <= 1
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize("change", ["loss weight", "join", "epsilon", "order"])
def test_a_small_difference_is_found(keras, change):
    """Two recipes that differ by little do not agree."""
    plan = {
        "inputs": [("a", (4,), "real"), ("b", (2,), "index")], "tables": {1: 5}, "seed": 3, "batch": 9,
        "weights": "each",
        "layers": {
            "table": ("Embedding", {"input_dim": 5, "output_dim": 3}), "mean": ("GlobalAveragePooling1D", {}),
            "shared": ("Dense", {"units": 3, "activation": "tanh"}), "first": ("Dense", {"units": 4}),
            "join": ("Subtract", {}), "out0": ("Dense", {"units": 2}), "out1": ("Dense", {"units": 3}),
        },
        "calls": [("table", [1]), ("mean", [2]), ("first", [0]), ("shared", [4]), ("shared", [0]), ("join", [5, 6]),
                  ("a * b", [7, 3]), ("out0", [8]), ("out1", [3])],
        "outputs": [9, 10],
        "losses": [("MeanSquaredError", {}, "normal", (2,)), ("MeanAbsoluteError", {}, "normal", (3,))],
        "loss_weights": [0.3, 0.7], "optimizer": keras_recipes.made("optimizers", "Adam", learning_rate=0.01),
    }  # fmt: skip
    assert functional_recipes.compare(keras, fastnn, plan) == []
    other = {**plan, "layers": {**plan["layers"]}}
    if change == "loss weight":
        other["loss_weights"] = [0.3, 0.7001]
    elif change == "join":
        other["layers"]["join"] = ("Add", {})
    elif change == "epsilon":
        other["optimizer"] = keras_recipes.made("optimizers", "Adam", learning_rate=0.01, epsilon=2e-7)
    else:
        other["calls"] = [*plan["calls"][:5], ("join", [6, 5]), *plan["calls"][6:]]
    assert functional_recipes.compare(keras, fastnn, plan, other)
