"""Operations that look at a training: src_c/loops/health.inl.h.

(a) `ACTIVE` programs train as any other, and note which units were above 0: one operation after each activation that
    stops there, in every step.
(b) `LOOK` programs note what layers put out, what gradients come to them, and what their parameters are. Where no
    Python is in a step it is a program of its own, "observe", which computes a step and changes nothing; the usual
    program then does that step. Otherwise it is the usual program with these operations in it.
"""

import weakref
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..._core import activations, kernels
from ..parameter_store import aligned
from .registry import LOWERINGS

NOTHING, ACTIVE, LOOK = 0, 1, 2
FLAT = 0.01  # |f'| below which an activation counts as flat
BELOW, ABOVE = np.array([-100.0, -10.0, -1.0, -1e-3]), np.array([1e-3, 0.25, 0.5, 1.0])


@dataclass(frozen=True)
class Figures:
    """Where the sums of a node are, in doubles from the beginning of a program's figures; -1: there is none.

    node: its number. what: "output", "inner" (what the activation reads, where that is a layer of its own), or
    "gradient" and "inner_gradient" of these."""

    node: int
    what: str
    size: int
    sum: int = -1
    square: int = -1
    flat: int = -1


def activation_of(node):
    """(row, parameters) of the elementwise activation that a node ends in, or None."""
    return (node.attrs["row"], node.attrs["params"]) if node.kind == "activation" else node.act


def is_shown(node):
    """Whether there is something to note of a node."""
    return bool(node.variables) or node.act is not None or node.kind in LOWERINGS and LOWERINGS[node.kind].shown


@cache
def _values(row, params, points):
    """The activation and its derivative at some points."""
    x = np.array(points)
    y, slope = np.empty_like(x), np.empty_like(x)
    activations.forward(row, y, x, list(params), 1)
    from_input = {name: given for name, _, given in kernels.activation_rows()}[row]
    activations.backward(row, slope, np.ones_like(x), x if from_input else y, list(params), 1)
    return y, slope


def stops_at_zero(row, params):
    """Whether an activation is flat and not above 0 where its input is not, as relu is."""
    y, slope = _values(row, tuple(params), tuple(BELOW))
    return bool((y <= 0).all() and (slope == 0).all())


def can_saturate(row, params):
    """Whether its derivative has not everywhere the same sign and size; relu and its kind have dead units instead."""
    points = (*BELOW, *ABOVE)
    return not stops_at_zero(row, params) and len(set(_values(row, tuple(params), points)[1].tolist())) > 1


class Look:
    """Emits the operations of a lowering, and knows where their figures will be.

    Attributes
    ----------
    seen : list of (node, offset in the kept block, sample panels, features)
    figures : list of Figures
    moments : list of (node, place of the batch means, place of the reciprocal deviations)
    parameters : places of doubles of each block, by name
    """

    def __init__(self, lowerer, level):
        # weak: reference cycles would keep the model alive
        self.lo, self.pl, self.looks = weakref.proxy(lowerer), weakref.proxy(lowerer.pl), level == LOOK
        self.level, self.seen, self.figures, self.doubles = level, [], [], 0
        self.memory, self.moments, self.parameters, self.numbers = None, [], {}, ()
        self.after = 0  # the segment that is to be run after the step
        if self.looks:
            widths = [self._width(node.out.size) for node in lowerer.nodes if is_shown(node)]
            self.memory = np.zeros(7 * sum(widths) + 1)

    def _width(self, size):
        return self.lo.panels(size) * self.pl.panel

    def forward(self, node):
        """After the node's forward operations."""
        act = activation_of(node)
        if self.level and act is not None and stops_at_zero(*act):
            self._active(node)
        if self.looks and is_shown(node) and not self.lo.loss_gives(node):
            self._output(node, act)

    def after_loss(self):
        """What the loss has put out on the way."""
        for node in self.lo.nodes:
            if self.looks and self.lo.loss_gives(node):
                self._sums(node, "output", self.lo.value(node.out), ["sum", "square"])

    def _output(self, node, act):
        lo = self.lo
        names, given = ["sum", "square"], {}
        if act is not None and can_saturate(*act):
            names.append("flat")
            inner = lo.pre(node) if node.act else lo.value(node.inputs[0])
            given = {"t": inner if lo.rows[act[0]] else lo.value(node.out), "act": act[0], "s": act[1]}
        self._sums(node, "output", lo.value(node.out), names, given)
        if self.has_inner(node):
            self._sums(node, "inner", lo.pre(node), ["sum", "square"])
        if node in lo.saved:
            self.moments.append((lo.ids[node], *map(self.pl.keep, lo.saved[node])))

    def _active(self, node):
        size, slots = node.out.size, self.pl.slots if self.pl.private else 1
        place = self.pl.keep(np.zeros(slots * self.pl.capacity * size, np.uint64))
        self.seen.append((self.lo.ids[node], place.offset, slots * self.pl.capacity, size))
        self.lo.emit("active_units", y=self.lo.value(node.out), seen=place, F=size,
                     stride=self.pl.capacity * size if slots > 1 else 0)  # fmt: skip

    def has_inner(self, node):
        """Whether what the node's activation reads is noted too: it is what another layer puts out."""
        return self.looks and node.act is not None and node.act_layer != node.layer

    def backward(self, node):
        """Before the node's backward operations: its gradient is whole."""
        if self.looks and is_shown(node) and self.lo.grads.get(node.out):
            self._sums(node, "gradient", self.lo.gradient(node.out), ["square"])

    def inner_gradient(self, node):
        """After the derivative of the node's activation."""
        if self.has_inner(node):
            self._sums(node, "inner_gradient", self.lo.gradient(node.out), ["square"])

    def _sums(self, node, what, tensor, names, given=None):
        size, width = node.out.size, self._width(node.out.size)
        at = {name: self.doubles + i * width for i, name in enumerate(names)}
        self.doubles += width * len(names)
        self.figures.append(Figures(self.lo.ids[node], what, size, **at))
        places = {name: self.pl.keep(self.memory[start : start + width]) for name, start in at.items()}
        # each vector is a region of its own
        places = {name: place._replace(regions=(place.offset,)) for name, place in places.items()}
        self.lo.emit("unit_sums", y=tensor, F=size, limit=FLAT, **places, **(given or {}))

    def before_update(self, variables):
        """The parameters and their gradients, as they are before clipping."""
        pl, update = self.pl, self.lo.update
        where, items = update.blocks(variables)
        self.numbers = tuple(update.pl.store.blocks(variables, {v: i for i, v in enumerate(update.variables)})["var"])
        self.parameters = {name: pl.keep(np.zeros(items)) for name in ("gradient", "largest", "weight", "moved")}
        self.old = pl.keep(aligned(pl.store.size * pl.itemsize).view(pl.dtype))
        self.blocks = {"items": items, "blocks": where, "theta": pl.at("theta", variables), "old": self.old}
        pl.emit("norm_partials", items=items, blocks=where, grad=pl.at("grad", variables),
                partial=self.parameters["gradient"], largest=self.parameters["largest"])  # fmt: skip
        pl.emit("keep_blocks", **self.blocks, partial=self.parameters["weight"])

    def after_update(self):
        """How far the parameters have moved: of "observe" a segment of its own, to be run after the step."""
        if self.pl.what == "observe":
            self.pl.close()
            self.after = len(self.pl.segments)
        self.pl.emit("moved_blocks", **self.blocks, partial=self.parameters["moved"])
