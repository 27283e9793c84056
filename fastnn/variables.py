"""Variables (weights): arrays in NumPy until an engine takes them over, copied back when they are read."""

from __future__ import annotations

from contextvars import ContextVar
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ._base.checks import flag
from ._base.locks import Lock
from ._base.numbers import as_array, check_finite
from ._core.clocks import LAYERS, VALUES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from numpy.typing import ArrayLike

    from ._base.types import AnyArray, FloatArray, FloatType
    from .constraints import Constraint
    from .regularizers import Regularizer

# While a file is loaded, replaces initializers: ``(shape, dtype)`` to an array.
blank: ContextVar[Any] = ContextVar("blank", default=None)
LAYOUTS = ("kernel", "bias", "vector")
KEPT = ("name", "trainable", "layout", "regularizer", "constraint")  # copied, in addition to the values
_moving = Lock()  # held while the newest values of any variable move to another place


class Freezable:
    """Base class of objects that can be frozen: a variable, or a layer with all its variables."""

    __slots__ = ()

    @property
    def trainable(self) -> bool:
        """False freezes it from the next step on, without compiling again."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag("trainable", value)  # type: ignore[misc]  # a slot of the subclass
        LAYERS.tick()


class Variable(Freezable):
    """A named weight of a layer.

    While a model trains, the newest values are in its `Store`, in the layout of the kernels. Reading the variable
    copies them; assigning it makes every store reload them. So several models can share one variable.

    Parameters
    ----------
    value : array, float32 or float64
    name : str
    trainable : bool
        Whether training may change it (unless its layer is frozen).
    layout : {"vector", "kernel", "bias"}
        Layout in a store: "kernel" is a matrix (inputs, units) in unit panels, "bias" the bias of such a kernel,
        "vector" anything else, flat.
    regularizer : fastnn.regularizers.Regularizer, optional
        Penalty added to the loss of models that train it.
    constraint : fastnn.constraints.Constraint, optional
        Applied after each step.
    """

    __slots__ = (
        "_held", "_trainable", "made_trainable", "shape", "dtype", "__weakref__", *(n for n in KEPT if n != "trainable")
    )  # fmt: skip

    def __init__(
        self,
        value: ArrayLike,
        name: str,
        trainable: bool = True,
        layout: Literal["kernel", "bias", "vector"] = "vector",
        regularizer: Regularizer | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {LAYOUTS}, got {layout!r}")
        self._hold(np.array(value, order="C"))
        self.name = name
        self._trainable = self.made_trainable = flag("trainable", trainable)
        self.layout = layout
        self.regularizer, self.constraint = regularizer, constraint

    def _hold(self, value):
        # The values, never changed in place, or their place: (theta of a store, `Place` in it).  A single attribute,
        # as another thread may move them at any time.
        self._held = value
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def size(self) -> int:
        return prod(self.shape)

    def numpy(self) -> FloatArray:
        """Return a copy of the current values."""
        held = self._held
        return held.copy() if isinstance(held, np.ndarray) else self._fetched(held)

    def move(self, theta: FloatArray, place: Any, put: Callable[[FloatArray], Any]) -> None:
        """Move the newest values to `place` of a store's `theta`, into which `put` writes them."""
        while True:
            held = self._held
            put(held if isinstance(held, np.ndarray) else self._fetched(held))
            with _moving:
                if self._held is held:  # otherwise another thread has assigned new values
                    self._held = theta, place  # not the store, which refers to the variable: a reference cycle
                    VALUES.tick()  # they may have been in another store
                    return

    def _fetched(self, held):
        theta, place = held
        return place.get(theta, self.shape).astype(self.dtype, copy=False)

    def is_in(self, theta: FloatArray) -> bool:
        """Whether the newest values are in `theta`."""
        held = self._held
        return not isinstance(held, np.ndarray) and held[0] is theta

    def assign(self, value: ArrayLike) -> None:
        """Assign new values of the same shape."""
        value = as_array(self.name, value)
        if value.shape != self.shape:
            raise ValueError(f"{self.name}: expected an array of shape {self.shape}, got {value.shape}")
        check_finite(self.name, value, self.dtype, finite=False)
        value = np.array(value, self.dtype, order="C")
        with _moving:
            self._hold(value)
            VALUES.tick()

    def cast(self, dtype: FloatType | None) -> None:
        """Convert the values to another dtype."""
        with _moving:
            self._hold(self.numpy().astype(dtype))
            VALUES.tick()

    def __getstate__(self):
        return self.numpy(), {n: getattr(self, n) for n in ("made_trainable", *KEPT)}

    def __setstate__(self, state):
        value, rest = state
        self._hold(value)
        for name, value in rest.items():
            setattr(self, name, value)

    def __array__(self, dtype: FloatType | None = None, copy: bool | None = None) -> AnyArray:
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.name} shape={self.shape} dtype={self.dtype}{'' if self.trainable else ' frozen'}>"
