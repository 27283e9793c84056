"""A weight: an array that lives in NumPy until an engine takes it, and is fetched back when somebody looks."""

from contextvars import ContextVar
from math import prod

import numpy as np

# While a file is read, stands in for initializers: ``(shape, dtype)`` to an array.
blank = ContextVar("blank", default=None)
LAYOUTS = ("kernel", "bias", "vector")
KEPT = ("name", "trainable", "layout", "regularizer", "constraint")  # of a copy, besides the values
assigned = [0]  # goes up whenever the newest values of any variable move to another place


class Variable:
    """A named weight of a layer.

    While a model trains, the newest values are in its `Store`, in the layout of the kernels. Reading the variable
    fetches them; writing it makes every store reload. So one variable may serve several models.

    Parameters
    ----------
    value : array, float32 or float64
    name : str
    trainable : bool
        Whether gradient descent may change it (a frozen layer overrules).
    layout : {"vector", "kernel", "bias"}
        How a store keeps it: "kernel" is a matrix (inputs, units) in unit panels, "bias" the bias of such a kernel,
        "vector" anything else, flat.
    regularizer : fastnn.regularizers.Regularizer, optional
        Part of the loss of whoever trains it.
    constraint : fastnn.constraints.Constraint, optional
        Applied after each step.
    """

    __slots__ = ("_held", "shape", "dtype", *KEPT, "__weakref__")

    def __init__(self, value, name, trainable=True, layout="vector", regularizer=None, constraint=None):
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {LAYOUTS}, got {layout!r}")
        self._hold(np.array(value, order="C"))
        self.name = name
        self.trainable = trainable
        self.layout = layout
        self.regularizer, self.constraint = regularizer, constraint

    def _hold(self, value):
        # The values, never changed in place; or where they are: (theta of a store, `Place` in it).  One attribute,
        # for another thread may move them at any moment.
        self._held = value
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def size(self):
        return prod(self.shape)

    def numpy(self):
        """A copy of the current values."""
        held = self._held
        return held.copy() if isinstance(held, np.ndarray) else self._fetched(held)

    def fetched(self):
        """The current values, not to be changed."""
        held = self._held
        return held if isinstance(held, np.ndarray) else self._fetched(held)

    def _fetched(self, held):
        theta, place = held
        return place.get(theta, self.shape).astype(self.dtype, copy=False)

    def moved(self, theta, place):
        """The newest values are at `place` of a store's `theta` from now on."""
        self._held = theta, place  # not the store, which refers to the variable: that would be a cycle
        assigned[0] += 1  # another store may have had them

    def is_in(self, theta):
        """Whether the newest values are there."""
        held = self._held
        return not isinstance(held, np.ndarray) and held[0] is theta

    def assign(self, value):
        """Replace the values; the shape must be the same."""
        value = np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(f"{self.name}: expected an array of shape {self.shape}, got {value.shape}")
        self._hold(np.array(value, self.dtype, order="C"))
        assigned[0] += 1

    def cast(self, dtype):
        """Keep the values in another dtype from now on."""
        self._hold(self.numpy().astype(dtype))
        assigned[0] += 1

    def __getstate__(self):
        return self.numpy(), {n: getattr(self, n) for n in KEPT}

    def __setstate__(self, state):
        value, rest = state
        self._hold(value)
        for name, value in rest.items():
            setattr(self, name, value)

    def __array__(self, dtype=None, copy=None):
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self):
        return f"<Variable {self.name} shape={self.shape} dtype={self.dtype}{'' if self.trainable else ' frozen'}>"
