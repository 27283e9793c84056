"""Names, defaults, values, descriptions and errors of penalties, constraints and the optimizers' common arguments."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import reference

import fastnn
from fastnn import constraints, layers, optimizers, regularizers

W = np.random.default_rng(0).normal(size=(6, 4))
# Keras 3's arguments and defaults
ARGUMENTS = {
    regularizers.L1: {"l1": 0.01},
    regularizers.L2: {"l2": 0.01},
    regularizers.L1L2: {"l1": 0.0, "l2": 0.0},
    regularizers.OrthogonalRegularizer: {"factor": 0.01, "mode": "rows"},
    constraints.MaxNorm: {"max_value": 2, "axis": 0},
    constraints.NonNeg: {},
    constraints.UnitNorm: {"axis": 0},
    constraints.MinMaxNorm: {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0},
}
AROUND = {
    "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False,
    "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
    "gradient_accumulation_steps": None, "name": None,
}  # fmt: skip
SET = {
    "weight_decay": 0.1, "global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3,
    "gradient_accumulation_steps": 4,
}  # fmt: skip
LAYERS = {
    layers.Dense: ((3,), ["kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"]),
    layers.Maxout: ((3,), ["kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"]),
    layers.BatchNormalization: ((), ["gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint"]),
    layers.LayerNormalization: ((), ["gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint"]),
    layers.PReLU: ((), ["alpha_regularizer", "alpha_constraint"]),
}


@pytest.mark.parametrize("cls", ARGUMENTS)
def test_arguments_and_defaults(cls):
    found = inspect.signature(cls).parameters if ARGUMENTS[cls] else {}
    assert {n: p.default for n, p in found.items()} == ARGUMENTS[cls]


def test_every_class_is_checked():
    known = [getattr(regularizers, n) for n in regularizers.names()]
    known += [getattr(constraints, n) for n in constraints.names()]
    assert set(known) == set(ARGUMENTS)


def test_names():
    for name, expected in (("l2", {"l2": 0.01}), ("L1", {"l1": 0.01}), ("l1_l2", {"l1": 0.01, "l2": 0.01}),
                           ("orthogonal_regularizer", {"factor": 0.01, "mode": "rows"})):  # fmt: skip
        assert regularizers.get(name).get_config() == expected
    for name in ("max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm"):
        assert type(constraints.get(name)) is type(constraints.get(type(constraints.get(name))))
    assert regularizers.get(None) is constraints.get(None) is None
    assert regularizers.l2 is regularizers.L2
    assert constraints.max_norm is constraints.MaxNorm


def test_values():
    for rule, right in (
        (regularizers.L1(0.3), reference.l1_l2(W, 0.3)[0]),
        (regularizers.L2(0.3), reference.l1_l2(W, 0, 0.3)[0]),
        (regularizers.L1L2(0.2, 0.3), reference.l1_l2(W, 0.2, 0.3)[0]),
        (regularizers.OrthogonalRegularizer(0.3), reference.orthogonal_penalty(W, 0.3)[0]),
        (regularizers.OrthogonalRegularizer(0.3, "columns"), reference.orthogonal_penalty(W, 0.3, "columns")[0]),
    ):
        assert rule(W) == pytest.approx(right, rel=1e-13)
    for rule, right in (
        (constraints.MaxNorm(0.5), reference.max_norm(W, 0.5)),
        (constraints.NonNeg(), reference.non_neg(W)),
        (constraints.UnitNorm(-1), reference.unit_norm(W, 1)),
        (constraints.MinMaxNorm(0.5, 0.7, 0.4, [0, 1]), reference.min_max_norm(W, 0.5, 0.7, 0.4, (0, 1))),
    ):
        np.testing.assert_allclose(rule(W), right, rtol=1e-13)


@pytest.mark.parametrize(("value", "right"), [("l1", -0.02), ("l2", 0.04), ("rows", 0.0)])
def test_gradients_of_the_reference(value, right):
    """Central differences of each penalty of reference.py."""
    rule = {"l1": lambda w: reference.l1_l2(w, 0.2), "l2": lambda w: reference.l1_l2(w, 0, 0.2),
            "rows": lambda w: reference.orthogonal_penalty(w, 0.2)}[value]  # fmt: skip
    w = W.copy()
    wanted = reference.central_difference(lambda: rule(w)[0], w)
    np.testing.assert_allclose(rule(W)[1], wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("cls", LAYERS, ids=lambda c: c.__name__)
def test_layers_take_describe_and_clone_them(cls):
    positional, arguments = LAYERS[cls]
    rules = {n: regularizers.L2(0.3) if n.endswith("regularizer") else constraints.MaxNorm(0.7) for n in arguments}
    rules["activity_regularizer"] = "l1"
    layer = cls(*positional, **rules, input_shape=(4,))
    again = cls.from_config(layer.get_config())
    for n in rules:
        assert getattr(again, n).get_config() == getattr(layer, n).get_config()
    model = fastnn.Sequential([layer], weight_decay=0.2)
    copy = fastnn.models.clone_model(model)
    assert copy.weight_decay == 0.2
    for variable in (*model.trainable_weights, *copy.trainable_weights):
        assert variable.regularizer.l2 == 0.3
        assert variable.constraint.max_value == 0.7


def test_a_saved_model_has_them(tmp_path):
    rules = {"kernel_regularizer": "orthogonal_regularizer", "kernel_constraint": constraints.MinMaxNorm(axis=[0, 1])}
    x, y = np.random.default_rng(0).normal(size=(40, 4)), np.ones((40, 3))
    models = []
    for stop in (None, 1):
        model = fastnn.Sequential([layers.Dense(3, input_shape=(4,), kernel_initializer="ones", **rules)],
                                  weight_decay=0.1)  # fmt: skip
        model.compile(optimizers.Adam(**SET), "mse", seed=1)
        if stop:
            for at in (0, 8, 16):
                model.train_on_batch(x[at : at + 8], y[at : at + 8])
            model.save(tmp_path / "m")
            model = fastnn.models.load_model(tmp_path / "m")
        for at in range(24 if stop else 0, 40, 8):
            model.train_on_batch(x[at : at + 8], y[at : at + 8])
        models.append(model)
    assert models[1].weight_decay == 0.1
    assert models[1].layers[0].kernel.constraint.axis == [0, 1]
    for name, value in SET.items():
        assert getattr(models[1].optimizer, name) == value
    assert models[0].evaluate(x, y, verbose=0) == models[1].evaluate(x, y, verbose=0)
    for model in models:
        model.engine().finalize()
    np.testing.assert_array_equal(models[0].get_weights()[0], models[1].get_weights()[0])


def test_a_copy_has_them():
    rules = {"kernel_regularizer": "l2", "kernel_constraint": "max_norm"}
    model = fastnn.Sequential([layers.Dense(1, input_shape=(1,), kernel_initializer="ones", **rules)])
    optimizer = optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay([model.layers[0].bias])
    model.compile(optimizer, "mse")
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        kernel, bias = twin.weights
        assert kernel.regularizer.l2 == 0.01
        assert kernel.constraint.max_value == 2
        assert (twin.optimizer.decay_of(kernel), twin.optimizer.decay_of(bias)) == (0.1, 0.0)


def test_gradients_of_penalties_by_differences():
    """Of the very path of training."""
    rules = {"kernel_regularizer": "l1_l2", "bias_regularizer": "l2", "kernel_constraint": "non_neg"}
    stack = [layers.Dense(6, "tanh", **rules, activity_regularizer="l2"),
             layers.Dense(5, kernel_regularizer=regularizers.OrthogonalRegularizer(0.3)),
             layers.BatchNormalization(gamma_regularizer="l1"),
             layers.PReLU("ones", alpha_regularizer="l2")]  # fmt: skip
    model = fastnn.Sequential([fastnn.Input((4,)), *stack, layers.Maxout(3, **rules)], weight_decay=0.5)
    model.compile(optimizers.AdamW(clipnorm=0.1), "mse", seed=0)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    stack[2].moving_variance.assign(np.ones(5))
    assert model.check_gradients(rng.normal(size=(9, 4)), rng.normal(size=(9, 3))).passed


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_takes_the_common_arguments(name):
    cls = getattr(optimizers, name)
    config = cls().get_config()
    plain = {n: config[n] for n in AROUND if n != "name"}
    assert plain == {**{n: v for n, v in AROUND.items() if n != "name"}, "weight_decay": plain["weight_decay"]}
    assert plain["weight_decay"] == (0.004 if name == "AdamW" else None)
    again = cls.from_config(cls(**SET).get_config())
    for argument, value in SET.items():
        assert getattr(again, argument) == value


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: regularizers.get("l3"), ValueError, "unknown regularizer 'l3'.*Known: L1, L1L2, L2, Orth"),
        (lambda: layers.Dense(1, kernel_regularizer=lambda w: 0), TypeError, "regularizer: expected a name, L1"),
        (lambda: layers.Dense(1, kernel_regulariser="l2"), TypeError, "Did you mean 'kernel_regularizer'"),
        (lambda: regularizers.L2(-1), ValueError, "l2: expected a finite number of at least 0, got -1"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), ValueError, "mode: expected one of 'rows'"),
        (lambda: layers.Dense(1, bias_regularizer="orthogonal_regularizer").build((None, 2)), ValueError,
         r"regularizer of dense.*/bias: expected a matrix of at least two rows.*got shape \(1,\)"),
        (lambda: constraints.get("maxnorms"), ValueError, "unknown constraint 'maxnorms'. Did you mean 'MaxNorm'"),
        (lambda: layers.Dense(1, kernel_constraint=abs), TypeError, "constraint: expected a name, MaxNorm"),
        (lambda: layers.Dense(1, bias_constraint=constraints.MaxNorm(axis=1)).build((None, 2)), ValueError,
         r"constraint of dense.*/bias: axis of MaxNorm: .*got 1; its shape is \(1,\)"),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), ValueError, "max_value: expected .* at least 2, got 1"),
        (lambda: constraints.UnitNorm(axis=0.5), TypeError, "axis: expected an integer, got 0.5"),
        (lambda: fastnn.SGD(gradient_accumulation_steps=1), ValueError,
         "gradient_accumulation_steps: expected an integer of at least 2, got 1"),
        (lambda: fastnn.SGD(use_ema=True, ema_momentum=1.5), ValueError, "ema_momentum: expected a finite number"),
        (lambda: fastnn.SGD(ema_overwrite_frequency=0), ValueError, "ema_overwrite_frequency: expected an integer"),
        (lambda: fastnn.SGD(loss_scale_factor=2.0), ValueError, "loss_scale_factor: expected None, the only supported"),
        (lambda: fastnn.SGD(weight_decay=-0.1), ValueError, "weight_decay: expected a finite number of at least 0"),
        (lambda: optimizers.AdamW(weight_decay=None), TypeError, "weight_decay: expected a number, got None"),
        (lambda: fastnn.SGD(clipnorm=1.0, clipvalue=1.0), ValueError, "clipnorm, clipvalue.*at most one of them"),
    ],
)  # fmt: skip
def test_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_a_class_of_ones_own_is_refused_and_not_ignored():
    class Mine(regularizers.Regularizer):
        def __call__(self, w):
            return 1.0

    class Own(constraints.NonNeg):
        def __call__(self, w):
            return abs(w)

    with pytest.raises(TypeError, match="expected a name, L1, L2, L1L2 or OrthogonalRegularizer, got Mine"):
        layers.Dense(1, kernel_regularizer=Mine())
    with pytest.raises(TypeError, match="expected a name, MaxNorm, NonNeg, UnitNorm or MinMaxNorm, got Own"):
        layers.Dense(1, kernel_constraint=Own())
