"""Base class of layers and models: weights in Keras' order, and which of them are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import flag
from .._base.config import Configurable
from .._base.numbers import OFF, as_array, cast
from ..variables import Freezable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray
    from ..variables import Variable


class Weighted(Freezable, Configurable):
    """Owner of `Variable` objects; subclasses keep them in ``self._weights``."""

    name: Any
    built: bool
    _trainable: bool
    _weights: list[Variable]

    @property
    def weights(self) -> list[Variable]:
        """Variables created as trainable, then the others; freezing does not change the order."""
        return sorted(self._weights, key=lambda v: not v.made_trainable)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables that training updates; empty if the layer is frozen."""
        return [v for v in self._weights if v.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        trained = set(map(id, self.trainable_weights))
        return [v for v in self.weights if id(v) not in trained]

    @property
    def variables(self) -> list[Variable]:
        """Alias of `weights`, as in Keras."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """Alias of `trainable_weights`, as in Keras."""
        return self.trainable_weights

    def get_weights(self) -> list[FloatArray]:
        """Return copies of all weights, in the order of `weights`.

        Returns
        -------
        list of ndarray
        """
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike], *, check_finite: bool = True) -> None:
        """Replace all weights.

        Parameters
        ----------
        weights : list of array_like
            In the order and shapes of `get_weights`.
        check_finite : bool
            Raise an error for NaN and infinity. Values that overflow the dtype of the weights are always an error.

        Raises
        ------
        ValueError, TypeError
            For a wrong number of arrays, a wrong shape, non-numeric or non-finite values; nothing is changed
            then.
        """
        check_finite, own = flag("check_finite", check_finite), self.weights
        arrays = [w if isinstance(w, np.ndarray) else as_array(f"weights[{i}]", w) for i, w in enumerate(weights)]
        if len(arrays) != len(own):
            raise ValueError(
                f"weights of {self.name}: expected {len(own)} arrays, got {len(arrays)}; expected shapes"
                f" {[v.shape for v in own]}, got {[a.shape for a in arrays]}"
            )
        for i, (variable, array) in enumerate(zip(own, arrays, strict=True)):
            if variable.shape != array.shape:
                raise ValueError(
                    f"weights[{i}] of {self.name}: expected shape {variable.shape}"
                    f" ({variable.name}), got {array.shape}"
                )
            if array.dtype.kind == "V":  # bfloat16 of other packages, or invalid
                try:
                    array = array.astype(variable.dtype)
                except (TypeError, ValueError):
                    pass  # refused below
            arrays[i] = cast(f"weights[{i}] of {self.name} ({variable.name})", array, variable.dtype, check_finite, OFF)
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """Count the weights, frozen weights and moving averages included.

        Raises
        ------
        ValueError
            If the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"count_params: expected a built layer or model, got {self.name}; give an input shape, or call build"
            )
        return sum(v.size for v in self.weights)
