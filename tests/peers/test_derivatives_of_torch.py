"""Derivatives of 20 functional models next to those of torch, in float64.

Without torch they are skipped."""

import numpy as np
import pytest
from torch_recipes import Recipe

torch = pytest.importorskip("torch")
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
LOSSES = {
    "mse": lambda p, y: ((p - y) ** 2).mean(dim=1),
    "log_cosh": lambda p, y: torch.log(torch.cosh(p - y)).mean(dim=1),
}
SEEDS = range(20)


@pytest.fixture(scope="module", params=SEEDS)
def recipe(request):
    made = Recipe(request.param)
    made.loss = ("mse", "log_cosh")[request.param % 2]
    made.model.compile(loss=made.loss)
    made.weights = [torch.tensor(w, dtype=torch.float64) for w in made.model.get_weights()]
    made.trained = [v in made.model.trainable_weights for v in made.model.weights]
    made.tx, made.ty = ([torch.tensor(a) for a in arrays] for arrays in (made.x, made.y))
    return made


def outputs(recipe, trained, x):
    """The outputs as a function of the trainable weights and the inputs."""
    trained = iter(trained)
    whole = [next(trained) if on else w for w, on in zip(recipe.weights, recipe.trained, strict=True)]
    return recipe.torch(whole, x)


def trained(recipe):
    return [w for w, on in zip(recipe.weights, recipe.trained, strict=True) if on]


def each_loss(recipe, weights):
    found = outputs(recipe, weights, recipe.tx)
    return sum(LOSSES[recipe.loss](p, y) for p, y in zip(found, recipe.ty, strict=True))


def several(found):
    return found if isinstance(found, list) else [found]


def test_there_are_several_kinds_of_models():
    made = [Recipe(seed) for seed in SEEDS]
    assert {len(r.x) for r in made} == {1, 2, 3} and max(len(r.outs) for r in made) > 1
    kinds = [type(layer).__name__ for r in made for layer, _, _ in r.steps]
    assert len(set(kinds)) >= 10
    assert any(len(r.steps) > len({id(layer) for layer, _, _ in r.steps}) for r in made)  # shared ones


def test_predictions(recipe):
    found = several(recipe.model.predict(recipe.given(recipe.x), verbose=0))
    for ours, theirs in zip(found, recipe.torch(recipe.weights, recipe.tx), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), **CLOSE)


def test_jacobians(recipe):
    rows = recipe.model.jacobian(recipe.given(recipe.x))
    rows, one_input = rows if len(recipe.y) > 1 else [rows], len(recipe.x) == 1
    weights = trained(recipe)
    expected = torch.autograd.functional.jacobian(lambda *x: tuple(outputs(recipe, weights, x)), tuple(recipe.tx))
    for row, theirs in zip(rows, expected, strict=True):
        for ours, whole in zip([row] if one_input else row, theirs, strict=True):
            each = np.stack([whole[i, :, i].numpy() for i in range(len(whole))])
            np.testing.assert_allclose(ours, each, **CLOSE)


def test_input_gradients(recipe):
    factors = [np.cos(y) for y in recipe.y]
    x = [a.clone().requires_grad_() for a in recipe.tx]
    total = sum((p * torch.tensor(f)).sum() for p, f in zip(outputs(recipe, trained(recipe), x), factors, strict=True))
    expected = torch.autograd.grad(total, x)
    found = several(recipe.model.input_gradient(recipe.given(recipe.x), dy=recipe.given(factors)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), **CLOSE)


def test_parameter_jacobians(recipe):
    def of_weights(*weights):
        return tuple(p.reshape(-1) for p in outputs(recipe, weights, recipe.tx))

    expected = torch.autograd.functional.jacobian(of_weights, tuple(trained(recipe)))
    found = several(recipe.model.parameter_jacobian(None, recipe.given(recipe.x)))
    for ours, parts in zip(found, expected, strict=True):
        whole = torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)
        np.testing.assert_allclose(ours, whole.numpy(), **CLOSE)


def test_gradients_of_each_sample(recipe):
    parts = torch.autograd.functional.jacobian(lambda *w: each_loss(recipe, w), tuple(trained(recipe)))
    expected = torch.cat([part.reshape(len(part), -1) for part in parts], dim=1).numpy()
    x, y = recipe.given(recipe.x), recipe.given(recipe.y)
    np.testing.assert_allclose(recipe.model.per_sample_gradients(x, y), expected, **CLOSE)
    norms = recipe.model.per_sample_gradient_norms(x, y)
    np.testing.assert_allclose(norms, np.linalg.norm(expected, axis=1), **CLOSE)
    found = recipe.model.loss_and_grad(recipe.model.get_parameters(), x, y)[1]
    np.testing.assert_allclose(found, expected.mean(axis=0), **CLOSE)


def test_products_with_the_hessian(recipe):
    weights = trained(recipe)
    v = np.random.default_rng(1).normal(size=sum(w.numel() for w in weights))
    parts = torch.split(torch.tensor(v), [w.numel() for w in weights])
    parts = [p.reshape(w.shape) for p, w in zip(parts, weights, strict=True)]
    _, found = torch.autograd.functional.hvp(lambda *w: each_loss(recipe, w).mean(), tuple(weights), tuple(parts))
    expected = torch.cat([part.reshape(-1) for part in found]).numpy()
    ours = recipe.model.hessian_vector_product(v, recipe.given(recipe.x), recipe.given(recipe.y))
    np.testing.assert_allclose(ours, expected, **CLOSE)
