"""What a model consists of, as the rules see it: layers in order, what they end with, loss and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np

from ... import metrics
from ...activations import ActivationFunction
from ...losses import catalogue as losses
from ...metrics import outputs

if TYPE_CHECKING:
    from typing import Any

LIMITED, FAR = 50.0, np.concatenate([np.linspace(-8, 8, 65), [-1e3, -100.0, -30.0, 30.0, 100.0, 1e3]])
NORMALISERS = ("BatchNormalization", "LayerNormalization")


@dataclass(frozen=True)
class Block:
    """A layer with a kernel, and what follows it up to the next one.

    Attributes
    ----------
    layer : Layer
    activation : str or None
        The elementwise activation that is applied to its output, "linear" if there is none, None if unknown.
    after : list of Layer
        Layers up to the next one with a kernel.
    normalised : bool
        Whether its output is normalised before the activation.
    """

    layer: Any
    activation: str | None
    after: list[Any]
    normalised: bool

    @property
    def units(self) -> int:
        """Number of outputs."""
        return self.layer.kernel.shape[1] if self.layer.built else self.layer.units

    @property
    def hidden(self) -> str:
        """The activation, or "" if it is unknown."""
        return self.activation or ""


class Parts:
    """The parts of a model that rules use.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.layers = list(model.leaves())

    @cached_property
    def loss(self):
        """The loss; for a name that depends on the targets, what it stands for if they are known."""
        loss = self.model.loss
        if not losses.by_targets(loss):
            return loss
        by_shape = self.target_kind_by_shape
        if not self.model.built or by_shape is None:
            return None
        return losses.resolve(by_shape, self.n, self.activation)

    target_kind_by_shape: str | None = None  # "labels" or "values" by the shape of the targets, where they are known

    @cached_property
    def shape(self):
        """Shape of the output of a sample."""
        return tuple(self.model.out_shape) if self.model.built else None

    @cached_property
    def n(self):
        """Number of outputs."""
        return prod(self.shape)

    @cached_property
    def activation(self):
        """The last activation: "linear" if there is none, None if unknown."""
        return outputs.last_activation(self.layers)

    @cached_property
    def last(self):
        """The layer with the last activation, or the last layer with weights."""
        for layer in reversed(self.layers):
            if type(layer).__name__ not in outputs.TRANSPARENT:
                return layer
        return None

    @cached_property
    def limits(self):
        """Between which numbers the outputs are."""
        return limits_of(self.activation, self.last)

    @cached_property
    def stops_at_zero(self):
        """Whether the last activation gives 0 for whatever is below 0, as relu does; by trying."""
        function = function_of(self.last)
        return function is not None and not function(FAR[FAR < 0]).any()

    @cached_property
    def wanted(self):
        """The kind of outputs that the loss expects."""
        return outputs.wanted_by(self.loss)

    @cached_property
    def kind(self):
        """The kind of outputs of the model."""
        return outputs.kind_of(self.activation, self.loss)

    @cached_property
    def metrics(self):
        """Metric objects; those given by name are adapted to the model when its targets are known."""
        return [
            m if isinstance(m, metrics.Metric) else metrics.get(m) for m in self._asked if not isinstance(m, str)
        ]  # fmt: skip

    @property
    def metric_names(self):
        """Metrics given by name, in lower case."""
        return [m.lower() for m in self._asked if isinstance(m, str)]

    @property
    def _asked(self):
        return [*self.model._metrics_asked, *self.model._weighted_asked]

    @property
    def optimizer(self):
        return self.model.optimizer

    @property
    def loss_name(self):
        return type(self.loss).__name__

    @property
    def row(self):
        """Row of the loss in the kernels; "" for a custom loss."""
        return getattr(self.loss, "row", None) or ""

    @cached_property
    def residual(self):
        """Whether there are residual blocks, in which a layer without an activation has a purpose."""
        return any(type(layer).__name__ == "Residual" for layer in _containers(self.model.layers))

    def own_activation(self, layer):
        """See `activation_of`."""
        return activation_of(layer)

    @cached_property
    def rate(self):
        """The learning rate, of a schedule that of the next step."""
        return float(self.optimizer.learning_rate)

    @cached_property
    def scheduled(self):
        """Whether the rate follows a schedule."""
        return self.optimizer.schedule is not None

    @cached_property
    def normalisers(self):
        """Number of layers that normalise."""
        return sum(type(layer).__name__ in NORMALISERS for layer in self.layers)

    signal_ratio = gradient_ratio = None  # last to first hidden layer at the start; first to last gradient
    overflows = False  # whether outputs are not finite at the start

    @cached_property
    def kernel_layers(self):
        """Names of the layers with a kernel."""
        return {block.layer.name for block in self.blocks}

    @cached_property
    def penalty(self):
        """The penalties on the present weights."""
        total, decay = 0.0, self.model.weight_decay or 0.0
        for layer in self.layers:
            for v in layer.trainable_weights:
                rule = v.regularizer
                if rule is not None:
                    w = v.numpy().astype(np.float64)
                    total += float(rule.l1 * abs(w).sum() + rule.l2 * (w**2).sum()) if hasattr(rule, "l1") else 0.0
                if decay and v.layout == "kernel":
                    total += decay / 2 * float((v.numpy().astype(np.float64) ** 2).sum())
        return total

    @cached_property
    def blocks(self):
        """The layers with a kernel, in order."""
        at = [i for i, layer in enumerate(self.layers) if type(layer).__name__ in ("Dense", "Maxout")]
        return [self._block(i, end) for i, end in zip(at, [*at[1:], len(self.layers)], strict=True)]

    def _block(self, i, end):
        layer, after = self.layers[i], self.layers[i + 1 : end]
        normalised, found = False, activation_of(layer)
        for each in after:
            if found != "linear":
                break
            if type(each).__name__ in NORMALISERS:
                normalised = True
            elif type(each).__name__ not in outputs.TRANSPARENT:
                found = activation_of(each)
        return Block(layer, found, after, normalised)


