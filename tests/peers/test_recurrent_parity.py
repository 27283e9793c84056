"""The first 50 random recurrent models agree with Keras; all 300: ``python tests/peers/recurrent_recipes.py``."""

import pytest
import recurrent_recipes
from recipe_runs import keras_or_skip

import fastnn

COUNT = 50

keras = keras_or_skip(allow_module_level=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_fifty_recurrent_recipes():
    ran, failed = recurrent_recipes.RECIPES.run_first(keras, COUNT)
    assert ran == COUNT == 50 and len(recurrent_recipes.compare.not_finite) <= 1
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_a_small_difference_of_recurrent_models_is_found(monkeypatch):
    """Weights of one gate that are moved by little."""
    plan = recurrent_recipes.recipe(0)
    run = recurrent_recipes.run

    def moved(ns, plan, dtype, weights, batches, **options):
        if ns is fastnn:
            weights = [weights[0] * (1 + 1e-6), *weights[1:]]
        return run(ns, plan, dtype, weights, batches, **options)

    assert recurrent_recipes.compare(keras, fastnn, plan) == []
    monkeypatch.setattr(recurrent_recipes, "run", moved)
    assert recurrent_recipes.compare(keras, fastnn, plan)
