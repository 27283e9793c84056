"""A model as a description that can be changed: layers, optimizer, loss, and how it is trained."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._base.random import seeded
from ...layers.input import InputLayer
from ...losses.loss import Loss

if TYPE_CHECKING:
    from typing import Any

# which initializer an activation needs; others: glorot_uniform
INITIALIZERS = {
    "selu": "lecun_normal",
    **dict.fromkeys(
        ("relu", "relu6", "leaky_relu", "elu", "celu", "gelu", "silu", "swish", "mish", "softplus", "exponential",
         "hard_silu", "hard_swish"), "he_normal"),
}  # fmt: skip
ACTIVATION_LAYERS = {"Activation": None, "Softmax": "softmax", "ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu"}


@dataclass
class Part:
    """A layer: its class and its configuration."""

    kind: type
    config: dict[str, Any]
    weights: list[Any] | None = None  # of frozen layers

    @property
    def name(self):
        return self.kind.__name__

    @property
    def activation(self):
        """Name of the activation, "linear" without one; None of layers that have none."""
        if self.name in ACTIVATION_LAYERS:
            found = ACTIVATION_LAYERS[self.name] or self.config.get("activation")
        elif "activation" in self.config:
            found = self.config["activation"]
        else:
            return None
        if isinstance(found, dict):
            found = found.get("class_name") or found.get("config")
        return str(getattr(found, "__name__", found or "linear")).lower()


@dataclass
class Blueprint:
    """Everything that a training needs but the data.

    Attributes
    ----------
    model : type
        Class of the model.
    parts : list of Part
    optimizer : Part
    loss, metrics : as passed to `compile`
    batch_size, epochs : int
    stop_early : bool
        Whether the weights of the best epoch are kept.
    """

    model: type
    parts: list[Part]
    optimizer: Part
    loss: Any
    metrics: list[Any]
    batch_size: int
    epochs: int
    input_shape: tuple[int, ...]
    dtype: str | None = None
    weight_decay: float = 0.0
    order: int | None = None  # seed of the order of samples
    stop_early: bool = False

    @classmethod
    def of(cls, model, batch_size, epochs, input_shape):
        """Read a compiled model; it is not changed."""
        parts = []
        for layer in model._layers:
            if isinstance(layer, InputLayer):
                continue
            frozen = not layer.trainable and layer.built and bool(layer.weights)
            weights = [w.numpy().copy() for w in layer.weights] if frozen else None
            parts.append(Part(type(layer), copy.deepcopy(layer.get_config()), weights))
        optimizer = Part(type(model.optimizer), copy.deepcopy(model.optimizer.get_config()))
        loss = model._loss_asked
        shape = tuple(model.in_shape) if model.built else tuple(input_shape)
        return cls(type(model), parts, optimizer, loss, list(model._metrics_asked), batch_size, epochs, shape,
                   model.dtype, model.weight_decay, model.seed)  # fmt: skip

    def copy(self):
        """A copy whose parts can be changed."""
        made = copy.copy(self)
        made.parts = [Part(p.kind, copy.deepcopy(p.config), p.weights) for p in self.parts]
        made.optimizer = Part(self.optimizer.kind, copy.deepcopy(self.optimizer.config))
        made.metrics = list(self.metrics)
        return made

    def build(self, seed):
        """A new compiled model; equal for equal seeds."""
        with seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = []
            for part in self.parts:
                config = copy.deepcopy(part.config)
                config.pop("input_shape", None)
                layers.append(part.kind.from_config(config))
            model = self.model([InputLayer(self.input_shape, dtype=self.dtype), *layers], dtype=self.dtype)
            for layer, part in zip(layers, self.parts, strict=True):
                if part.weights is not None and [w.shape for w in part.weights] == [w.shape for w in layer.weights]:
                    if all(np.isfinite(w).all() for w in part.weights):
                        layer.set_weights(part.weights)
            loss = self.loss
            if isinstance(loss, Loss):
                loss = type(loss).from_config(loss.get_config())
            optimizer = self.optimizer.kind.from_config(copy.deepcopy(self.optimizer.config))
            model.compile(
                optimizer, loss, metrics=copy.deepcopy(self.metrics) or None, seed=self.order,
                weight_decay=self.weight_decay or None,
            )  # fmt: skip
        return model

    # --- where things are ---

    def dense(self):
        """Positions of the layers with units."""
        return [i for i, p in enumerate(self.parts) if "units" in p.config and "activation" in p.config]

    @property
    def last(self):
        """Position of the last layer with units."""
        return self.dense()[-1]

    @property
    def units(self):
        """Number of outputs, as far as it is known."""
        return self.parts[self.last].config["units"] if self.dense() else 1

    def hidden(self):
        """Positions of the other ones."""
        return self.dense()[:-1]

    def activation_after(self, at):
        """(position, name) of the activation of a hidden layer: its own, or that of a layer before the next one."""
        own = self.parts[at].activation
        if own not in (None, "linear"):
            return at, own
        for i in range(at + 1, len(self.parts)):
            part = self.parts[i]
            if "units" in part.config:
                break
            if part.activation not in (None, "linear") or part.name == "PReLU":
                return i, part.activation or "prelu"
        return at, "linear"

    def normalised(self, at):
        """Whether a batch normalisation follows before the next layer with units."""
        for part in self.parts[at + 1 :]:
            if "units" in part.config:
                return False
            if part.name in ("BatchNormalization", "LayerNormalization"):
                return True
        return False

    @property
    def rate(self):
        found = self.optimizer.config.get("learning_rate")
        return float(found) if isinstance(found, (int, float)) else None
