"""The first 50 random recipes agree with Keras; all 500: ``python tests/peers/keras_recipes.py --count 500``."""

import keras_recipes
import pytest
from recipe_runs import keras_or_skip

import fastnn

COUNT = 50

keras = keras_or_skip(allow_module_level=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_fifty_recipes():
    ran, failed = keras_recipes.RECIPES.run_first(keras, COUNT)
    assert ran == COUNT == 50 and len(keras_recipes.compare.not_finite) <= 1
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize("change", ["epsilon", "slope", "momentum"])
def test_a_small_difference_is_found(change):
    """Two recipes that differ by little do not agree."""
    layers = [("Dense", {"units": 6}), ("LeakyReLU", {"negative_slope": 0.3}),
              ("BatchNormalization", {"momentum": 0.9}), ("Dense", {"units": 2})]  # fmt: skip
    options = {"learning_rate": 0.01, "epsilon": 1e-7}
    plan = {
        "seed": 3, "shape": (4,), "classes": 2, "layers": layers, "loss": ("MeanSquaredError", {}), "targets": "normal",
        "optimizer": keras_recipes.made("optimizers", "Adam", **options), "weights": "no", "batch": 8, "last": 8,
        "zeros": False,
    }  # fmt: skip
    assert keras_recipes.compare(keras, fastnn, plan) == []
    other = {**plan, "layers": [*layers]}
    if change == "epsilon":
        other["optimizer"] = keras_recipes.made(
            "optimizers", "Adam", **{**options, "epsilon": 2e-7}
        )
    elif change == "slope":
        other["layers"][1] = ("LeakyReLU", {"negative_slope": 0.3001})
    else:
        other["layers"][2] = ("BatchNormalization", {"momentum": 0.9001})
    assert keras_recipes.compare(keras, fastnn, plan, other)
