"""One fault in a healthy program, for every standard label that can be planted.

Each function takes a healthy program and a random generator and returns the faulty one, or None where the label has no
meaning; which of the common ways to make the mistake is drawn. `FAULTS` says which other labels would be as right, and
whether the label promises harm.
"""

from dataclasses import dataclass, replace

import numpy as np

from fastnn import initializers, losses, regularizers
from fastnn.layers import Activation, Rescaling

from . import faults_of_data
from .bases import deep
from .faults_of_data import onehot, pick


def normal(rng, std):
    return initializers.RandomNormal(0.0, std, seed=int(rng.integers(1 << 30)))


def uniform(rng, low, high):
    return initializers.RandomUniform(low, high, seed=int(rng.integers(1 << 30)))


def units_of(rng, init):
    """The hidden units, all drawn from one kind of initializer but not from one seed."""
    return lambda program: replace(program, hidden=tuple(replace(h, init=init()) for h in program.hidden))


# --- signal and gradient ---


def vanishing_gradient(p, rng):
    how = pick(rng, "sigmoid", "small-tanh", "sigmoid-sgd")
    if how == "small-tanh":
        return replace(deep(p, 8, 32, activation="tanh", init=normal(rng, 0.02)), optimizer="SGD", rate=0.01)
    depth = int(pick(rng, 8, 12, 20))
    p = deep(p, depth, 16, activation="sigmoid")
    return replace(p, optimizer="SGD", rate=0.01) if how == "sigmoid-sgd" else p


def exploding_gradient(p, rng):
    depth, std = pick(rng, (6, 1.0), (10, 0.8), (5, 1.5))
    p = replace(p, hidden=tuple(replace(h, units=48) for h in deep(p, depth, 48, activation="relu").hidden))
    p = units_of(rng, lambda: normal(rng, std))(p)
    return replace(p, optimizer="SGD", rate=0.01, options=pick(rng, {}, {"momentum": 0.9}))


def dying_relu(p, rng):
    how = pick(rng, "bias", "rate", "narrow")
    if how == "bias":
        bias = initializers.Constant(-float(pick(rng, 2, 5, 10)))
        return p.each_hidden(activation="relu", bias_init=bias, bn=False, dropout=0.0)
    if how == "rate":
        p = p.each_hidden(activation="relu", bn=False, bias=True, dropout=0.0)
        return replace(p, optimizer="Adam", rate=float(pick(rng, 0.3, 1.0)))
    return deep(p, int(pick(rng, 10, 15)), int(pick(rng, 3, 5)), activation="relu")


def saturated(p, rng):
    activation = pick(rng, "tanh", "sigmoid")
    std = float(pick(rng, 4, 8, 15))
    p = p.each_hidden(activation=activation, bn=False, bias=True, dropout=0.0)
    return units_of(rng, lambda: normal(rng, std))(p)


def bad_init(p, rng):
    how = pick(rng, "tiny", "large", "positive", "biased")
    init = {"tiny": lambda: normal(rng, 1e-4), "large": lambda: normal(rng, 2.0),
            "positive": lambda: uniform(rng, 0, 1), "biased": lambda: uniform(rng, 0.4, 0.6)}[how]  # fmt: skip
    p = units_of(rng, init)(p.each_hidden(bn=False, bias=True))
    return replace(p, optimizer="SGD", rate=0.01, last_init=init())


def zero_init(p, rng):
    p = p.each_hidden(init="zeros")
    return replace(p, last_init=pick(rng, "zeros", "glorot_uniform"))


def symmetric_units(p, rng):
    value = pick(rng, "ones", initializers.Constant(0.5), initializers.Constant(0.05))
    return replace(p.each_hidden(init=value, dropout=0.0), last_init=pick(rng, value, "glorot_uniform"))


# --- outputs and losses ---