def _containers(layers):
    for layer in layers:
        yield layer
        # not `getattr`, for whose missing attributes layers search for suggestions, which takes milliseconds
        yield from _containers(layer.__dict__.get("_layers") or layer.__dict__.get("layers") or [])


def function_of(layer):
    """The activation with its parameters that a layer ends in; None if there is none."""
    found = layer.function if hasattr(type(layer), "function") else layer.__dict__.get("activation")
    return found if isinstance(found, ActivationFunction) else None


def limits_of(name, layer):
    """The smallest and the largest value that an activation can give, by trying; infinite where it grows on."""
    if name in ("softmax", "log_softmax"):
        return (0.0, 1.0) if name == "softmax" else (-inf, 0.0)
    function = function_of(layer)
    if name in (None, "linear") or function is None:
        return -inf, inf
    values = function(FAR)
    low, high = float(values.min()), float(values.max())
    return (low if low > -LIMITED else -inf), (high if high < LIMITED else inf)


def initializer_of(layer):
    """The initializer of the kernel; None if there is none."""
    return layer.__dict__.get("kernel_initializer")


def activation_of(layer):
    """Name of the activation that a layer applies: "linear" for a layer without one, None for an unknown layer."""
    if type(layer).__name__ == "Maxout":
        return "maxout"
    if type(layer).__name__ in ("Dense", "Activation"):
        return getattr(layer.activation, "__name__", None) or "linear"
    if type(layer).__name__ in ("Rescaling", "Normalization"):
        return "linear"
    found = layer.function if hasattr(type(layer), "function") else layer.__dict__.get("activation")
    if found is None:
        return {"PReLU": "prelu"}.get(type(layer).__name__)
    return getattr(found, "__name__", None)


def name_of(part):
    """Name of a loss or a metric in messages."""
    part = getattr(part, "loss", part)
    return type(part).__name__
