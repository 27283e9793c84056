"""Parameters, gradients and optimizer state of a model, in the layout of the kernels.

One flat block theta; gradients and every state vector of the optimizer lie beside it with the same offsets. A dense
layer's kernel is split into unit panels w[u][i][PW], its bias is the row after the last input of each panel; anything
else is a flat vector. All of it is padded with zeros to whole panels, and stays zero there.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._core import kernels
from .._core.clocks import VALUES, Clock

BLOCK_DTYPE = np.dtype([("off", np.intp), ("len", np.intp), ("var", np.int32), ("flags", np.int32)], align=True)
PAGE = 4096
IN_PANELS = ("dense", "recurrent")  # kinds of nodes whose kernel is


def aligned(nbytes, stagger=0, whole_pages=False):
    """Zeroed bytes at a multiple of 64; `stagger` shifts buffers against each other so that they do not compete for
    the same cache sets. whole_pages: nothing else lies in their pages, so that reading ahead of one thread, which goes
    to the end of a page, takes no line from another."""
    unit = PAGE if whole_pages else 64
    shift = 64 * (2 * (stagger % 31) + 1)
    used = -(-(shift + nbytes) // unit) * unit
    raw = np.zeros(used + unit, np.uint8)
    start = -kernels.address(raw) % unit + shift
    return raw[start : start + nbytes]


@dataclass
class Place:
    """Where a variable lies: elements [off, off + units * rows * PW) for a kernel and its bias, else a vector."""

    off: int
    panels: int  # unit panels, or panels of a vector
    rows: int  # rows of a unit panel; 1 for a vector
    inputs: int  # rows of the kernel; 0 for a vector
    units: int
    role: str
    width: int  # PW

    def panels_of(self, flat):
        """A view of its unit panels (u, rows, PW) in a flat block; of a vector (u, 1, PW)."""
        return flat[self.off : self.off + self.panels * self.rows * self.width].reshape(
            self.panels, self.rows, self.width
        )

    def get(self, flat, shape):
        """A row-major copy, in the shape of the variable, of its part of a flat block."""
        panels = self.panels_of(flat)
        if self.role == "kernel":
            wide = panels[:, : self.inputs].swapaxes(0, 1).reshape(self.inputs, -1)
            return wide[:, : self.units].copy()
        row = self.inputs if self.role == "bias" else 0
        return panels[:, row].reshape(-1)[: self.units].reshape(shape).copy()


class Store:
    """
    Parameters
    ----------
    graph : Graph
    dtype : {"float32", "float64"}
    isa : str or None
    n_state : int
        State vectors of the optimizer.
    more : tuple of str
        Names of further vectors that last from step to step: "average", "accumulated".
    """

    def __init__(self, graph, dtype, isa, n_state, more=()):
        self.dtype = np.dtype(dtype)
        self.panel = 2 * kernels.vector_bytes(isa) // self.dtype.itemsize
        self.places = {}
        end = 0
        for node in graph.nodes:
            end = self._lay_out(node, end)
        self.size = end
        self.lasting = [*(f"state{i}" for i in range(n_state)), *more]
        names = ["theta", "grad", *self.lasting]
        self.flat = {n: aligned(end * self.dtype.itemsize, i).view(self.dtype) for i, n in enumerate(names)}
        self.n_state = n_state
        self.averaged = set()  # variables that the average includes
        self.weights_clock, self.load_clock = Clock(), Clock()
        self.values_at = -1  # reading of VALUES when all of them were here
        self.forward_at = None  # reading of `load_clock` at the last forward of a manual step

    def _lay_out(self, node, end):
        pw = self.panel
        kernel = node.variables.get("kernel") if node.kind in IN_PANELS else None
        if kernel is not None and kernel not in self.places:
            inputs, units = kernel.shape
            bias = node.variables.get("bias")
            panels, rows = -(-units // pw), inputs + (bias is not None)
            self.places[kernel] = Place(end, panels, rows, inputs, units, "kernel", pw)
            if bias is not None:
                self.places[bias] = Place(end, panels, rows, inputs, units, "bias", pw)
            end += panels * rows * pw
        for variable in node.variables.values():
            if variable not in self.places:
                panels = -(-variable.size // pw)
                self.places[variable] = Place(end, panels, 1, 0, variable.size, "vector", pw)
                end += panels * pw
        return end

    def panels(self, variable):
        """A view of the variable's unit panels (u, rows, PW) in theta; of a vector (u, 1, PW)."""
        return self.places[variable].panels_of(self.flat["theta"])

    def get(self, flat, variable):
        """A row-major copy of the variable's part of one of the flat blocks."""
        return self.places[variable].get(self.flat[flat], variable.shape)

    def put(self, flat, variable, value):
        place = self.places[variable]
        panels = place.panels_of(self.flat[flat])
        self.weights_clock.tick()
        # Compared only for a manual step, and until one differs: they may have been elsewhere and come back unchanged.
        if flat == "theta" and self.load_clock.now == self.forward_at:
            now = np.asarray(value, self.dtype).reshape(variable.shape)
            if self.get(flat, variable).tobytes() != now.tobytes():
                self.load_clock.tick()
        # full panels, and what is left for the last one; the padding after it stays zero
        full, rest = divmod(place.units, self.panel)
        at = full * self.panel
        if place.role == "kernel":
            value = np.asarray(value)
            panels[:full, : place.inputs] = value[:, :at].reshape(place.inputs, full, self.panel).swapaxes(0, 1)
            if rest:
                panels[full, : place.inputs, :rest] = value[:, at:]
            return
        value, row = np.reshape(value, -1), place.inputs if place.role == "bias" else 0
        panels[:full, row] = value[:at].reshape(full, self.panel)
        if rest:
            panels[full, row, :rest] = value[at:]

    def acquire(self):
        """Load every variable whose newest values are in another place."""
        theta = self.flat["theta"]
        while self.values_at != VALUES.now:
            seen = VALUES.now
            for variable, place in self.places.items():
                if not variable.is_in(theta):
                    variable.move(theta, place, partial(self.put, "theta", variable))
                    seen += 1
            self.values_at = seen  # may be outdated if another thread has assigned or moved some: repeat

    def blocks(self, variables, numbers):
        """The runs of theta that hold `variables` (see fnn_block), each at most `kernels.BLOCK_LEN` long.

        numbers: variable -> its number among the trainable ones."""
        rows = []
        for variable in variables:
            place, number = self.places[variable], numbers[variable]
            pw = self.panel
            if place.role == "kernel":
                runs = [(place.off + u * place.rows * pw, place.inputs * pw) for u in range(place.panels)]
            elif place.role == "bias":
                runs = [(place.off + (u * place.rows + place.inputs) * pw, pw) for u in range(place.panels)]
            else:
                runs = [(place.off, place.panels * pw)]
            for off, length in runs:
                for at in range(0, length, kernels.BLOCK_LEN):
                    rows.append((off + at, min(kernels.BLOCK_LEN, length - at), number, int(place.role == "kernel")))
        return np.array(rows, BLOCK_DTYPE)

    def get_state(self):
        """Optimizer state, row-major: ``{variable: [array, ...]}``, vectors as in `lasting`."""
        if "average" in self.flat:
            self.acquire()
            self.start_averages()
        return {v: [self.get(name, v) for name in self.lasting] for v in self.places}

    def set_state(self, state):
        for variable, arrays in state.items():
            if variable in self.places:
                for name, array in zip(self.lasting, arrays, strict=False):
                    self.put(name, variable, array)
                if len(arrays) == len(self.lasting):
                    self.averaged.add(variable)

    def take_over(self, other):
        """Copy the state vectors that both stores have, variable by variable."""
        if "average" in other.flat:
            other.acquire()
            other.start_averages()
        for variable in self.places.keys() & other.places.keys():
            for name in self.lasting:
                if name in other.flat:
                    self.put(name, variable, other.get(name, variable))
                    if name == "average":
                        self.averaged.add(variable)

    def start_averages(self):
        """Initialise the averages of new variables with their values."""
        for variable in self.places:
            if variable not in self.averaged:
                self.put("average", variable, self.get("theta", variable))
                self.averaged.add(variable)

    def offsets(self, variable):
        """Indices of the elements of a variable in theta: int64, in its shape."""
        place, at = self.places[variable], np.arange(variable.size)
        if place.role == "vector":
            return (place.off + at).reshape(variable.shape)
        row, unit = np.divmod(at, place.units) if place.role == "kernel" else (place.inputs, at)
        at = place.off + (unit // self.panel * place.rows + row) * self.panel + unit % self.panel
        return at.reshape(variable.shape)
