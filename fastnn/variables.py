"""A weight: an array that lives in NumPy until an engine takes it, and is fetched back when somebody looks."""

from contextvars import ContextVar

import numpy as np

# While a file is read, stands in for initializers: ``(shape, dtype)`` to an array.
blank = ContextVar("blank", default=None)
LAYOUTS = ("kernel", "bias", "vector")
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

    __slots__ = ("_value", "name", "trainable", "layout", "regularizer", "constraint", "_home",
                 "__weakref__")  # fmt: skip

    def __init__(self, value, name, trainable=True, layout="vector", regularizer=None, constraint=None):
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {LAYOUTS}, got {layout!r}")
        self._value = np.array(value, order="C")
        self.name = name
        self.trainable = trainable
        self.layout = layout
        self.regularizer, self.constraint = regularizer, constraint
        self._home = None  # where newer values than _value are, if any: (theta of a store, `Place` in it)

    @property
    def shape(self):
        return self._value.shape

    @property
    def dtype(self):
        return self._value.dtype

    @property
    def size(self):
        return self._value.size

    def numpy(self):
        """A copy of the current values."""
        value = self.fetched()
        return value.copy() if value is self._value else value.astype(self.dtype, copy=False)

    def fetched(self):
        """The current values, not to be changed."""
        home = self._home  # looked at once: another thread may assign meanwhile, and what it assigns has to stay
        if home is None:
            return self._value
        theta, place = home
        return place.get(theta, self.shape)

    def assign(self, value):
        """Replace the values; the shape must be the same."""
        value = np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(f"{self.name}: expected an array of shape {self.shape}, got {value.shape}")
        self._value[...] = value
        self._home = None
        assigned[0] += 1

    def cast(self, dtype):
        """Keep the values in another dtype from now on."""
        self._value = self.numpy().astype(dtype)
        self._home = None
        assigned[0] += 1

    def __getstate__(self):
        return self.numpy(), {n: getattr(self, n) for n in self.__slots__ if n[0] != "_"}

    def __setstate__(self, state):
        self._value, rest = state
        self._home = None
        for name, value in rest.items():
            setattr(self, name, value)

    def __array__(self, dtype=None, copy=None):
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self):
        return f"<Variable {self.name} shape={self.shape} dtype={self.dtype}{'' if self.trainable else ' frozen'}>"