def wrong_loss(p, rng):
    if p.data.task == "classes":
        p = replace(p, data=onehot(p.data))
        return replace(p, loss=pick(rng, "binary_crossentropy", "mse", "mae", "hinge", "poisson"))
    if p.data.task == "binary":
        return replace(p, loss=pick(rng, "mse", "mae", "hinge", "categorical_crossentropy", "poisson"))
    return replace(p, loss=pick(rng, "binary_crossentropy", "categorical_crossentropy", "hinge"))


def wrong_last_activation(p, rng):
    if p.data.task == "classes":
        return replace(p, last=pick(rng, "relu", "sigmoid", "tanh"))
    if p.data.task == "binary":
        return replace(p, last=pick(rng, "softmax", "relu", "tanh"))
    return replace(p, last=pick(rng, "softmax", "sigmoid", "tanh"))


def missing_activation(p, rng):
    return None if p.data.task == "values" else replace(p, last=None)


def double_softmax(p, rng):
    if p.data.task == "values":
        return None
    if p.data.task == "binary":
        return replace(p, loss=lambda: losses.BinaryCrossentropy(from_logits=True))
    if rng.random() < 0.5:
        return replace(p, after=lambda: [Activation("softmax")])
    return replace(p, loss=lambda: losses.SparseCategoricalCrossentropy(from_logits=True))


def target_out_of_range(p, rng):
    if p.data.task != "values":
        return None
    last = pick(rng, "sigmoid", "tanh", "relu")
    shift = -float(np.mean(p.data.y)) if last == "relu" else 0.0
    return replace(p, last=last, data=p.data.map(y=lambda y: y + shift))


def wrong_metric(p, rng):
    if p.data.task == "values":
        return replace(p, metrics=("accuracy",))
    if p.data.task == "classes":
        return replace(p, data=onehot(p.data), loss="categorical_crossentropy", metrics=("binary_accuracy",))
    return replace(p, metrics=(pick(rng, "categorical_accuracy", "sparse_categorical_accuracy"),))


# --- structure ---


def activation_mismatch(p, rng):
    how = pick(rng, "softmax", "exponential", "selu")
    if how == "selu":
        p = deep(p, 12, 32, activation="selu", init=uniform(rng, -1, 1))
        return units_of(rng, lambda: uniform(rng, -1, 1))(p)
    if how == "softmax":
        return p.each_hidden(activation="softmax", bn=False, bias=True)
    return deep(p, 4, 32, activation="exponential")


def no_nonlinearity(p, rng):
    return p.each_hidden(activation=None, bn=False, bias=True)


def too_few_units(p, rng):
    return replace(p, hidden=tuple(replace(h, units=1, dropout=0.0) for h in p.hidden))


def too_deep(p, rng):
    activation = pick(rng, "relu", "tanh", "sigmoid")
    return deep(p, int(pick(rng, 25, 40)), int(pick(rng, 10, 20)), activation=activation)


def missing_bn(p, rng):
    activation = pick(rng, "relu", "sigmoid", "tanh")
    p = deep(p, 12, 32, activation=activation, init=pick(rng, "glorot_uniform", "random_normal"))
    return replace(p, optimizer="SGD", rate=0.01)


def bias_before_bn(p, rng):
    return p.each_hidden(bn=True, bias=True)


def over_regularised(p, rng):
    penalty = pick(rng, regularizers.L2(1.0), regularizers.L1(0.1), regularizers.L2(0.3))
    return p.each_hidden(penalty=penalty, bn=False, bias=True)


def dropout_too_high(p, rng):
    return p.each_hidden(dropout=float(pick(rng, 0.9, 0.95, 0.8)))


def nan_source(p, rng):
    how = pick(rng, "weight", "overflow", "log")
    if how == "weight":

        def spoil(model):
            weights = model.layers[0].get_weights()
            weights[0][0, 0] = np.nan
            model.layers[0].set_weights(weights, check_finite=False)

        return replace(p, spoil=spoil)
    if how == "overflow":
        return replace(deep(p, 3, 16, activation="exponential"), before=lambda: [Rescaling(50.0)])

    return replace(p, loss=lambda: log_loss) if p.data.task in ("binary", "values") else None


