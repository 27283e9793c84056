"""Reference doctors: thresholds of published tools on the counters of `history.health`.

They are the published facts, not the tools: what a tool reads from tensors is read from our counters, which favours
it (a unit counts as dead only if it never was active, not if an entry is zero). Each doctor returns labels, in the
order in which its tool looks.

References
----------
Zhang, Zhai, Ma, Shen 2021 (AutoTrainer); Wardat, Cruz, Le, Rajan 2022 (DeepDiagnosis); Schoop, Huang, Hartmann 2021
(UMLAUT); Rauschmayr et al. 2021 (Amazon SageMaker Debugger).
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class Run:
    """What a reference doctor looks at.

    Attributes
    ----------
    x, y : arrays
        Training data.
    model : Model
    health : Health or None
    logs : dict of lists
        ``history.history``.
    failed : bool
        Whether `fit` raised an error.
    non_finite : bool
        Whether it did because of NaN or infinity, which the tools would have seen.
    """

    x: np.ndarray
    y: np.ndarray
    model: object
    health: object
    logs: dict
    failed: bool = False
    non_finite: bool = False

    def of(self, name):
        """A quantity of the layers that have it, (layers, epochs)."""
        if self.health is None or not len(self.health):
            return np.zeros((0, 0))
        values = np.asarray(getattr(self.health, name), float)
        return values[~np.isnan(values).all(axis=1)]

    def accuracy(self, prefix=""):
        names = [n for n in self.logs if n.startswith(prefix + "accuracy") or n == prefix + "binary_accuracy"]
        return np.asarray(self.logs[names[0]], float) if names else np.zeros(0)

    def loss(self, prefix=""):
        return np.asarray(self.logs.get(prefix + "loss", ()), float)

    def mean_gradients(self):
        """Mean absolute gradient of each layer with weights: its norm / sqrt(number) × sqrt(2 / pi), as if normal."""
        norms = self.of("gradient_norm")
        sizes = [np.sum([np.prod(w.shape) for w in layer.trainable_weights]) for layer in self.model.layers
                 if layer.trainable_weights]  # fmt: skip
        if len(sizes) != len(norms):
            sizes = np.ones(len(norms))
        return norms / np.sqrt(np.asarray(sizes, float))[:, None] * np.sqrt(2 / np.pi)

    def is_bad(self):
        return self.non_finite or bool((~np.isfinite(self.loss())).any())


def has_nan(array):
    return np.asarray(array).dtype.kind == "f" and not np.isfinite(array).all()


def last_of(model):
    """(name of the last activation, units, name of the loss, whether it takes logits)."""
    last = next((layer for layer in reversed(model.layers) if hasattr(layer, "activation")), None)
    activation = getattr(getattr(last, "activation", None), "__name__", None) or "linear"
    loss = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    return activation, model.output_shape[-1], loss.lower().replace("_", ""), getattr(model.loss, "from_logits", False)


def autotrainer(run):
    """Gradient ratios, zero gradients, swings of the accuracy, its gain."""
    found = []
    norms = run.of("gradient_norm")
    if run.is_bad() or (run.loss() >= 1e3).any():
        found.append("exploding_gradient")
    if norms.size:
        first, last = norms[0], norms[-1]
        with np.errstate(all="ignore"):
            ratio = first / last
        if ((ratio < 1e-3) & (first < 1e-4)).any():
            found.append("vanishing_gradient")
        if (ratio > 70).any() and "exploding_gradient" not in found:
            found.append("exploding_gradient")
    dead = run.of("dead")
    if dead.size and (dead >= 0.7).any():
        found.append("dying_relu")
    accuracy = run.accuracy()
    if len(accuracy) > 1:
        if np.mean(np.diff(accuracy) <= -0.03) >= 0.2:
            found.append("oscillating_loss")
        if accuracy.max() - accuracy[0] < 0.01:
            found.append("no_learning")
    return found


def deepdiagnosis(run):
    """Non-finite tensors, small gradients, activations, weights and updates, then outputs against targets."""
    found = []
    if run.failed and has_nan(run.x) or has_nan(run.y):
        return ["nan_data"]
    if run.is_bad():
        found.append("exploding_gradient")
    x = np.asarray(run.x, float)
    if x.min() < -1 or x.max() > 1:
        found.append("unscaled_data")
    activation, _, loss, logits = last_of(run.model)
    if activation in ("relu", "linear") and "crossentropy" in loss and not logits:
        found.append("wrong_last_activation")
    y = np.asarray(run.y, float)
    reach = {"sigmoid": 1, "softmax": 1, "tanh": 1}.get(activation)
    if reach and "sparse" not in loss and np.ptp(y) > 10 * reach:
        found.append("target_out_of_range")
    gradients = run.mean_gradients()
    if (gradients < 1e-7).any():
        found.append("vanishing_gradient")
    dead, saturated, ratio = run.of("dead"), run.of("saturated"), run.of("update_ratio")
    if dead.size and (dead[:, -1] >= 0.7).any():
        found.append("dying_relu")
    if (saturated > 0.5).any():
        found.append("saturated")
    if any(not 1e-5 <= np.var(w) <= 10 for w in kernels(run.model)):
        found.append("bad_init")
    if (np.abs(run.of("activation_mean")) >= 10).any() and "unscaled_data" not in found:
        found.append("unscaled_data")
    if (ratio > 1e-1).any():
        found.append("lr_too_high")
    if (ratio < 1e-5).any():
        found.append("lr_too_low")
    if len(run.loss()) > 20 and np.ptp(run.loss()[-20:]) == 0:
        found.append("no_learning")
    return found


def kernels(model):
    return [w.numpy() for layer in model.layers for w in layer.trainable_weights if len(w.shape) > 1]


def umlaut(run):
    """Input range, outputs, learning rate, structure, then the curves."""
    found = []
    x = np.asarray(run.x, float)
    if has_nan(run.x):
        found.append("nan_data")
    if np.nanmin(x) < -1 or np.nanmax(x) > 1:
        found.append("unscaled_data")
    activation, units, loss, logits = last_of(run.model)
    if activation not in ("softmax", "sigmoid") and not logits:
        found.append("missing_activation")
    hidden = [layer for layer in run.model.layers if hasattr(layer, "units")][:-1]
    following = {id(a): b for a, b in zip(run.model.layers, run.model.layers[1:], strict=False)}
    for layer in hidden:
        after = type(following.get(id(layer))).__name__
        if getattr(layer.activation, "__name__", "linear") == "linear" and after != "BatchNormalization":
            found.append("no_nonlinearity")
            break
    rate = float(run.model.optimizer.learning_rate)
    if rate > 0.01:
        found.append("lr_too_high")
    if rate < 1e-7:
        found.append("lr_too_low")
    if any(getattr(layer, "rate", 0) > 0.5 for layer in run.model.layers if type(layer).__name__ == "Dropout"):
        found.append("dropout_too_high")
    train, val, accuracy = run.loss(), run.loss("val_"), run.accuracy("val_")
    if run.is_bad():
        found.append("nan_source")
    if len(val) > 1 and ((np.diff(train) < 0) & (np.diff(val) > 0)).any():
        found.append("overfitting")
    if len(accuracy) and (accuracy[:3] > 0.95).any():
        found.append("validation_leak")
    return found


def sagemaker(run):
    """Rules of the closed service: non-finite tensors, gradients, units, initial weights, updates, the loss."""
    found = []
    if has_nan(run.x) or has_nan(run.y):
        found.append("nan_data")
    if run.is_bad():
        found.append("exploding_gradient")
    if (run.mean_gradients() < 1e-7).any():
        found.append("vanishing_gradient")
    if (run.of("dead") >= 0.5).any():
        found.append("dying_relu")
    if (run.of("saturated") >= 0.5).any():
        found.append("saturated")
    variances = [float(np.var(w)) for w in kernels(run.model)]
    if variances and max(variances) > 10 * min(variances):
        found.append("bad_init")
    ratio = run.of("update_ratio")
    if (ratio > 10).any():
        found.append("lr_too_high")
    if (ratio < 1e-8).any():
        found.append("lr_too_low")
    train, val = run.loss(), run.loss("val_")
    if len(train) > 10 and (train[10:] >= train[:-10]).any():
        found.append("no_learning")
    if len(val) and len(train) and val[-1] > train[-1] * 1.1:
        found.append("overfitting")
    return found


def constant(label):
    """A doctor that always says the same."""
    return lambda run: [label]


DOCTORS = {"AutoTrainer": autotrainer, "DeepDiagnosis": deepdiagnosis, "UMLAUT": umlaut, "SageMaker": sagemaker}
