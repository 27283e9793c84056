"""The computation of a model: a graph of operations on tensors, independent of its execution.

Layers call the methods of `Graph`; `program` turns the result into a list of kernels. Every operation is local to a
sample or says so (`batch_norm`), which is all that the planner needs to choose a schedule.
"""

import weakref
from collections import Counter
from dataclasses import dataclass, field
from math import prod


class Tensor:
    """The result of a node; `shape` is without the batch axis.

    It does not keep its node alive (the list of nodes does): a model is to leave memory when it is dropped, not when
    Python looks for cycles.

    mask : Tensor (steps,), optional
        Which of its time steps count, see `layers.Masking`; for recurrent layers that read it."""

    __slots__ = ("shape", "size", "mask", "_node", "__weakref__")

    def __init__(self, shape):
        self.shape, self.size, self._node, self.mask = shape, prod(shape), None, None

    @property
    def node(self):
        """The node that produces it."""
        return self._node and self._node()

    @node.setter
    def node(self, node):
        self._node = weakref.ref(node)


@dataclass(eq=False)
class Node:
    kind: str
    inputs: list
    out: Tensor
    attrs: dict = field(default_factory=dict)
    variables: dict = field(default_factory=dict)  # role -> Variable
    act: tuple | None = None  # (row, parameters): the activation fused into this node
    trainable: bool = True
    layer: tuple | None = None  # (name, class) of the layer that declared it
    act_layer: tuple | None = None  # the same of the fused activation


# kinds of nodes whose result has the time steps of what they read
KEEPS_MASK = ("dense", "activation", "softmax", "dropout", "noise", "affine", "layer_norm", "prelu", "normalize", "add",
              "multiply", "maximum", "minimum", "concatenate", "mask_steps")  # fmt: skip


