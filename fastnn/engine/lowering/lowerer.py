"""The walk over a graph that turns its nodes into operations: forward, loss and metrics, backward, update.

Gradients: ``grad[tensor]`` is the buffer of dL/d(tensor). Where the producer of a tensor has a fused activation, a
consumer multiplies by its derivative in its own epilogue if it can (`epilogue`), else an operation of its own does.
"""

from collections import Counter
from itertools import accumulate
from math import inf

import numpy as np

from ..._core import kernels
from ..folding import find_folds
from ..parameter_store import aligned
from ..ports import name
from .health import Look
from .registry import LOWERINGS
from .update import STATES, Update

ONLY_LOSS = ("derivative", "observe", "per_sample")  # programs without metrics
TO_THE_INPUT = ("manual", "gradient", "input_jacobian")  # programs that return the gradient of the input
LEFT = ("dense", "batch_norm", "layer_norm", "prelu")  # kinds of nodes for which by_row.py has formulas


def lower(planner):
    """Emit everything: data, forward, loss, metrics, backward, update."""
    Lowerer(planner).run()


class Lowerer:
    """The state of one lowering: the buffers of tensors, and the progress of their gradients."""

    def __init__(self, planner):
        self.pl = planner
        self.engine = planner.engine
        self.nodes, self.inputs, self.outputs = self.engine.nodes, self.engine.inputs, self.engine.outputs
        self.consumers = self.engine.consumers
        self.rows = {name: from_input for name, _, from_input in kernels.activation_rows()}
        self.ids = {node: i for i, node in enumerate(self.nodes)}
        self.tensors = {node.out: f"t{i}" for node, i in self.ids.items()}
        self.own = dict(self.tensors)  # before nodes without effect give theirs the buffers of others
        self.grads = {}  # tensor -> number of contributions so far
        self.multiplied = set()  # tensors whose gradient already has the derivative of the producer's activation
        self.vectors = set()  # variables that no kernel updates in place, whatever `fused` is
        uses = Counter(v for n in self.nodes if n.trainable for v in n.variables.values())
        self.shared = {v for v, count in uses.items() if count > 1 and v.trainable}
        self.begun = set()  # shared variables whose gradient has that of a later use already
        self.saved = {}  # batch normalisation -> moments of the batch
        self.parts = {}  # batch normalisation -> memory for results of the dense layer after it (`bn_of`)
        self.penalties = [n for n in self.nodes if n.kind == "activity"]
        self.folds, self.absorbed = find_folds(self) if planner.what in ("predict", "evaluate") else ({}, {})
        self.needs = self._needs_gradient()
        self.postponed = []  # functions that emit gradients of parameters
        self.emit = planner.emit
        self.update = Update(self)
        self.look = planner.look = Look(self, planner.health)

    # -- helpers ----------------------------------------------------------------------------------------------
    def panels(self, size):
        return -(-size // self.pl.panel)

    def value(self, tensor):
        return self.pl.buffer(self.tensors[tensor], tensor.size)

    def pre(self, node):
        """The input of the node's activation, where the derivative needs it or the loss does; else None."""
        if node.act is None:
            return None
        needed = self.rows[node.act[0]] and self.pl.differentiates or self.is_read_through(node.out)
        if needed or self.look.has_inner(node):
            return self.pl.buffer(self.tensors[node.out] + ".z", node.out.size)
        return None

    def act_operand(self, node):
        """What the derivative of the node's activation is computed from."""
        return self.pre(node) if self.rows[node.act[0]] else self.value(node.out)

    def gkey(self, tensor):
        return "d" + self.own[tensor]

    def gradient(self, tensor):
        return self.pl.buffer(self.gkey(tensor), tensor.size)

    def variables(self, flat, node, offset=0, roles=None):
        """The node's parameters, or those of some roles, in one of the store's flat blocks."""
        variables = [v for role, v in node.variables.items() if roles is None or role in roles]
        return self.pl.at(flat, variables, offset)

    def states(self, node, offset=0, roles=None):
        """The operands that are the optimizer's states of the node's parameters."""
        return {name: self.variables(name, node, offset, roles) for name in STATES}

    def way(self, tensor, backward=False):
        """By features if the next operation reduces over the batch (so that it need not wait), else both ways."""
        if self.look.looks:  # which does for all of them
            return "features"
        if backward:
            wide = tensor.node.kind == "batch_norm" and tensor.node.trainable
        else:
            wide = any(n.kind == "batch_norm" and n.trainable for n in self.consumers.get(tensor, ()))
        return "features" if wide and self.pl.training and not self.pl.chunked else "both"

    def bn_of(self, dense):
        """The batch normalisation whose gradients the dense layer after it computes along the way (gemm/dense.inl.h).

        Where nothing before the batch normalisation needs a gradient and its result has no other reader; else None.
        Not in chunks: none of them has the whole gradient of the dense layer."""
        x = dense.inputs[0]
        node = x.node
        if node.kind != "batch_norm" or not self.pl.training or self.pl.chunked or dense.attrs["groups"] > 1:
            return None
        alone = node.act is None and len(self.consumers[x]) == 1 and not self.look.looks and x not in self.outputs
        both = dense.trainable and node.trainable and x in self.needs
        shared = any(v in self.shared for n in (dense, node) for v in n.variables.values())
        return node if alone and both and not shared and node.inputs[0] not in self.needs else None

    def dense_of(self, bn):
        """The dense layer whose `bn_of` this is."""
        readers = self.consumers.get(bn.out, ())
        return next((n for n in readers if n.kind == "dense" and self.bn_of(n) is bn), None)

    def _needs_gradient(self):
        """Tensors whose gradient is needed further back: by a trained parameter, or the caller."""
        trained = set(self.engine.trainable)
        needs = set()
        for node in self.nodes:
            below = any(t in needs for t in node.inputs) or self.pl.what in TO_THE_INPUT
            own = node.trainable and any(v in trained for v in node.variables.values())
            if below or own:
                needs.add(node.out)
        return needs

    def epilogue(self, tensor):
        """The operands with which a consumer ends its gradient with the producer's derivative, if it can."""
        node = tensor.node
        if node.act is None or len(self.consumers.get(tensor, ())) != 1 or self.look.looks or tensor in self.outputs:
            return {}
        self.multiplied.add(tensor)
        return {"t": self.act_operand(node), "act": node.act[0], "s": node.act[1]}

    def activation(self, node):
        """The operands with which a kernel ends in the node's activation, if it has one."""
        return {"act": node.act[0], "s": node.act[1], "z": self.pre(node)} if node.act else {"z": self.pre(node)}

    def trains(self, node):
        """Whether gradients of the node's parameters are to be computed, and not left to by_row.py."""
        if not (self.pl.by_row and node.kind in LEFT):
            return node.trainable
        if node.trainable:
            self.pl.left.append((self.ids[node], self.tensors[node.inputs[0]], self.gkey(node.out)))
        return False

    def adds(self, node):
        """1 if the gradients of the node's parameters hold those of another use of them already, else 0."""
        shared = {v for v in node.variables.values() if v in self.shared}
        found = int(bool(shared & self.begun))
        self.begun |= shared
        return found

    def slots(self, node, offset=0, roles=None):
        """Where an operation over some samples leaves its part of a gradient: parallel to theta, slot by slot."""
        pl = self.pl
        if not pl.chunked:
            return self.variables("grad", node, offset, roles)
        if not hasattr(pl, "slot_memory"):
            pl.slot_memory = aligned(pl.slots * pl.store.size * pl.itemsize).view(pl.dtype)
        slots = pl.keep(pl.slot_memory)
        return slots._replace(offset=slots.offset + offset * pl.itemsize)

    def contribute(self, tensor):
        """Where a consumer writes its part of the tensor's gradient, and what to call afterwards."""
        count = self.grads.get(tensor, 0)
        self.grads[tensor] = count + 1
        whole = self.gradient(tensor)
        if count == 0:
            return whole, lambda: None
        part = self.pl.buffer(self.gkey(tensor) + ".part", tensor.size)
        way = "features" if self.look.looks else "both"
        return part, lambda: self.emit("add", way=way, y=whole, a=whole, b=part, F=tensor.size)

    def pass_on(self, node, x, scale=1.0):
        """The gradient of the node's result, times a number, is a contribution to that of its input."""
        dx, done = self.contribute(x)
        dy = self.gradient(node.out)
        self.emit("affine", way=self.way(x, True), y=dx, x=dy, F=x.size, scale=scale, offset=0.0)
        done()

    def finished_gradient(self, node):
        """The gradient of the node's result before its activation."""
        d = self.gradient(node.out)
        if node.act is not None and node.out not in self.multiplied:
            self.emit("act_bwd", way=self.way(node.out, True), dx=d, dy=d, t=self.act_operand(node),
                      F=node.out.size, act=node.act[0], s=node.act[1])  # fmt: skip
            self.multiplied.add(node.out)
            self.look.inner_gradient(node)
        return d

    # -- the whole --------------------------------------------------------------------------------------------
    def run(self):
        pl = self.pl
        pl.part("forward")
        with_loss = self.has_loss()
        if with_loss:
            self.factors = [self.loss_factor(o, port) for port, o in enumerate(self.engine.objectives)]
        for port, x in enumerate(self.inputs):
            self.gather(name("x", port), self.value(x), x.size, pl.x_codes[port], self.way(x))
        for node in self.nodes:
            if node.kind != "input":
                self.forward(node)
        if pl.what in ("predict", "manual"):
            for port, y in enumerate(self.outputs):
                self.scatter(name("out", port), self.value(y), y.size)
        if with_loss:
            self.python_loss()
            self.loss_and_metrics()
            self.python_metrics()
            self.look.after_loss()
        if pl.differentiates:
            self.backward(given=pl.what == "manual" or not with_loss)
        if pl.differentiates and not pl.by_row and pl.what not in ("gradient", "input_jacobian"):
            self.update.emit()

    def has_loss(self):
        """Whether the program has the loss in it."""
        what = self.pl.what
        return what in ("train", "evaluate", *ONLY_LOSS) or what == "gradient" and self.engine.loss is not None

    def is_read_through(self, tensor):
        """Whether this is an output whose loss reads what its activation reads."""
        both = zip(self.outputs, self.engine.objectives, strict=True)
        return any(y is tensor and objective.reads_pre for y, objective in both)

    def loss_factor(self, objective, port):
        """The factor from a batch mean to a mean over valid samples or weights: known before the chunks start."""
        pl = self.pl
        if objective.row is None or objective.reduction in ("sum", "none") or pl.by_row:
            return None
        _, params, target = objective.row
        ignores = target == "labels" and params[0] != inf
        weighted = pl.weighted[port] and objective.reduction == "mean_with_sample_weight"
        if not (ignores or weighted):
            return None
        factor = pl.keep(np.zeros(1))
        self.emit("loss_factor", factor=factor, labels=pl.live(name("y", port)) if ignores else None,
                  weight=pl.live(name("weight", port)) if weighted else None,
                  ignore_class=params[0] if ignores else inf)  # fmt: skip
        return factor

    def loss_gives(self, node):
        """Whether this is the softmax whose probabilities the loss, which works on the logits, gives by the way."""
        gives = node.kind == "softmax" and node.attrs["row"] == "softmax"
        return gives and self.has_loss() and self.is_read_through(node.out)

    def forward(self, node):
        if self.loss_gives(node):
            return
        if node in self.absorbed:
            if self.absorbed[node] == "before":  # the dense layer reads what this node would have read
                self.tensors[node.out] = self.tensors[node.inputs[0]]
            return
        LOWERINGS[node.kind].forward(self, node)
        self.look.forward(node)

    def gather(self, base, into, size, code, way):
        row_bytes, dtype_code = code
        self.emit("gather", way=way, y=into, x=self.pl.live(base), F=size, stride=row_bytes, dtype=dtype_code)

    def scatter(self, base, source, size):
        self.emit("scatter", y=self.pl.live(base), x=source, F=size, stride=size)

    def loss_and_metrics(self):
        pl, engine = self.pl, self.engine
        if pl.separate:
            pl.part("loss")
        starts = [0, *accumulate(engine.pairs)][engine.penalties_apart :]
        rows = [(row, at) for row, at in zip(engine.core_rows, starts, strict=False) if self.counts(row)]
        if not rows and not self.penalties:
            self.keep_scores()
            return
        pl.partials = np.zeros((sum(engine.pairs), 2 * -(-pl.batch // pl.panel)))
        for port, y in enumerate(self.outputs):
            of_output = [(row, at) for row, at in rows if row.output == port]
            if any(row.target == "values" for row, _ in of_output):
                self.gather(name("y", port), pl.buffer(self.target(port), y.size), y.size, pl.y_codes[port], "samples")
            for row, at in of_output:
                (self.loss if row.is_loss else self.metric)(row, pl.keep(pl.partials[at]))
        self.keep_scores()
        for i, penalty in enumerate(self.penalties):
            x = penalty.inputs[0]
            l1, l2 = penalty.attrs["params"]
            self.emit("activity", partial=pl.keep(pl.partials[0]), x=self.value(x), F=x.size,
                      alone=int(engine.penalties_apart and i == 0), l1=l1, l2=l2)  # fmt: skip

    def counts(self, row):
        """Whether the program has this loss or metric in it."""
        return row.is_loss or self.pl.what not in ONLY_LOSS

    def target(self, port):
        """The key of the buffer of an output's targets."""
        return name("target", port)

    def of_data(self, row):
        """What a loss or metric reads: targets, and weights or None."""
        port, y = row.output, self.outputs[row.output]
        truth = self.pl.live(name("y", port)) if row.target == "labels" else self.pl.buffer(self.target(port), y.size)
        return truth, self.pl.live(name("weight", port)) if self.pl.weighted[port] and row.weighted else None

    def metric(self, row, sums):
        y, (truth, weight) = self.outputs[row.output], self.of_data(row)
        self.emit(row.kernel, sums=sums, y_pred=self.value(y), target=truth, weight=weight, K=y.size,
                  stride=self.pl.partials[0].size, params=row.params)  # fmt: skip

    def loss(self, row, sums):
        pl, y, objective = self.pl, self.outputs[row.output], self.engine.objectives[row.output]
        node, (truth, weight) = y.node, self.of_data(row)
        source, into, probabilities = self.value(y), y, None
        if objective.reads_pre and node.kind == "softmax":
            into = node.inputs[0]
            source = self.value(into)
            probabilities = self.value(y) if node.attrs["row"] == "softmax" else None
        elif objective.reads_pre:
            source = self.pre(node)
        dy, done = None, None
        if pl.differentiates and y in self.needs:
            if objective.reads_pre and node.act is not None:
                self.multiplied.add(y)  # the loss went through the activation
            dy, done = self.contribute(into)
        terms = None
        if objective.reduction == "none":
            rows = -(-pl.batch // pl.panel) * pl.panel
            terms = pl.terms[row.output] = pl.keep(np.zeros(rows, pl.dtype))
        self.emit(row.kernel, grad=dy, y_pred=source, terms=terms, target=truth, weight=weight, sums=sums,
                  probabilities=probabilities, factor=self.factors[row.output], K=y.size,
                  by_sum=int(objective.reduction == "sum" or pl.by_row), params=row.params)  # fmt: skip
        if dy is not None and objective.weight != 1:
            self.emit("affine", way="samples", y=dy, x=dy, F=y.size, scale=objective.weight, offset=0.0)
        if done is not None:
            done()

    def keep_scores(self):
        """The outputs, for metrics by ranks: after the loss, which may be what makes the probabilities."""
        if self.pl.what not in ONLY_LOSS:
            for port in sorted({output for *_, output in self.engine.score_places}):
                self.scatter(name("out", port), self.value(self.outputs[port]), self.outputs[port].size)

    def python_loss(self):
        for port, (y, objective) in enumerate(zip(self.outputs, self.engine.objectives, strict=True)):
            if objective.in_python:
                out, done = None, None
                if self.pl.differentiates and y in self.needs:
                    out, done = self.contribute(y)
                self.pl.part("python", ("loss", port, (self.tensors[y], y), (out and out.key, y)))
                if done is not None and self.grads[y] > 1:
                    self.pl.part("forward")
                    done()

    def python_metrics(self):
        """After the loss, which may be what makes the probabilities."""
        for port in sorted({output for *_, output in self.engine.python_metrics}):
            if self.pl.what not in ONLY_LOSS:
                y = self.outputs[port]
                self.pl.part("python", ("metrics", port, (self.tensors[y], y), (None, None)))

    def backward(self, given):
        """given: whether the gradient of the results comes from the caller."""
        pl = self.pl
        pl.part("backward")
        for port, y in enumerate(self.outputs if given else ()):
            dy, done = self.contribute(y)
            self.gather(name("dy", port), dy, y.size, pl.y_codes[port], "both")
            done()
        for node in reversed(self.nodes):
            penalised = node.kind == "activity" and pl.what != "parameter_jacobian"
            if node.kind != "input" and self.grads.get(node.out) or penalised:
                self.look.backward(node)
                LOWERINGS[node.kind].backward(self, node)
        self.emit_postponed()
        if pl.what in TO_THE_INPUT:
            for port, x in enumerate(self.inputs):
                self.scatter(name("dx", port), self.gradient(x), x.size)

    def emit_postponed(self):
        """Gradients of parameters that were postponed until after the gradient of the next layer's input.

        Both need dY of their own layer and nothing of each other: together they have one barrier, where each directly
        after dX of its own layer would have another one, for it changes the weights that dX reads."""
        postponed, self.postponed = self.postponed, []
        for emit in postponed:
            emit()
