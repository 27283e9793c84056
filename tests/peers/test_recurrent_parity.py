"""The first 50 random recurrent models agree with Keras; all 300: ``python tests/peers/recurrent_recipes.py``."""

import os

import keras_recipes
import pytest
import recurrent_recipes

import fastnn

COUNT = 50

try:
    keras = keras_recipes.start_keras()
except ImportError:
    assert os.environ.get("FASTNN_REQUIRE_KERAS", "0") == "0", "keras or its back end is missing"
    pytest.skip("keras is not installed", allow_module_level=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_fifty_recurrent_recipes():
    ran, failed = 0, []
    for seed in range(COUNT):
        plan = recurrent_recipes.recipe(seed)
        faults = recurrent_recipes.compare(keras, fastnn, plan)
        ran += 1
        if faults:
            failed.append(f"{plan}: {faults}")
    assert ran == COUNT == 50
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
