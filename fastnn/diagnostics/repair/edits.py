"""Changes of a blueprint: each does one thing, and says what. A finding proposes some of them, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...layers.activation import Activation
from ...layers.batch_normalization import BatchNormalization
from ...layers.normalization import Normalization
from ...layers.rescaling import Rescaling
from ...losses import get
from ...optimizers import SGD, Adam
from .blueprint import ACTIVATION_LAYERS, INITIALIZERS, Part
from .task import BINARY, CLASSES, LABELS, ONE_HOT, VALUES, regression

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .blueprint import Blueprint

LOSSES = {CLASSES: "sparse_categorical_crossentropy", ONE_HOT: "categorical_crossentropy",
          LABELS: "binary_crossentropy", BINARY: "binary_crossentropy", VALUES: "mse"}  # fmt: skip
ENDS = {CLASSES: "softmax", ONE_HOT: "softmax", LABELS: "sigmoid", BINARY: "sigmoid", VALUES: "linear"}
USUAL_RATE = {"SGD": 0.05, "Adadelta": 1.0, "Adagrad": 0.05, "Ftrl": 0.05, "Lion": 3e-4, "Rprop": 1e-3}
FLOOR = 0.02  # of the standard deviation of a column, relative to the largest one of alike columns


@dataclass(frozen=True)
class Edit:
    """One change.

    Attributes
    ----------
    family : str
        Of edits that exclude each other; once one is kept, the others are not tried.
    what : str
        What it changes, with the new values.
    change : callable
        ``change(blueprint)`` changes a copy in place, and returns False if there is nothing to change.
    """

    family: str
    what: str
    change: Callable[[Blueprint], bool | None]

    def applied(self, blueprint):
        """A changed copy; None if nothing changes, or the layers are of no known kind."""
        if not blueprint.dense():
            return None
        made = blueprint.copy()
        return None if self.change(made) is False else made


# --- the end: units, last activation and loss that the targets need ---


def right_end(task):
    """Units, last activation and loss that go with the targets."""

    def change(b):
        at, units, wanted = b.last, _units(b, task), ENDS[task.kind]
        loss = LOSSES[task.kind]
        if task.kind == VALUES and regression(b.loss):
            loss = b.loss
        if task.unusual_binary:
            loss = "mse"
        for i in range(len(b.parts) - 1, at, -1):
            if b.parts[i].name in (*ACTIVATION_LAYERS, "PReLU", "Rescaling", "Dropout", "BatchNormalization"):
                del b.parts[i]
        config = b.parts[at].config
        same = config["units"] == units and b.parts[at].activation == wanted and _same_loss(b.loss, loss)
        if same and not task.unusual_binary:
            return False
        config["units"], config["activation"], b.loss = units, wanted, loss
        if not isinstance(config.get("kernel_initializer"), dict) or _is_poor(config):
            config["kernel_initializer"] = "glorot_uniform"
        if task.unusual_binary:
            b.parts.append(Part(Rescaling, {"scale": task.high - task.low, "offset": task.low}))
        b.metrics = b.metrics and _metrics(task)

    end = f"{ENDS[task.kind]} and {LOSSES[task.kind] if not task.unusual_binary else 'mse'}"
    if task.unusual_binary:
        end += f", outputs rescaled to [{task.low:g}, {task.high:g}]"
    return Edit("end", f"last layer: at least {task.width} unit{'s' * (task.width > 1)}, {end}", change)


def _units(b, task):
    """Those of the model where they suffice: two outputs for binary labels stay two."""
    return max(b.parts[b.last].config["units"], task.width) if task.kind == CLASSES else task.width


def _metrics(task):
    return ["mae"] if task.kind == VALUES else ["accuracy"]


def _same_loss(loss, name):
    return loss is name or (not isinstance(loss, str) and type(loss) is type(get(name)) and
                            not getattr(loss, "from_logits", False) and loss.reduction != "sum")  # fmt: skip


def _is_poor(config):
    return config["kernel_initializer"].get("class_name") in ("Zeros", "Ones", "Constant")


def right_shape(shape):
    def change(b):
        if b.input_shape == shape:
            return False
        b.input_shape = shape

    return Edit("shape", f"input shape {shape}, that of x", change)


def right_metrics(task):
    def change(b):
        b.metrics = _metrics(task)

    return Edit("metrics", f"metrics {', '.join(_metrics(task))}", change)


# --- scales, inside the model ---


def scale_data(x):
    """A Normalization with the statistics of x as the first layer."""

    def change(b):
        if b.parts and b.parts[0].name in ("Normalization", "Rescaling"):
            del b.parts[0]
        mean, variance = statistics(x)
        axis = None if np.ndim(mean) == 0 else -1
        config = {"axis": axis, "mean": np.asarray(mean).tolist(), "variance": np.asarray(variance).tolist()}
        b.parts.insert(0, Part(Normalization, config))

    return Edit("scale of x", "x is standardised by a Normalization layer", change)


def statistics(x):
    """Mean and variance for standardisation: of all together if the columns are alike, as pixels are, else of each."""
    x = x.astype(np.float64)
    if x.ndim > 2:
        return x.mean(), max(x.var(), 1e-12)
    mean, std = x.mean(axis=0), x.std(axis=0)
    top = np.abs(x).max(axis=0)
    top = top[top > 0]
    if x.shape[1] >= 16 and len(top) and np.percentile(top, 95) < 10 * np.percentile(top, 5):
        pooled = np.sqrt(x.var(axis=0).mean())
        return mean, np.full(x.shape[1], max(pooled, 1e-12) ** 2)
    varies = std > 1e-7 * np.maximum(np.abs(mean), 1e-30)
    return mean, np.where(varies, std, 1.0) ** 2


def scale_target(task):
    """The outputs are rescaled by mean and deviation of the targets; rates that depend on the scale follow."""

    def change(b):
        if task.kind != VALUES or any(p.name == "Normalization" and p.config.get("invert") for p in b.parts):
            return False
        at = b.last
        b.parts[at].config["activation"] = "linear"
        del b.parts[at + 1 :]
        std = np.maximum(np.atleast_1d(task.std), 1e-12)
        config = {"axis": -1, "mean": np.atleast_1d(task.mean).tolist(), "variance": (std**2).tolist(), "invert": True}
        b.parts.append(Part(Normalization, config))
        b.loss = b.loss if regression(b.loss) else "mse"
        if b.optimizer.name == "SGD" and b.rate is not None:
            # the gradient of the squared error has the square of the scale
            squared = "quared" in (b.loss if isinstance(b.loss, str) else type(b.loss).__name__) or b.loss == "mse"
            b.optimizer.config["learning_rate"] = b.rate / float(np.mean(std)) ** (2 if squared else 1)

    return Edit("scale of y", "outputs are rescaled to the mean and deviation of y inside the model", change)


# --- initial weights and activations ---


def right_init():
    """Initial weights that fit each activation, biases of zero."""

    def change(b):
        changed = False
        for at in b.dense():
            name = INITIALIZERS.get(b.activation_after(at)[1], "glorot_uniform")
            config = b.parts[at].config
            wanted = {"kernel_initializer": name, "bias_initializer": "zeros"}
            if any(_plain(config.get(key)) != _plain(value) for key, value in wanted.items() if key in config):
                config.update(wanted)
                b.parts[at].weights, changed = None, True
        return changed

    return Edit("init", "initial weights: He, LeCun or Glorot by activation; biases 0", change)


def _plain(initializer):
    found = initializer.get("class_name") if isinstance(initializer, dict) else initializer
    return str(found).lower().replace("_", "")


def activate(name="relu", linear_only=False):
    """One activation for all hidden layers."""

    def change(b):
        changed = False
        for at in b.hidden():
            where, found = b.activation_after(at)
            if found == name or (linear_only and found != "linear"):
                continue
            changed = True
            part = b.parts[where]
            if part.name in ACTIVATION_LAYERS or part.name == "PReLU":
                b.parts[where] = Part(Activation, {"activation": name})
            else:
                part.config["activation"] = name
            b.parts[at].config["kernel_initializer"] = INITIALIZERS.get(name, "glorot_uniform")
            b.parts[at].config["bias_initializer"] = "zeros"
        return changed

    return Edit("activation", f"hidden activations: {name}", change)


def normalise():
    """A batch normalisation between each hidden layer and its activation."""

    def change(b):
        changed = False
        for at in reversed(b.hidden()):
            if b.normalised(at):
                continue
            changed = True
            part, new = b.parts[at], [Part(BatchNormalization, {})]
            own = part.config["activation"]
            if part.activation != "linear":
                new.append(Part(Activation, {"activation": own}))
                part.config["activation"] = None
            b.parts[at + 1 : at + 1] = new
        return changed

    return Edit("batch normalisation", "a BatchNormalization before each hidden activation", change)


def shallower(most):
    """No more than so many hidden layers."""

    def change(b):
        hidden = b.hidden()
        if len(hidden) <= most:
            return False
        start, end = hidden[most], b.last
        del b.parts[start:end]

    return Edit("depth", f"{most} hidden layers", change)


def wider(least):
    """At least so many units in each hidden layer."""

    def change(b):
        changed = False
        for at in b.hidden():
            if b.parts[at].config["units"] < least:
                b.parts[at].config["units"], changed = least, True
        return changed

    return Edit("width", f"at least {least} units in hidden layers", change)


# --- training ---


def usual(optimizer):
    return USUAL_RATE.get(optimizer, 1e-3)


def scaled_rate(factor):
    def change(b):
        if not b.rate:
            return False
        b.optimizer.config["learning_rate"] = b.rate * factor

    return Edit("rate", f"learning rate × {factor:g}", change)


def usual_rate(factor=1.0):
    def change(b):
        rate = usual(b.optimizer.name) * factor
        if b.rate is not None and abs(np.log((b.rate or 1e-30) / rate)) < 0.7:
            return False
        b.optimizer.config["learning_rate"] = rate

    return Edit("rate", f"the usual learning rate × {factor:g}" if factor != 1 else "the usual learning rate", change)


def adam(rate=3e-3):
    def change(b):
        config: dict[str, Any] = {"learning_rate": rate}
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            if b.optimizer.config.get(name):
                config[name] = b.optimizer.config[name]
        if b.optimizer.name == "Adam" and b.rate == rate and b.optimizer.config.get("epsilon", 1e-7) >= 1e-8:
            return False
        b.optimizer = Part(Adam, config)

    return Edit("optimizer", f"Adam with learning rate {rate:g}", change)


def clip(norm=1.0):
    def change(b):
        if b.optimizer.config.get("global_clipnorm") or b.optimizer.config.get("clipnorm"):
            return False
        if b.optimizer.kind is SGD and b.rate and b.rate > 0.1:
            b.optimizer.config["learning_rate"] = 0.1
        b.optimizer.config["global_clipnorm"] = norm

    return Edit("clipping", f"gradients are clipped to norm {norm:g}", change)


def mean_loss():
    """Loss reduced by the mean."""

    def change(b):
        loss = b.loss
        if isinstance(loss, str) or getattr(loss, "reduction", None) != "sum":
            return False
        b.loss = type(loss).from_config(loss.get_config() | {"reduction": "sum_over_batch_size"})

    return Edit("reduction", "the loss is the mean over the batch", change)


def milder():
    """Penalties of at most 1e-4, dropout of at most 0.2."""

    def change(b):
        changed = False
        for part in b.parts:
            for name in ("kernel_regularizer", "bias_regularizer", "activity_regularizer"):
                if part.config.get(name):
                    part.config[name], changed = None, True
            if part.name in ("Dropout", "AlphaDropout", "GaussianDropout") and part.config["rate"] > 0.2:
                part.config["rate"], changed = 0.2, True
        if b.weight_decay > 1e-3:
            b.weight_decay, changed = 0.0, True
        return changed

    return Edit("regularisation", "no penalties, dropout of at most 0.2", change)


def batches(size):
    def change(b):
        if b.batch_size == size:
            return False
        b.batch_size = size

    return Edit("batch size", f"batches of {size}", change)


def longer(factor, steps_per_epoch):
    """More epochs: at least 30 or so many times as many, while that is at most 20,000 steps."""

    def change(b):
        most = max(1, 20_000 // max(1, steps_per_epoch(b)))
        epochs = min(max(30, b.epochs * factor), max(most, b.epochs))
        if epochs <= b.epochs:
            return False
        b.epochs = epochs

    return Edit("epochs", f"{factor} times the epochs, at least 30", change)


def early_stop():
    def change(b):
        if b.stop_early:
            return False
        b.stop_early = True

    return Edit("stopping", "the weights of the best epoch are kept", change)


def thaw():
    """All layers are trained."""

    def change(b):
        changed = False
        for part in b.parts:
            if part.config.get("trainable") is False:
                part.config["trainable"], changed = True, True
        return changed

    return Edit("frozen", "all layers are trained", change)
