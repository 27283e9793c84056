"""Ports: the inputs and outputs of an engine, and the arrays that are bound to them in a call.

(a) The arrays of several ports are one `Arrays`: it has their number of rows as its length, and is indexed by rows, so
    that code that only counts, cuts or orders rows treats it as an array. Of one port the array itself is passed.
(b) A program knows the memory of a call by names (`names`): those of the first input and output are the six of a
    program with one of each, so that such programs are what they are without this module.
(c) Tuples of a call are made from lists: of an iterator Python makes a longer one first, and keeps what it cuts off.
"""

import numpy as np

from .._core import kernels

# what a call may bring: of each input, of each output
OF_INPUT, OF_OUTPUT = ("x", "dx"), ("y", "weight", "out", "dy")
OF_ONE = ("x", "y", "weight", "out", "dy", "dx")


class Arrays:
    """The arrays of several ports, in their order, with equal numbers of rows; None where a port has none."""

    __slots__ = ("arrays", "rows")
    __iter__ = None  # of rows or of ports? see `each`

    def __init__(self, arrays):
        self.arrays = tuple(arrays)
        self.rows = next(len(a) for a in self.arrays if a is not None)

    def __len__(self):
        return self.rows

    @property
    def nbytes(self):
        return sum(a.nbytes for a in self.arrays if a is not None)

    def copy(self):
        return Arrays(None if a is None else a.copy() for a in self.arrays)

    def __getitem__(self, rows):
        return Arrays(None if a is None else a[rows] for a in self.arrays)


def each(value, count=1):
    """The arrays of `count` ports; None for each if there are none."""
    if value is None:
        return (None,) * count
    return value.arrays if isinstance(value, Arrays) else (value,)


def gathered(arrays):
    """What `each` takes apart: the only array itself, or `Arrays`; None if all are."""
    arrays = tuple(arrays)
    if all(a is None for a in arrays):
        return None
    return arrays[0] if len(arrays) == 1 else Arrays(arrays)


def code(array):
    """How the core reads an array: bytes from row to row, and its dtype; of several ports a tuple of these."""
    if isinstance(array, Arrays):
        return tuple([None if a is None else code(a) for a in array.arrays])
    return (array.strides[0] if len(array) else array.dtype.itemsize, kernels.DATA_CODES[array.dtype.str])


def targets_code(y):
    """`code` of dense targets; None for class labels, or without targets."""
    if isinstance(y, Arrays):
        return tuple([targets_code(a) for a in y.arrays])
    return code(y) if y is not None and y.ndim == 2 else None


def weighted(w):
    """Whether there are sample weights; of several outputs a tuple of that."""
    return tuple([a is not None for a in w.arrays]) if isinstance(w, Arrays) else w is not None


def address(array):
    """Address of an array; 0 for None."""
    return 0 if array is None else kernels.address(array)


def name(kind, port):
    """The name of the memory of one kind of the port with a number."""
    return f"{kind}:{port}" if port else kind


def names(inputs, outputs):
    """Names of the memory that comes with each call of a program with so many ports."""
    more = [name(kind, port) for port in range(1, inputs) for kind in OF_INPUT]
    return (*OF_ONE, *more, *(name(kind, port) for port in range(1, outputs) for kind in OF_OUTPUT))


def addresses(engine, x=None, y=None, w=None, out=None, dy=None, dx=None):
    """What belongs to `names` in a call of a program of an engine: an array each, or `Arrays`."""
    if not engine.several:
        return (address(x), address(y), address(w), address(out), address(dy), address(dx))
    into = [each(value, len(engine.inputs)) for value in (x, dx)]
    outof = [each(value, len(engine.outputs)) for value in (y, w, out, dy)]
    first = (into[0][0], *(kind[0] for kind in outof), into[1][0])
    more = [kind[port] for port in range(1, len(engine.inputs)) for kind in into]
    more += [kind[port] for port in range(1, len(engine.outputs)) for kind in outof]
    return tuple([address(a) for a in (*first, *more)])


def room(tensors, n, dtype):
    """Arrays for n rows of the values of some ports."""
    return gathered(np.empty((n, tensor.size), dtype) for tensor in tensors)


def shaped(tensors, value, n):
    """Arrays of the shapes of the ports: one, or a list of several."""
    found = [a.reshape(n, *tensor.shape) for a, tensor in zip(each(value), tensors, strict=True)]
    return found[0] if len(found) == 1 else found