def log_loss(y, q):
    """A custom loss with the usual mistake: the logarithm of what may be negative."""
    with np.errstate(all="ignore"):
        error = np.log(q - 0.5) - np.reshape(y, q.shape)
        return (error**2).mean(axis=1), 2 * error / (q - 0.5)


# --- optimisation ---


def lr_too_high(p, rng):
    optimizer, rate, options = pick(rng, ("SGD", 10.0, {}), ("Adam", 1.0, {}), ("Adam", 0.3, {}),
                                    ("SGD", 3.0, {"momentum": 0.9}), ("RMSprop", 0.5, {}))  # fmt: skip
    return replace(p, optimizer=optimizer, rate=rate, options=options)


def lr_too_low(p, rng):
    optimizer, rate = pick(rng, ("SGD", 1e-5), ("SGD", 1e-4), ("Adam", 1e-6), ("Adam", 1e-5), ("RMSprop", 1e-6))
    return replace(p, optimizer=optimizer, rate=rate)


def lr_invalid(p, rng):
    return replace(p, optimizer=pick(rng, "SGD", "Adam"), rate=0.0)


def wrong_optimizer(p, rng):
    optimizer, rate = pick(rng, ("Adadelta", 1e-3), ("Adagrad", 1e-3), ("Ftrl", 1e-3), ("SGD", 1e-3))
    return replace(p, optimizer=optimizer, rate=rate)


def low_adam_epsilon(p, rng):
    # tiny gradients are divided by their own size: with no epsilon, noise becomes steps of full length
    return replace(p, optimizer="Adam", rate=p.rate, options={"epsilon": float(pick(rng, 0.0, 1e-20, 1e-16))})


def loss_reduction(p, rng):
    cls = {"values": losses.MeanSquaredError, "binary": losses.BinaryCrossentropy}.get(
        p.data.task, losses.SparseCategoricalCrossentropy)  # fmt: skip
    return replace(p, loss=lambda: cls(reduction="sum"), optimizer="SGD", rate=0.1, batch_size=int(pick(rng, 128, 256)))


def batch_size(p, rng):
    n = len(p.data.x)
    return replace(p, batch_size=n) if rng.random() < 0.6 else replace(p, batch_size=1, rate=0.03, optimizer="Adam")


def too_few_epochs(p, rng):
    return replace(p, epochs=int(pick(rng, 1, 2)), optimizer="Adam", rate=1e-3)


def oscillating_loss(p, rng):
    optimizer, rate = pick(rng, ("Adam", 0.1), ("RMSprop", 0.1), ("SGD", 1.5))
    return replace(p, optimizer=optimizer, rate=rate, batch_size=int(pick(rng, 4, 8)))


def no_learning(p, rng):
    def freeze(model):
        for layer in model.layers:
            layer.trainable = False

    return replace(p, spoil=freeze)


@dataclass(frozen=True)
class Fault:
    """How a label is planted.

    Attributes
    ----------
    label : str
    plant : callable
    also : tuple of str
        Labels that name the same mistake.
    harm : bool
        Whether a program is left out if it scores like its twin.
    cure : bool
        Whether the healthy twin is a cure: the same data, to which a program with better settings could be applied.
    """

    label: str
    plant: object
    also: tuple[str, ...] = ()
    harm: bool = True
    cure: bool = True


