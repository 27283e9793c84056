"""Batch normalisation folded into the adjacent dense layer, for inference programs.

(a) With ``scale = gamma / sqrt(variance + epsilon)`` and ``shift = beta - mean * scale`` it is ``x * scale + shift``;
    so after a dense layer it scales the columns of the kernel, before one its rows.
(b) Before a dense layer only where it reads the result of another layer: on raw data, whose mean may be a thousand
    times its deviation, subtracting the mean first is exact and afterwards is not.
(c) Weights change while programs stay. A store counts its changes, and `Program.refresh` folds again where needed.
"""

from dataclasses import dataclass

import numpy as np

from .parameter_store import aligned


@dataclass(eq=False)
class Fold:
    """The kernel and bias of `dense` with the nodes `before` and `after` it (or None) in them, as unit panels."""

    dense: object
    before: object
    after: object
    panels: np.ndarray

    @property
    def rows(self):
        return self.panels.shape[1]

    def refresh(self, store):
        variables = self.dense.variables
        inputs, panel = variables["kernel"].shape[0], self.panels.shape[2]
        own = store.panels(variables["kernel"])
        kernel, bias = self.panels[:, :inputs], np.zeros((len(own), panel))
        kernel[...] = own[:, :inputs]
        if "bias" in variables:
            bias += own[:, inputs]
        if self.before is not None:
            scale, shift = (v[:inputs] for v in affine(self.before, store))
            bias += np.einsum("i,uip->up", shift, own[:, :inputs], dtype=np.float64)
            kernel *= scale[:, None].astype(store.dtype)
        if self.after is not None:
            scale, shift = (v.reshape(len(own), panel) for v in affine(self.after, store))
            bias = bias * scale + shift
            kernel *= scale[:, None].astype(store.dtype)
        self.panels[:, inputs] = bias


def affine(node, store):
    """Scale and shift of a batch normalisation in inference mode, float64, padded as in the store."""
    values = {role: store.panels(v).reshape(-1).astype(np.float64) for role, v in node.variables.items()}
    scale = values.get("gamma", 1.0) / np.sqrt(values["variance"] + node.attrs["epsilon"])
    return scale, values.get("beta", 0.0) - values["mean"] * scale


def find_folds(lowerer):
    """``({dense node: Fold}, {batch normalisation: "before" | "after" the dense layer it is folded into})``."""
    folds, absorbed, store = {}, {}, lowerer.pl.store
    outputs, consumers = lowerer.outputs, lowerer.consumers

    def between(tensor, kind):
        """The only reader of the tensor, if it is of a given kind and the tensor is not needed otherwise."""
        readers = consumers.get(tensor, ())
        alone = len(readers) == 1 and readers[0].kind == kind and tensor not in outputs
        # of a dense layer that acts on groups, a unit has several features of the normalisation
        return readers[0] if alone and readers[0].attrs.get("groups", 1) == 1 else None

    def fold_of(dense):
        if dense not in folds:
            place = store.places[dense.variables["kernel"]]
            shape = (place.panels, place.inputs + 1, store.panel)
            memory = aligned(int(np.prod(shape)) * store.dtype.itemsize).view(store.dtype).reshape(shape)
            folds[dense] = Fold(dense, None, None, memory)
        return folds[dense]

    for node in lowerer.nodes:
        if node.kind == "dense" and node.act is None and node.attrs["groups"] == 1:
            after = between(node.out, "batch_norm")
            if after is not None:
                fold_of(node).after = after
                absorbed[after] = "after"
        if node.kind == "batch_norm" and node.act is None and node not in absorbed:
            dense = between(node.out, "dense")
            if dense is not None and node.inputs[0].node.kind != "input":
                fold_of(dense).before = node
                absorbed[node] = "before"
    return folds, absorbed