class Graph:
    """Nodes in the order in which layers declared them, which is an order in which they can run."""

    def __init__(self):
        self.nodes = []
        self.consumers = {}  # Tensor -> [Node]
        self.draws = Counter()  # nodes of each random stream
        self.layer = None  # (name, class) of the layer that declares nodes now
        self.order = ()  # of variables: the model's

    def stream(self, seed_id):
        """The random stream of a node: that of its layer, or for another use of the layer one of its own."""
        use = self.draws[seed_id]
        self.draws[seed_id] += 1
        return seed_id ^ use << 20

    def node(self, kind, inputs, shape, attrs=None, variables=None, trainable=True):
        """Declare an operation and return its result.

        A layer whose lowering nobody else uses calls this itself, so that it needs no method here.

        Parameters
        ----------
        kind : str
            Name under which `engine.lowering` has it.
        inputs : list of Tensor
        shape : tuple of int
            Of a sample of the result.
        attrs : dict, optional
            Whatever the lowering needs; part of the key under which plans are kept.
        variables : dict, optional
            ``{role: Variable}``.
        trainable : bool
            False if the layer is frozen.
        """
        node = Node(kind, list(inputs), Tensor(tuple(shape)), attrs or {}, variables or {}, trainable=trainable)
        node.layer = self.layer
        node.out.node = node
        node.out.mask = self._mask(node)
        self.nodes.append(node)
        for tensor in inputs:
            self.consumers.setdefault(tensor, []).append(node)
        return node.out

    def _mask(self, node):
        """The mask that a node passes on: one that treats every time step alike, or joins two of one mask."""
        masks = list(dict.fromkeys(t.mask for t in node.inputs if t.mask is not None))
        if not masks or node.kind not in KEEPS_MASK or node.out.shape[:1] != masks[0].shape:
            return None
        if len(masks) > 1:
            name = node.layer[0] if node.layer else node.kind
            raise ValueError(f"{name}: expected inputs with the same mask of time steps, got two of different masks")
        return masks[0]

    def input(self, shape):
        return self.node("input", [], shape)

    def dense(self, x, kernel, bias=None, trainable=True):
        """``x @ kernel + bias`` over the last axis; each group, an index of the other axes, is treated alike."""
        if kernel.shape[0] != x.shape[-1]:
            raise ValueError(f"{kernel.name}: expected an input of {kernel.shape[0]} features, got {x.shape[-1]}")
        variables = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
        attrs = {"inputs": x.shape[-1], "groups": prod(x.shape[:-1])}
        return self.node("dense", [x], (*x.shape[:-1], kernel.shape[1]), attrs, variables, trainable)

    def activation(self, x, row, params=()):
        """An elementwise function by the name of its row in the kernels."""
        return self.node("activation", [x], x.shape, {"row": row, "params": tuple(params)})

    def softmax(self, x):
        return self.node("softmax", [x], x.shape, {"row": "softmax", "length": x.shape[-1]})

    def log_softmax(self, x):
        return self.node("softmax", [x], x.shape, {"row": "log_softmax", "length": x.shape[-1]})

    def batch_norm(self, x, gamma, beta, mean, variance, momentum, epsilon, frozen=False):
        """Normalisation by batch statistics in training; by moving averages in inference or if frozen."""
        variables = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        variables = {role: v for role, v in variables.items() if v is not None}
        _fit(variables, x.size)
        attrs = {"momentum": momentum, "epsilon": epsilon, "frozen": frozen}
        return self.node("batch_norm", [x], x.shape, attrs, variables, not frozen)

    def dropout(self, x, rate, seed_id, shared=()):
        """`shared`: what elements have one random number, see `layers.dropout.shared_runs`."""
        return self.node("dropout", [x], x.shape, {"rate": rate, "id": self.stream(seed_id), "shared": tuple(shared)})

    def affine(self, x, scale, offset):
        """``x * scale + offset``, two numbers."""
        return self.node("affine", [x], x.shape, {"scale": scale, "offset": offset})

    def reshape(self, x, shape):
        """A change of shape, without run-time cost."""
        return self.node("reshape", [x], shape)

    def add(self, a, b):
        if a.shape != b.shape:
            raise ValueError(f"add: expected two tensors of equal shape, got {a.shape} and {b.shape}")
        return self.node("add", [a, b], a.shape)

    def layer_norm(self, x, gamma, beta, length, epsilon, trainable=True, runs=1, centred=True):
        """Each run of `length` features of a sample normalised by its own mean and variance, or mean square.

        runs: how many runs have a gamma and beta of their own: 1, or all."""
        variables = {role: v for role, v in (("gamma", gamma), ("beta", beta)) if v is not None}
        _fit(variables, length * runs)
        attrs = {"length": length, "epsilon": epsilon, "runs": runs, "centred": centred}
        return self.node("layer_norm", [x], x.shape, attrs, variables, trainable)

    def prelu(self, x, alpha, shape, trainable=True):
        """x above 0, else ``alpha * x``; `alpha`, seen as an array of `shape`, is broadcast to a sample."""
        _fit({"alpha": alpha}, prod(shape), shape, x)
        return self.node("prelu", [x], x.shape, {"shape": tuple(shape)}, {"alpha": alpha}, trainable)

    def normalize(self, x, mean, variance, shape, invert=False):
        """``(x - mean) / sqrt(variance)``, or the inverse of that; broadcast as in `prelu`."""
        attrs = {"shape": tuple(shape), "invert": bool(invert)}
        _fit({"mean": mean, "variance": variance}, prod(shape), shape, x)
        return self.node("normalize", [x], x.shape, attrs, {"mean": mean, "variance": variance}, False)

    def noise(self, x, row, params, seed_id, shared=()):
        """One of the kernels that draw a number for each element while training (src_c/loops/noise.inl.h)."""
        attrs = {"row": row, "params": tuple(params), "id": self.stream(seed_id), "shared": tuple(shared)}
        return self.node("noise", [x], x.shape, attrs)

    def activity(self, x, l1, l2):
        """Adds ``(l1 sum|x| + l2 sum x^2) / batch`` to the loss; returns `x`."""
        self.node("activity", [x], (), {"params": (l1, l2)})
        return x

    def python(self, layer, x):
        """A layer in plain NumPy: ``layer.call(x, training)``, or ``layer.call(x)``, and ``layer.backward(dy)``."""
        shape = layer.sample_shape(x.shape)
        variables = dict(enumerate(layer.weights))  # not by name, as names need not be unique
        attrs = {"layer": layer, "shape": x.shape}  # changes of shape before it are resolved away
        return self.node("python", [x], shape, attrs, variables, layer.trainable)

    def variables(self):
        """Every variable once, in `order` if that is known, else in order of first use."""
        return self._in_order(v for node in self.nodes for v in node.variables.values())

    def trainable_variables(self):
        return self._in_order(v for n in self.nodes if n.trainable for v in n.variables.values() if v.trainable)

    def _in_order(self, found):
        numbers = {v: i for i, v in enumerate(self.order)}
        return sorted(dict.fromkeys(found), key=lambda v: numbers.get(v, len(numbers)))