_d = faults_of_data
FAULTS = (
    Fault("vanishing_gradient", vanishing_gradient, ("activation_mismatch", "missing_bn", "too_deep", "bad_init")),
    Fault("exploding_gradient", exploding_gradient, ("bad_init",)),
    Fault("dying_relu", dying_relu, ("bad_init", "lr_too_high", "too_deep")),
    Fault("saturated", saturated, ("bad_init",)),
    Fault("bad_init", bad_init, ("vanishing_gradient", "exploding_gradient", "symmetric_units")),
    Fault("zero_init", zero_init, ("symmetric_units",)),
    Fault("symmetric_units", symmetric_units, ("bad_init",)),
    Fault("wrong_loss", wrong_loss, ("shape_mismatch", "target_out_of_range"), harm=False),
    Fault("wrong_last_activation", wrong_last_activation, ("target_out_of_range",), harm=False),
    Fault("missing_activation", missing_activation, ("wrong_last_activation",), harm=False),
    Fault("activation_mismatch", activation_mismatch, ("vanishing_gradient", "exploding_gradient", "bad_init")),
    Fault("no_nonlinearity", no_nonlinearity, ("missing_activation",)),
    Fault("double_softmax", double_softmax, harm=False),
    Fault("unscaled_data", _d.unscaled_data),
    Fault("unscaled_target", _d.unscaled_target),
    Fault("target_out_of_range", target_out_of_range, ("wrong_last_activation",), harm=False),
    Fault("label_encoding", _d.label_encoding, ("shape_mismatch", "target_out_of_range"), harm=False, cure=False),
    Fault("shape_mismatch", _d.shape_mismatch, ("label_encoding",), harm=False, cure=False),
    Fault("nan_data", _d.nan_data, harm=False, cure=False),
    Fault("nan_source", nan_source, ("exploding_gradient", "wrong_loss"), harm=False, cure=False),
    Fault("constant_feature", _d.constant_feature, ("duplicate_rows",), cure=False),
    Fault("constant_target", _d.constant_target, harm=False, cure=False),
    Fault("random_target", _d.random_target, ("shuffled_labels",), harm=False, cure=False),
    Fault("shuffled_labels", _d.shuffled_labels, ("random_target",), harm=False, cure=False),
    Fault("duplicate_rows", _d.duplicate_rows, harm=False, cure=False),
    Fault("too_few_rows", _d.too_few_rows, ("overfitting",), cure=False),
    Fault("class_imbalance", _d.class_imbalance, harm=False, cure=False),
    Fault("validation_leak", _d.validation_leak, harm=False, cure=False),
    Fault("wrong_metric", wrong_metric, harm=False, cure=False),
    Fault("lr_too_high", lr_too_high, ("oscillating_loss",)),
    Fault("lr_too_low", lr_too_low),
    Fault("lr_invalid", lr_invalid, harm=False),
    Fault("wrong_optimizer", wrong_optimizer, ("lr_too_low",)),
    Fault("low_adam_epsilon", low_adam_epsilon, harm=False, cure=False),
    Fault("loss_reduction", loss_reduction),
    Fault("batch_size", batch_size, ("too_few_epochs", "lr_too_high")),
    Fault("too_few_epochs", too_few_epochs),
    Fault("too_few_units", too_few_units),
    Fault("too_deep", too_deep, ("vanishing_gradient", "missing_bn")),
    Fault("over_regularised", over_regularised),
    Fault("dropout_too_high", dropout_too_high),
    Fault("missing_bn", missing_bn, ("vanishing_gradient", "bad_init", "too_deep", "exploding_gradient")),
    Fault("bias_before_bn", bias_before_bn, harm=False, cure=False),
    Fault("double_scaling", _d.double_scaling),
    Fault("oscillating_loss", oscillating_loss, ("lr_too_high", "batch_size")),
    Fault("no_learning", no_learning, harm=False, cure=False),
    Fault("overfitting", _d.overfitting, ("too_few_rows",), cure=False),
)
LABELS = tuple(fault.label for fault in FAULTS)
ONLY_NOTED = {"bias_before_bn", "low_adam_epsilon"}  # a waste or a risk, not a failure: a note is right


def plant(fault, program):
    """The program with a fault, or None; the same for the same program."""
    seed = [program.seed, LABELS.index(fault.label), *program.name.encode()]
    found = fault.plant(program, np.random.default_rng(seed))
    return None if found is None else replace(found, name=f"{fault.label}:{program.name}")
