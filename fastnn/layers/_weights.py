"""What layers with an initializer, a regularizer and a constraint of each weight among their arguments share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import constraints, initializers, regularizers
from .._base.checks import flag
from .base import Layer
from .checked import Checked, Chosen, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal

    from .._base.types import BatchShape
    from ..variables import Variable

KINDS = ("initializer", "regularizer", "constraint")


def keep(layer: Layer, given: Mapping[str, Any], *weights: str) -> None:
    """Store the arguments ``<weight>_initializer``, ``…_regularizer`` and ``…_constraint`` of each of the weights.

    Parameters
    ----------
    given : dict
        Arguments of the constructor by name: its ``locals()``.
    """
    for name in (f"{weight}_{kind}" for weight in weights for kind in KINDS):
        setattr(layer, name, given[name])


def add(
    layer: Layer,
    name: str,
    shape: Sequence[int],
    layout: Literal["vector", "kernel", "bias"] = "vector",
    arguments: str | None = None,
) -> Variable:
    """`Layer.add_weight` with the layer's arguments for this weight, which begin with `arguments` if not its name."""
    rules = {kind: getattr(layer, f"{arguments or name}_{kind}") for kind in KINDS}
    return layer.add_weight(shape, name=name, layout=layout, **rules)


def features_of(layer: Layer, input_shape: BatchShape) -> int:
    """Number of features of a flat input; ValueError for another input."""
    if len(input_shape) != 2:
        raise ValueError(
            f"{layer.name}: expected a flat input (features,), got shape {tuple(input_shape[1:])};"
            " put a Flatten layer before it"
        )
    return input_shape[-1]


class KernelAndBias(Layer):
    """Base class of layers with a kernel, to which all features go, and a bias."""

    use_bias = Checked(flag, for_good=True)
    kernel_initializer = Chosen(initializers.get)
    bias_initializer = Chosen(initializers.get)
    kernel_regularizer = Rule(regularizers.get)
    bias_regularizer = Rule(regularizers.get)
    kernel_constraint = Rule(constraints.get)
    bias_constraint = Rule(constraints.get)

    kernel: Variable  # None before the layer is built
    bias: Variable | None

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Store the arguments of the constructor that are declared here, from its ``locals()``."""
        self.use_bias = given["use_bias"]
        keep(self, given, "kernel", "bias")
        self.kernel = self.bias = None  # type: ignore[assignment]

    def _add(self, features: int, columns: int) -> None:
        """Create kernel and bias."""
        self.kernel = add(self, "kernel", (features, columns), "kernel")
        if self.use_bias:
            self.bias = add(self, "bias", (columns,), "bias")


class GammaAndBeta(Layer):
    """Base class of layers that scale by gamma and add beta."""

    center, scale = Checked(flag, for_good=True), Checked(flag, for_good=True)
    beta_initializer = Chosen(initializers.get)
    gamma_initializer = Chosen(initializers.get)
    beta_regularizer = Rule(regularizers.get)
    gamma_regularizer = Rule(regularizers.get)
    beta_constraint = Rule(constraints.get)
    gamma_constraint = Rule(constraints.get)

    gamma: Variable | None
    beta: Variable | None

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Store the arguments of the constructor that are declared here, from its ``locals()``."""
        self.center, self.scale = given["center"], given["scale"]
        keep(self, given, "beta", "gamma")
        self.gamma = self.beta = None

    def _add(self, shape: Sequence[int]) -> None:
        """Create gamma and beta."""
        if self.scale:
            self.gamma = add(self, "gamma", shape)
        if self.center:
            self.beta = add(self, "beta", shape)
