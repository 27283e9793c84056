"""The walk over a graph, and how its heaviest nodes become kernels: forward, gradient of input, of parameters.

Gradients: ``grad[tensor]`` is the buffer of dL/d(tensor). Where the producer of a tensor has a fused activation, a
consumer multiplies by its derivative in its own epilogue if it can (`epilogue`), else an operation of its own does.
"""

from math import inf

import numpy as np

from ..._core import kernels
from ..folding import find_folds
from ..parameter_store import aligned
from ..precision import splits_for
from .update import STATES, Update

LOWERINGS = {}
WORTH_WAITING = 1 << 17  # floating-point operations of a dense layer: half a microsecond, about that of a barrier


def lowering(kind):
    """Decorator: the class says how nodes of a kind become operations."""
    return lambda cls: LOWERINGS.setdefault(kind, cls())


def lower(planner):
    """Emit everything: data, forward, loss, metrics, backward, update."""
    Lowerer(planner).run()


class Lowerer:
    """The state of one lowering: the buffers of tensors, and the progress of their gradients."""

    def __init__(self, planner):
        self.pl = planner
        self.engine = planner.engine
        self.nodes, self.x, self.y = self.engine.nodes, self.engine.x, self.engine.y
        self.consumers = self.engine.consumers
        self.rows = {name: from_input for name, _, from_input in kernels.activation_rows()}
        self.ids = {node: i for i, node in enumerate(self.nodes)}
        self.tensors = {node.out: f"t{i}" for node, i in self.ids.items()}
        self.split_of = {}  # tensor -> split of the operation that wrote it
        self.grads = {}  # tensor -> number of contributions so far
        self.multiplied = set()  # tensors whose gradient already has the derivative of the producer's activation
        self.vectors = set()  # variables that no kernel updates in place, whatever `fused` is
        self.parts = {}  # batch normalisation -> memory for results of the dense layer after it (`bn_of`)
        self.penalties = [n for n in self.nodes if n.kind == "activity"]
        self.folds, self.absorbed = find_folds(self) if planner.what in ("predict", "evaluate") else ({}, {})
        self.needs = self._needs_gradient()
        self.postponed = []  # functions that emit gradients of parameters
        self.update = Update(self)

    # -- helpers ----------------------------------------------------------------------------------------------
    def panels(self, size):
        return -(-size // self.pl.panel)

    def value(self, tensor):
        return self.pl.buffer(self.tensors[tensor], tensor.size)

    def pre(self, node):
        """The input of the node's activation, where the derivative needs it or the loss does; else None."""
        if node.act is None:
            return None
        if self.rows[node.act[0]] and self.pl.differentiates or node.out is self.y and self.engine.loss_reads_pre:
            return self.pl.buffer(self.tensors[node.out] + ".z", node.out.size)
        return None

    def act_operand(self, node):
        """What the derivative of the node's activation is computed from."""
        return self.pre(node) if self.rows[node.act[0]] else self.value(node.out)

    def gkey(self, tensor):
        return "d" + self.tensors[tensor]

    def gradient(self, tensor):
        return self.pl.buffer(self.gkey(tensor), tensor.size)

    def split_for(self, tensor, backward=False):
        """By features if the next operation reduces over the batch (so that it need not wait), else both ways."""
        if backward:
            wide = tensor.node.kind == "batch_norm" and tensor.node.trainable
        else:
            wide = any(n.kind == "batch_norm" and n.trainable for n in self.consumers.get(tensor, ()))
        return "features" if wide and self.pl.training and not self.pl.chunked else "both"

    def elementwise_split(self, key):
        """The split of the operation before, so that no thread has to wait."""
        return self.split_of.get(key, "both")

    def bn_of(self, dense):
        """The batch normalisation whose gradients the dense layer after it computes along the way (gemm/dense.inl.h).

        Where nothing before the batch normalisation needs a gradient and its result has no other reader; else None.
        Not in chunks: none of them has the whole gradient of the dense layer."""
        x = dense.inputs[0]
        node = x.node
        if node.kind != "batch_norm" or not self.pl.training or self.pl.chunked:
            return None
        alone = node.act is None and len(self.consumers[x]) == 1
        both = dense.trainable and node.trainable and x in self.needs
        return node if alone and both and node.inputs[0] not in self.needs else None

    def dense_of(self, bn):
        """The dense layer whose `bn_of` this is."""
        readers = self.consumers.get(bn.out, ())
        return next((n for n in readers if n.kind == "dense" and self.bn_of(n) is bn), None)

    def _needs_gradient(self):
        """Tensors whose gradient is needed further back: by a trained parameter, or the caller."""
        trained = set(self.engine.trainable)
        needs = set()
        for node in self.nodes:
            below = any(t in needs for t in node.inputs) or self.pl.what in ("manual", "gradient")
            own = node.trainable and any(v in trained for v in node.variables.values())
            if below or own:
                needs.add(node.out)
        return needs

    def epilogue(self, tensor):
        """``(operand, [fn], params)`` for a consumer that can end its gradient with the producer's derivative."""
        node = tensor.node
        if node.act is None or len(self.consumers.get(tensor, ())) != 1:
            return None, [None], ()
        self.multiplied.add(tensor)
        return self.act_operand(node), [("act_bwd", node.act[0])], node.act[1]

    def slots(self, offset=0):
        """Where an operation over some samples leaves its part of a gradient: parallel to theta, slot by slot."""
        pl = self.pl
        if not pl.chunked:
            return pl.at("grad", offset)
        if not hasattr(pl, "slot_memory"):
            pl.slot_memory = aligned(pl.slots * pl.store.size * pl.itemsize).view(pl.dtype)
        base, start = pl.keep(pl.slot_memory)
        return (base, start + offset * pl.itemsize)

    def contribute(self, tensor):
        """Where a consumer writes its part of the tensor's gradient, and what to call afterwards."""
        count = self.grads.get(tensor, 0)
        self.grads[tensor] = count + 1
        if count == 0:
            return self.gradient(tensor), self.gkey(tensor), lambda: None
        key = self.gkey(tensor) + ".part"

        def add():
            self.pl.emit("add", [self.gradient(tensor), self.gradient(tensor), self.pl.buffer(key, tensor.size)],
                         [tensor.size], split="both", features=tensor.size,
                         access=[(self.gkey(tensor), "w", True), (key, "r", True)])  # fmt: skip

        return self.pl.buffer(key, tensor.size), key, add

    def finished_gradient(self, node):
        """The gradient of the node's result before its activation."""
        if node.act is not None and node.out not in self.multiplied:
            key = self.gkey(node.out)
            d, t = self.gradient(node.out), self.act_operand(node)
            self.pl.emit("act_bwd", [d, d, t], [node.out.size], node.act[1], [("act_bwd", node.act[0])],
                         split=self.split_for(node.out, True), features=node.out.size,
                         access=[(key, "w", True)])  # fmt: skip
            self.multiplied.add(node.out)
        return self.gradient(node.out)

    # -- the whole --------------------------------------------------------------------------------------------
    def run(self):
        pl = self.pl
        pl.part("forward")
        with_loss = self.has_loss()
        if with_loss:
            self.loss_factor()
        self.gather(self.x, "x", self.tensors[self.x], pl.x_code, self.split_for(self.x))
        for node in self.nodes:
            if node.kind != "input":
                self.forward(node)
        if pl.what in ("predict", "manual"):
            self.scatter(self.y, "out", self.tensors[self.y])
        if with_loss:
            self.python_loss()
            self.loss_and_metrics()
            self.python_metrics()
        if pl.differentiates:
            self.backward(given=pl.what == "manual" or not with_loss)
        if pl.differentiates and pl.what != "gradient":
            self.update.emit()

    def has_loss(self):
        """Whether the program has the loss in it."""
        what = self.pl.what
        return what in ("train", "evaluate", "derivative") or what == "gradient" and self.engine.loss is not None

    def loss_factor(self):
        """The factor from a batch mean to a mean over valid samples or weights: known before the chunks start."""
        pl, engine = self.pl, self.engine
        self.factor = None
        if engine.loss_row is None or engine.reduction in ("sum", "none"):
            return
        _, params, target = engine.loss_row
        ignores = target == "labels" and params[0] != inf
        weighted = pl.weighted and engine.reduction == "mean_with_sample_weight"
        if not (ignores or weighted):
            return
        self.factor = pl.keep(np.zeros(1))
        labels, weights = ("y", 0) if ignores else None, ("weight", 0) if weighted else None
        pl.emit("loss_factor", [self.factor, labels, weights], [], params[:1] if ignores else [inf], split="one",
                access=[("factor", "w", False)], reduces=True)  # fmt: skip

    def loss_gives(self, node):
        """Whether this is the softmax whose probabilities the loss, which works on the logits, gives by the way."""
        by_loss = self.engine.loss_reads_pre and self.has_loss()
        return by_loss and node.out is self.y and node.kind == "softmax" and node.attrs["row"] == "softmax"

    def forward(self, node):
        if self.loss_gives(node):
            return
        if node in self.absorbed:
            if self.absorbed[node] == "before":  # the dense layer reads what this node would have read
                self.tensors[node.out] = self.tensors[node.inputs[0]]
            return
        LOWERINGS[node.kind].forward(self, node)

    def gather(self, tensor, base, key, code, split):
        row_bytes, dtype_code = code
        self.pl.emit("gather", [self.pl.buffer(key, tensor.size), (base, 0)], [tensor.size, row_bytes, dtype_code],
                     split=split, features=tensor.size, access=[(key, "w", True)])  # fmt: skip
        self.split_of[key] = split

    def scatter(self, tensor, base, key):
        self.pl.emit("scatter", [(base, 0), self.pl.buffer(key, tensor.size)], [tensor.size, tensor.size],
                     split="both", features=tensor.size,
                     access=[(key, "r", self.split_of.get(key) == "both")])  # fmt: skip

    def loss_and_metrics(self):
        pl, engine = self.pl, self.engine
        y, size = self.y, self.y.size
        node = y.node
        specs = [] if engine.loss_row is None else [(*engine.loss_row, pl.weighted)]
        specs += [] if pl.what == "derivative" else engine.metric_rows
        if pl.separate:
            pl.part("loss")
        alone = not engine.loss_row and bool(self.penalties)  # then the penalty is what is first in the sums
        if not specs and not alone:
            self.keep_scores()
            return
        if any(spec[2] == "values" for spec in specs):
            self.gather(y, "y", "target", pl.y_code, "samples")
        stride, row = 2 * -(-pl.batch // pl.panel), int(alone)
        pl.partials = np.zeros((sum(engine.pairs), stride))
        source, source_key, probabilities = self.value(y), self.tensors[y], None
        if engine.loss_reads_pre:
            if node.kind == "softmax":
                logits = node.inputs[0]
                source, source_key = self.value(logits), self.tensors[logits]
                probabilities = self.value(y) if node.attrs["row"] == "softmax" else None
            else:
                source = self.pre(node)
        strict = pl.what != "derivative"
        for pairs, (kernel, params, target, weighted) in zip(engine.pairs[alone:], specs, strict=strict):
            partial = pl.keep(pl.partials[row])
            row += pairs
            truth = ("y", 0) if target == "labels" else pl.buffer("target", size)
            weight = ("weight", 0) if pl.weighted and weighted else None
            if kernel.startswith("metric:"):
                p = [partial, self.value(y), truth, weight]
                pl.emit(kernel, p, [size, stride], params, split="samples",
                        access=[(self.tensors[y], "r", True), ("target", "r", True)])  # fmt: skip
                continue
            dy, access = None, [(source_key, "r", True), ("target", "r", True)]
            if pl.differentiates and y in self.needs:
                into = node.inputs[0] if engine.loss_reads_pre and node.kind == "softmax" else y
                self.grads[into] = self.grads.get(into, 0) + 1
                if engine.loss_reads_pre and node.act is not None:
                    self.multiplied.add(y)  # the loss went through the activation
                dy = self.gradient(into)
                access.append((self.gkey(into), "w", True))
            if probabilities is not None:
                access.append((self.tensors[y], "w", True))
            access.append(("factor", "r", False))
            p = [dy, source, truth, weight, partial, probabilities, None, self.factor]
            pl.emit(kernel, p, [size, int(engine.reduction == "sum")], params, split="samples",
                    access=access)  # fmt: skip

        self.keep_scores()
        for i, penalty in enumerate(self.penalties):
            x = penalty.inputs[0]
            pl.emit("activity", [pl.keep(pl.partials[0]), self.value(x)], [x.size, int(alone and i == 0)],
                    penalty.attrs["params"], split="samples",
                    access=[(self.tensors[x], "r", True)])  # fmt: skip

    def keep_scores(self):
        """The outputs, for metrics by ranks: after the loss, which may be what makes the probabilities."""
        if self.engine.score_places and self.pl.what != "derivative":
            self.scatter(self.y, "out", self.tensors[self.y])

    def python_loss(self):
        y = self.y
        if self.engine.python_loss:
            out = None
            if self.pl.differentiates and y in self.needs:
                self.grads[y] = 1
                self.gradient(y)
                out = self.gkey(y)
            self.pl.part("python", ("loss", None, (self.tensors[y], y), (out, y)))

    def python_metrics(self):
        """After the loss, which may be what makes the probabilities."""
        if self.engine.python_metrics and self.pl.what != "derivative":
            self.pl.part("python", ("metrics", None, (self.tensors[self.y], self.y), (None, None)))

    def backward(self, given):
        """given: whether the gradient of the results comes from the caller."""
        pl = self.pl
        pl.part("backward")
        if given:
            self.gather(self.y, "dy", self.gkey(self.y), pl.y_code, "both")
            self.grads[self.y] = 1
        for node in reversed(self.nodes):
            if node.kind != "input" and self.grads.get(node.out) or node.kind == "activity":
                LOWERINGS[node.kind].backward(self, node)
        self.emit_postponed()
        if pl.what in ("manual", "gradient"):
            self.scatter(self.x, "dx", self.gkey(self.x))


    def emit_postponed(self):
        """Gradients of parameters that were postponed until after the gradient of the next layer's input.

        Both need dY of their own layer and nothing of each other: together they have one barrier, where each directly
        after dX of its own layer would have another one, for it changes the weights that dX reads."""
        postponed, self.postponed = self.postponed, []
        for emit in postponed:
            emit()


class Lowering:
    """How one kind of node becomes operations; registered by the decorator `lowering`."""

    def forward(self, lo, node):
        raise NotImplementedError(node.kind)

    def backward(self, lo, node):
        raise NotImplementedError(node.kind)


@lowering("dense")
class Dense(Lowering):
    def sizes(self, lo, node):
        place = lo.pl.store.places[node.variables["kernel"]]
        return place, [place.inputs, place.units, place.rows]

    def bf16_splits(self, lo, kernel, n):
        pl = lo.pl
        batch = pl.chunk if pl.chunked else pl.batch
        splits = splits_for(kernel, pl.splits, batch, n[0], n[1])
        if splits and not kernels.has_tiles(lo.engine.isa):
            splits = 0
        pl.by_tiles |= splits > 0
        return splits

    def split(self, lo, tensor, n, backward=False):
        """By samples if there is so little work that a barrier would cost more than other threads save."""
        small = 2 * n[0] * n[1] * lo.pl.batch <= WORTH_WAITING and lo.pl.training and not lo.pl.chunked
        split = lo.split_for(tensor, backward)
        return "samples" if small and split == "both" else split

    def kept(self, lo, node, splits):
        """Where the split of the kernel is kept from step to step; None: it is not.

        Two splits have as many bytes as the numbers: computing them again costs less than reading and writing."""
        pl = lo.pl
        if splits != 1 or node in lo.folds or pl.what == "derivative":  # which has other weights in each call
            return None
        place = pl.store.places[node.variables["kernel"]]
        if place.off not in pl.kept_splits:
            blocks = place.panels * lo.panels(place.inputs)
            where = pl.keep(aligned(blocks * pl.panel * pl.panel * 2))
            pl.kept_splits[place.off] = where, place.panels, [place.inputs, place.units, place.rows]
        return pl.kept_splits[place.off][0]

    def forward(self, lo, node):
        place, n = self.sizes(lo, node)
        weights, last = lo.pl.at("theta", place.off), node
        if node in lo.folds:
            fold = lo.folds[node]
            lo.pl.folds.append(fold)
            weights, last, n = lo.pl.keep(fold.panels), fold.after or node, [place.inputs, place.units, fold.rows]
        x, y = node.inputs[0], last.out
        split, splits = self.split(lo, y, n), self.bf16_splits(lo, "dense_fwd", n)
        fn, params = ([("act_fwd", last.act[0])], last.act[1]) if last.act else ([None], ())
        lo.pl.emit("dense_fwd", [lo.value(y), lo.value(x), weights, lo.pre(last), self.kept(lo, node, splits)],
                   [*n, splits], params, fn, split=split, features=y.size, whole=splits > 0,
                   access=[(lo.tensors[x], "r", split == "samples"), (lo.tensors[y], "w", True),
                           (("w", node), "r", False)])  # fmt: skip
        lo.split_of[lo.tensors[y]] = split

    def backward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        place, n = self.sizes(lo, node)
        dy, bn = lo.finished_gradient(node), lo.bn_of(node)
        if bn is not None:
            lo.grads[x] = 1  # as far as `backward` is to go on there
        elif x in lo.needs:
            operand, fn, params = lo.epilogue(x)
            dx, key, done = lo.contribute(x)
            split, splits = self.split(lo, x, n, True), self.bf16_splits(lo, "dense_dx", n)
            pl.emit("dense_dx", [dx, dy, pl.at("theta", place.off), operand, self.kept(lo, node, splits)],
                    [*n, splits], params, fn, split=split, features=x.size, whole=splits > 0,
                    access=[(key, "w", True), (lo.gkey(y), "r", split == "samples"),
                            (("w", node), "r", False)])  # fmt: skip
            done()
        lo.emit_postponed()
        if not node.trainable:
            return
        if bn is None and not pl.chunked:
            lo.postponed.append(lambda: self.parameters(lo, node, dy, None))
        else:
            self.parameters(lo, node, dy, bn)

    def parameters(self, lo, node, dy, bn):
        """The gradient of kernel and bias."""
        pl, x, y = lo.pl, node.inputs[0], node.out
        place, n = self.sizes(lo, node)
        fused = lo.update.fuses(node)
        fn = [(kind, lo.engine.optimizer_row[0]) for kind in ("update", "beside")] if fused else [None]
        states = [pl.at(s, place.off) for s in STATES] if fused else [None] * 3
        grad = pl.at("grad", place.off)
        if pl.chunked:
            grad = lo.slots(place.off)
        elif fused and pl.batch <= kernels.DW_SAMPLES:  # the gradient never leaves the cache
            grad = None
        splits = 0 if bn is not None else self.bf16_splits(lo, "dense_dw", n)
        clip = float(pl.update_options.get("clipvalue") or 0) if fused else 0.0
        renews = fused and place.off in pl.kept_splits and lo.update.finishes(node)
        most = kernels.DW_INPUTS if splits or renews else kernels.DW_INPUTS // 2  # finer for even shares
        parts = max(1, -(-place.inputs // most))
        items = place.panels * parts
        rules = lo.update.rules_of(map(node.variables.get, ("kernel", "bias")), items) if fused else None
        read, behind, more = lo.tensors[x], [], []
        if bn is not None:
            form = LOWERINGS["batch_norm"]
            read, (gamma, beta, *_) = form.normalised(lo, bn), form.parameters(lo, bn)
            behind = [form.parts(lo, bn, place.panels), gamma, beta]
            more = [(("w", bn), "r", False), (("parts", bn), "w", False)]
        if renews:
            behind = [*behind, *[None] * (3 - len(behind)), pl.kept_splits[place.off][0]]
            pl.renewed.add(place.off)
        pl.emit("dense_dw", [pl.buffer(read, x.size), dy, pl.at("theta", place.off), *states, grad, rules, *behind],
                [*n, pl.store.size, splits, parts], [clip], fn,
                split="features", items=items, costs=self.costs(pl, place, parts),
                access=[(read, "r", False), (lo.gkey(y), "r", False), *more,
                        *([(("w", node), "w", True)] if fused else [("grad", "w", False)])])  # fmt: skip

    def costs(self, pl, place, parts):
        """What an item of `dense_dw` costs, one of the last, how many those are, and of a group: a panel of units,
        whose dY is transposed once."""
        half, units = pl.panel // 2, (place.units - 1) % pl.panel + 1
        # few units have the samples along the lanes, up to half a panel have half the tiles
        last = units + half // 4 if units <= half // 2 else half + half // 8 if units <= half else pl.panel
        return pl.panel, last, parts, parts


@lowering("batch_norm")
class BatchNorm(Lowering):
    def vectors(self, lo, node):
        places, v = lo.pl.store.places, node.variables
        return {role: places[v[role]].off if role in v else -1 for role in ("gamma", "beta", "mean", "variance")}

    def parameters(self, lo, node):
        return [lo.pl.at("theta", o) if o >= 0 else None for o in self.vectors(lo, node).values()]

    def normalised(self, lo, node):
        """The buffer with (x - mean) / deviation for `Lowerer.bn_of`: that of x, if x has no other reader."""
        x = node.inputs[0]
        return lo.tensors[x] if len(lo.consumers[x]) == 1 else lo.tensors[node.out] + ".normalised"

    def parts(self, lo, node, panels):
        """Memory for what each unit panel of the dense layer adds to the gradients of gamma and beta."""
        size = 2 * panels * lo.panels(node.out.size) * lo.pl.panel
        if node not in lo.parts:
            lo.parts[node] = lo.pl.keep(aligned(size * lo.pl.itemsize))
        return lo.parts[node]

    def forward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        live = pl.training and node.trainable
        at = self.parameters(lo, node)
        saved = [pl.keep(self.saved(lo, node, i)) for i in (0, 1)] if live else [None, None]
        fn, act = ([("act_fwd", node.act[0])], node.act[1]) if node.act else ([None], ())
        s = [*act, *[0.0] * (4 - len(act)), node.attrs["momentum"], node.attrs["epsilon"]]
        split = "features" if live else lo.elementwise_split(lo.tensors[x])
        access = [(lo.tensors[y], "w", True), (lo.tensors[x], "r", True), (("w", node), "w" if live else "r", True)]
        normalised = None
        if lo.dense_of(node):
            key = self.normalised(lo, node)
            normalised = pl.buffer(key, x.size)
            access.append((key, "w", True))
        pl.emit("bn_train" if live else "bn_infer", [lo.value(y), lo.value(x), *at, *saved, lo.pre(node), normalised],
                [y.size], s, fn, split=split, features=y.size, reduces=live, access=access)
        lo.split_of[lo.tensors[y]] = split

    def saved(self, lo, node, i):
        if "saved" not in lo.__dict__:
            lo.saved = {}
        if node not in lo.saved:
            size = lo.panels(node.out.size) * lo.pl.panel
            lo.saved[node] = [aligned(size * lo.pl.itemsize).view(lo.pl.dtype) for _ in (0, 1)]
        return lo.saved[node][i]

    def backward(self, lo, node):
        pl, x, y = lo.pl, node.inputs[0], node.out
        dense = lo.dense_of(node)
        dy = lo.finished_gradient(node) if dense is None else None
        want = x in lo.needs
        if not want and not node.trainable:
            return
        if node.trainable and not pl.training:
            self.parameters_backward(lo, node, dy)
        operand, fn, act = lo.epilogue(x) if want else (None, [None], ())
        dx, key, done = lo.contribute(x) if want else (None, "none", lambda: None)
        s = [*act, *[0.0] * (4 - len(act)), 0.0, node.attrs["epsilon"], float(pl.update_options.get("clipvalue") or 0)]
        access = [(key, "w", True), (lo.gkey(y), "r", True), (lo.tensors[x], "r", True)]
        if node.trainable and pl.training:
            off = self.vectors(lo, node)
            fn = [*fn, ("update", lo.engine.optimizer_row[0]) if pl.fused else None]
            n = [x.size, off["gamma"], off["beta"], 1]
            halves = -(-x.size // (pl.panel // 2))
            rules = lo.update.rules_of(map(node.variables.get, ("gamma", "beta")), halves) if pl.fused else None
            name, first, saved = "bn_bwd", [dx, dy, lo.value(x)], [pl.keep(self.saved(lo, node, i)) for i in (0, 1)]
            if dense is not None:
                panels = pl.store.places[dense.variables["kernel"]].panels
                name, first, saved = "bn_params", [self.parts(lo, node, panels), None, None], [None, None]
                n.append(panels)
                access = [(("parts", node), "r", False)]
            pl.emit(name, [*first, pl.at("theta"), *map(pl.at, STATES), pl.at("grad"), *saved, operand, rules],
                    n, s, fn, split="features", features=x.size, reduces=True,
                    access=[*access, (("w", node), "w", True),
                            *([] if pl.fused else [("grad", "w", False)])])  # fmt: skip
        elif want:
            at = self.parameters(lo, node)
            p = [dx, dy, at[0], None, None, at[3], None, None, None, None, operand]
            pl.emit("bn_infer_bwd", p, [x.size], s, fn, split=lo.split_for(x, True), features=x.size,
                    access=access)  # fmt: skip
        done()


    def parameters_backward(self, lo, node, dy):
        """Gradients of gamma and beta where the moving averages stand for those of the batch."""
        pl, x, off = lo.pl, node.inputs[0], self.vectors(lo, node)
        mean, variance = self.parameters(lo, node)[2:]
        p = [None, dy, lo.value(x), pl.at("theta"), None, None, None, pl.at("grad"), mean, variance, None, None]
        n, s = [x.size, off["gamma"], off["beta"], 0, 1], [0.0] * 5 + [node.attrs["epsilon"]]
        pl.emit("bn_bwd", p, n, s, [None, None], split="features", features=x.size, reduces=True,
                access=[(lo.gkey(node.out), "r", True), (lo.tensors[x], "r", True), (("w", node), "r", True),
                        ("grad", "w", False)])  # fmt: skip


@lowering("python")
class Python(Lowering):
    """A call of Python for one layer: the program is split before and after."""

    def forward(self, lo, node):
        layer, x, y = node.attrs["layer"], lo.tensors[node.inputs[0]], lo.tensors[node.out]
        lo.value(node.out), lo.value(node.inputs[0])
        lo.pl.part("python", ("call", layer, (x, node.inputs[0]), (y, node.out)))
        lo.pl.part("forward")

    def backward(self, lo, node):
        layer, x = node.attrs["layer"], node.inputs[0]
        dx, key, done = lo.contribute(x) if x in lo.needs else (None, None, lambda: None)
        lo.pl.part("python", ("backward", layer, (lo.gkey(node.out), node.out), (key, x)))
        lo.pl.part("backward")
        done()
