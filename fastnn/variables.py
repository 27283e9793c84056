"""A weight: an array that lives in NumPy until an engine takes it, and is fetched back when somebody looks."""

from contextvars import ContextVar
from math import prod

import numpy as np

from ._base.checks import flag
from ._base.locks import Lock
from ._base.numbers import as_array, check_finite

# While a file is read, stands in for initializers: ``(shape, dtype)`` to an array.
blank = ContextVar("blank", default=None)
LAYOUTS = ("kernel", "bias", "vector")
KEPT = ("name", "trainable", "layout", "regularizer", "constraint")  # of a copy, besides the values
assigned = [0]  # goes up whenever the newest values of any variable move to another place
_moving = Lock()  # held while they do
_changes = [0]
_renamed = [0]


def note_change():
    """Something was frozen, added or removed: every model looks again before its next step."""
    _changes[0] += 1


def changes():
    """How often `note_change` was called in this process."""
    return _changes[0]


def note_renamed():
    """A layer got another name: what was found by names is looked up again."""
    _renamed[0] += 1


def renamed():
    """How often `note_renamed` was called in this process."""
    return _renamed[0]


class Freezable:
    """What may be frozen: a variable, or a layer with all its variables."""

    __slots__ = ()

    @property
    def trainable(self):
        """False freezes it, from the next step on and without a new compile."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        self._trainable = flag("trainable", value)
        note_change()


class Variable(Freezable):
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

    __slots__ = (
        "_held", "_trainable", "made_trainable", "shape", "dtype", "__weakref__", *(n for n in KEPT if n != "trainable")
    )  # fmt: skip

    def __init__(self, value, name, trainable=True, layout="vector", regularizer=None, constraint=None):
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {LAYOUTS}, got {layout!r}")
        self._hold(np.array(value, order="C"))
        self.name = name
        self._trainable = self.made_trainable = flag("trainable", trainable)
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

    def move(self, theta, place, put):
        """Let the newest values be at `place` of a store's `theta`, into which `put` writes them."""
        while True:
            held = self._held
            put(held if isinstance(held, np.ndarray) else self._fetched(held))
            with _moving:
                if self._held is held:  # else another thread has assigned others meanwhile
                    self._held = theta, place  # not the store, which refers to the variable: that would be a cycle
                    assigned[0] += 1  # another store may have had them
                    return

    def _fetched(self, held):
        theta, place = held
        return place.get(theta, self.shape).astype(self.dtype, copy=False)

    def is_in(self, theta):
        """Whether the newest values are there."""
        held = self._held
        return not isinstance(held, np.ndarray) and held[0] is theta

    def assign(self, value):
        """Replace the values; the shape must be the same."""
        value = as_array(self.name, value)
        if value.shape != self.shape:
            raise ValueError(f"{self.name}: expected an array of shape {self.shape}, got {value.shape}")
        check_finite(self.name, value, self.dtype, finite=False)
        value = np.array(value, self.dtype, order="C")
        with _moving:
            self._hold(value)
            assigned[0] += 1

    def cast(self, dtype):
        """Keep the values in another dtype from now on."""
        with _moving:
            self._hold(self.numpy().astype(dtype))
            assigned[0] += 1

    def __getstate__(self):
        return self.numpy(), {n: getattr(self, n) for n in ("made_trainable", *KEPT)}

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