def _fit(variables, size, shape=None, x=None):
    """ValueError unless each variable has `size` elements, and an array of `shape` can be broadcast to a sample."""
    for variable in variables.values():
        if variable.size != size:
            raise ValueError(f"{variable.name}: expected an input of {variable.size} features, got {size}")
    if x is not None and (len(shape) > len(x.shape) or any(
        a not in (1, b) for a, b in zip(shape[::-1], x.shape[::-1], strict=False)
    )):  # fmt: skip
        raise ValueError(f"{next(iter(variables.values())).name}: expected an input of shape {shape}, got {x.shape}")


FUSES_ACTIVATION = ("dense", "batch_norm")
SIDE_EFFECTS = ("activity",)  # needed although the result has no reader


def simplify(graph, inputs, outputs):
    """The nodes between some tensors, shapes resolved away and activations fused.

    Nodes are copied, so that the graph can be planned again with other choices. An activation joins the dense or
    batch normalisation that feeds it, if that result has no other reader.

    Returns
    -------
    nodes : list of Node
    inputs, outputs : tuple of Tensor
        In the order of the arguments.
    consumers : dict
        Tensor to the nodes that read it.
    """
    needed, stack = set(), list(outputs)
    while stack:
        tensor = stack.pop()
        if tensor in needed:
            continue
        needed.add(tensor)
        if tensor.node is not None and tensor not in inputs:
            stack += tensor.node.inputs
    needed.update(n.out for n in graph.nodes if n.kind in SIDE_EFFECTS and n.inputs[0] in needed)
    alias, nodes = {}, []

    def resolve(tensor):
        while tensor in alias:
            tensor = alias[tensor]
        return tensor

    for node in graph.nodes:
        if node.out not in needed:
            continue
        if node.out in inputs and node.kind != "input":  # a segment that starts inside the graph
            node = Node("input", [], node.out)
        read = [resolve(t) for t in node.inputs]
        if node.kind == "reshape":
            alias[node.out] = read[0]
            continue
        out = Tensor(node.out.shape)
        copy = Node(node.kind, read, out, node.attrs, node.variables, None, node.trainable, node.layer)
        copy.out.node = copy
        alias[node.out] = copy.out
        nodes.append(copy)
    inputs, outputs = tuple(map(resolve, inputs)), tuple(map(resolve, outputs))
    consumers = {}
    for node in nodes:
        for tensor in node.inputs:
            consumers.setdefault(tensor, []).append(node)
    fused = []
    for node in nodes:
        producer = node.inputs[0].node if node.inputs else None
        if (node.kind == "activation" and producer is not None and producer.kind in FUSES_ACTIVATION
                and producer.act is None and len(consumers[node.inputs[0]]) == 1 and node.inputs[0] not in outputs):
            producer.act, producer.act_layer = (node.attrs["row"], node.attrs["params"]), node.layer
            node.out.node = producer
            consumers.pop(producer.out, None)
            producer.out = node.out
            continue
        fused.append(node)
    return fused, inputs, outputs, consumers
