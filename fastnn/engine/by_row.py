"""Gradients of each row by the parameters, and Jacobians by the inputs, in inference mode.

(a) Backward gives the gradient of every tensor; that of a parameter is a sum over samples of products of such a
    gradient and the input of its node. Programs of the kinds `planner.BY_ROW` leave that sum out: both factors stay in
    the arena, and here are the products, row by row (`Rows`).
(b) For other kinds of nodes (layers in Python) the program computes the sums, and there is one row to a run.
(c) The forward pass of a Jacobian is run once, the backward pass once for every output. Of few rows, copies take the
    lanes of a panel that would be empty: each copy is for another output.
(d) Rows are taken in blocks, so that memory does not grow with them. The loss is the sum over rows: nothing depends on
    the number of rows, and a block has the bits of a row alone wherever a kernel has.
"""

import numpy as np

from .lowering.features import broadcast_map
from .lowering.lowerer import LEFT
from .manual_steps import run_stage
from .ports import addresses, code, each, gathered, room, targets_code, weighted

ROWS = 128, 4096  # of a run, so many that
BLOCK = 1 << 18  # values of activations are in the cache
LANES = 64  # copies of few rows fill so many
VALUES = 1 << 20  # of one parameter's gradients that norms have at a time


class Rows:
    """The gradients of each row by the trainable weights, from what the last backward of a program has left."""

    def __init__(self, engine):
        self.engine, self.columns, at = engine, {}, 0
        for variable in engine.trainable:
            self.columns[variable] = slice(at, at + variable.size)
            at += variable.size
        self.size = at
        trained = [n for n in engine.nodes if n.trainable and any(v in self.columns for v in n.variables.values())]
        self.rest = list(dict.fromkeys(
            v for n in trained if n.kind not in LEFT for v in n.variables.values() if v in self.columns
        ))  # fmt: skip
        self.block = 1 if self.rest else rows_of_block(engine)

    def products(self, program, n):
        """``(variable, function)`` of each use of a parameter; ``function(rows, out=None)`` are its gradients."""
        for number, x_key, dy_key in program.plan.left:
            node = self.engine.nodes[number]
            x, dy = program.get(x_key, node.inputs[0], n), program.get(dy_key, node.out, n)
            for role, product in FORMULAS[node.kind](self.engine, node, x, dy):
                if node.variables[role] in self.columns:
                    yield node.variables[role], product

    def write(self, program, n, out):
        """The gradients (n, parameters) in `out`."""
        begun = set()
        for variable, product in self.products(program, n):
            part = out[:, self.columns[variable]].reshape(n, *variable.shape)
            if variable in begun:
                part += product(slice(None))
            else:
                begun.add(variable)
                product(slice(None), part)
        for variable, columns in self.columns.items():
            if variable not in begun:
                out[:, columns] = 0
        for variable in self.rest:
            out[0, self.columns[variable]] += self.engine.store.get("grad", variable).reshape(-1)

    def squares(self, program, n, out):
        """The squared norms (n,) in `out`, in float64."""
        found = {}
        for variable, product in self.products(program, n):
            found.setdefault(variable, []).append(product)
        out[:] = 0
        for variable, products in found.items():
            if len(products) == 1 and hasattr(products[0], "squares") and variable not in self.rest:
                out += products[0].squares()
                continue
            step = max(1, VALUES // variable.size)
            for at in range(0, n, step):
                rows = slice(at, min(n, at + step))
                whole = sum(product(rows).reshape(rows.stop - at, -1) for product in products)
                if variable in self.rest:
                    whole = whole + self.engine.store.get("grad", variable).reshape(1, -1)
                out[rows] += _squares(whole)
        for variable in self.rest:
            if variable not in found:
                out += np.sum(np.square(self.engine.store.get("grad", variable), dtype=np.float64))


def rows_of_block(engine):
    """How many rows are taken at a time."""
    least, most = ROWS
    return max(least, min(most, BLOCK // sum(node.out.size for node in engine.nodes)))


def _squares(array):
    """Sums of squares of each row."""
    return np.square(array.reshape(len(array), -1), dtype=np.float64).sum(axis=1)


# -- formulas -------------------------------------------------------------------------------------------------------
class Outer:
    """x dy for each row, of a kernel: the norm of the product is the product of the norms."""

    def __init__(self, x, dy):
        self.x, self.dy = x, dy

    def __call__(self, rows, out=None):
        return np.multiply(self.x[rows, :, None], self.dy[rows, None, :], out=out)

    def squares(self):
        return _squares(self.x) * _squares(self.dy)


class Made:
    """An array with the gradients of all rows, which is no larger than those of the tensors."""

    def __init__(self, array):
        self.array = array

    def __call__(self, rows, out=None):
        if out is None:
            return self.array[rows]
        out[...] = self.array[rows].reshape(out.shape)
        return out

    def squares(self):
        return _squares(self.array)


class Groups:
    """Sum over the groups of a sample of x dy: `Dense` over the last axis."""

    def __init__(self, x, dy):
        self.x, self.dy = x.swapaxes(1, 2), dy

    def __call__(self, rows, out=None):
        return np.matmul(self.x[rows], self.dy[rows], out=out)


def _dense(engine, node, x, dy):
    n, (inputs, units) = len(x), node.variables["kernel"].shape
    x, dy = x.reshape(n, -1, inputs), dy.reshape(n, -1, units)
    alone = x.shape[1] == 1
    yield "kernel", Outer(x[:, 0], dy[:, 0]) if alone else Groups(x, dy)
    if "bias" in node.variables:
        yield "bias", Made(dy[:, 0] if alone else dy.sum(axis=1))


def _batch_norm(engine, node, x, dy):
    n = len(x)
    x, dy = x.reshape(n, -1), dy.reshape(n, -1)
    if "gamma" in node.variables:
        mean, variance = (engine.store.get("theta", node.variables[role]) for role in ("mean", "variance"))
        yield "gamma", Made(dy * ((x - mean) / np.sqrt(variance + x.dtype.type(node.attrs["epsilon"]))))
    if "beta" in node.variables:
        yield "beta", Made(dy)


def _layer_norm(engine, node, x, dy):
    n, length, runs = len(x), node.attrs["length"], node.attrs["runs"]
    x, dy = x.reshape(n, -1, runs, length), dy.reshape(n, -1, runs, length)
    if "gamma" in node.variables:
        away = x - x.mean(axis=-1, keepdims=True) if node.attrs["centred"] else x
        deviation = np.sqrt(np.mean(away**2, axis=-1, keepdims=True) + x.dtype.type(node.attrs["epsilon"]))
        yield "gamma", Made((dy * (away / deviation)).sum(axis=1))
    if "beta" in node.variables:
        yield "beta", Made(dy.sum(axis=1))


def _prelu(engine, node, x, dy):
    n, alpha = len(x), node.variables["alpha"]
    product = np.where(x > 0, 0, dy * x).reshape(n, -1)
    places = broadcast_map(node.attrs["shape"], node.out.shape)
    if places is not None:
        whole = np.zeros((n, alpha.size), product.dtype)
        np.add.at(whole, (slice(None), places), product)
        product = whole
    yield "alpha", Made(product)


FORMULAS = dict(zip(LEFT, (_dense, _batch_norm, _layer_norm, _prelu), strict=True))


# -- runs -----------------------------------------------------------------------------------------------------------
def _run(engine, program, n, stage, live, data=(None, None)):
    sums = engine.no_sums()
    while not run_stage(engine, program, n, stage, live, data=data, training=False, sums=sums):
        pass


def _blocks(n, size):
    return [slice(at, min(n, at + size)) for at in range(0, n, size)]


def per_sample(engine, x, y, w, write, out):
    """Have `write`, a method of `Rows`, put the gradients of each row's loss into blocks of rows of `out`."""
    engine.store.acquire()
    rows = write.__self__
    for objective in engine.objectives:
        if getattr(objective.loss, "of_batch", False):
            raise ValueError(f"loss: expected one with a value for each sample, got {objective.loss.name} of batches")
    if rows.rest:
        engine.has_gradients = False  # will be overwritten
    for at in _blocks(len(x), rows.block):
        n, x_at, y_at, w_at = at.stop - at.start, x[at], None if y is None else y[at], None if w is None else w[at]
        program = engine.program("per_sample", n, code(x_at), targets_code(y_at), weighted(w_at))
        live = addresses(engine, x_at, y_at, w_at)
        _begin(engine, rows)
        for stage in ("forward", "backward"):
            _run(engine, program, n, stage, live, (y_at, w_at))
        write(program, n, out[at])


def _begin(engine, rows):
    if rows.rest:  # what the loss does not depend on is not written to
        engine.store.flat["grad"][:] = 0


def parameter_jacobian(engine, x, out):
    """The derivatives of all outputs by the trainable weights: arrays (n, values, parameters), one for each output."""
    engine.store.acquire()
    rows = Rows(engine)
    if rows.rest:
        engine.has_gradients = False

    def collect(program, port, at, copies, first):
        n = at.stop - at.start
        if copies == 1:
            rows.write(program, n, out[port][at, first])
            return
        found = np.empty((copies * n, rows.size), engine.dtype)
        rows.write(program, copies * n, found)
        most = out[port].shape[1]
        for copy in range(min(copies, most - first)):
            out[port][at, first + copy] = found[copy * n : (copy + 1) * n]

    _jacobian(engine, "parameter_jacobian", x, collect, rows)


def input_jacobian(engine, x, out):
    """The derivatives of outputs by inputs: ``out[output][input]`` is an array (n, values, values)."""
    engine.store.acquire()
    dx = []

    def collect(program, port, at, copies, first):
        n = at.stop - at.start
        for whole, found in zip(out[port], each(dx[0]), strict=True):
            for copy in range(min(copies, whole.shape[1] - first)):
                whole[at, first + copy] = found[copy * n : (copy + 1) * n]

    _jacobian(engine, "input_jacobian", x, collect, None, dx)


def _jacobian(engine, what, x, collect, rows, dx=None):
    sizes = [y.size for y in engine.outputs]
    for at in _blocks(len(x), rows_of_block(engine) if rows is None else rows.block):
        n = at.stop - at.start
        copies = 1 if rows is not None and rows.rest else max(1, min(LANES // n, max(sizes)))
        given = gathered(np.concatenate([a[at]] * copies) if copies > 1 else a[at] for a in each(x))
        total = n * copies
        dy = [np.zeros((total, size), engine.dtype) for size in sizes]
        if dx is not None:
            dx[:] = [room(engine.inputs, total, engine.dtype)]
        program = engine.program(what, total, code(given), code(gathered(dy)))
        program.refresh(engine.store)
        live = addresses(engine, given, dy=gathered(dy), dx=dx[0] if dx else None)
        _run(engine, program, total, "forward", live)
        for port, size in enumerate(sizes):
            ones = dy[port].reshape(copies, n, size)
            for first in range(0, size, copies):
                here = range(min(copies, size - first))
                for copy in here:
                    ones[copy, :, first + copy] = 1
                if rows is not None:
                    _begin(engine, rows)
                _run(engine, program, total, "backward", live)
                collect(program, port, at, copies, first)
                for copy in here:
                    ones[copy, :, first + copy] = 0
