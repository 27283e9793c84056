"""How the work of a program is divided: among chunks of the batch, and among threads.

"layers": operation after operation, all threads on each. "samples": each thread carries chunks of the batch through
everything up to the parameter gradient; gradients go to a fixed number of slots that are added in order. A reduction
over the batch (batch normalisation in training) ends a chunked segment. The choice, like chunk and slot sizes, depends
on shapes alone, so results do not depend on threads.
"""

from dataclasses import dataclass

import numpy as np

from .._core import kernels

CHUNK = 128  # samples; measured: 32 costs 12 to 16 %, 256 gains nothing
SLOTS = 8
PARAMETERS = 768  # bytes of parameters per sample up to which adding up gradient slots pays off (docs/decisions/0002)


def choose_schedule(batch, n_params, reduces, itemsize):
    """Chunks win when the batch's activations leave L2 and the parameters are few beside them (docs/decisions)."""
    if reduces:
        return "layers"
    return "samples" if batch >= 256 and n_params * itemsize <= PARAMETERS * batch else "layers"


@dataclass(frozen=True)
class Split:
    """How an operation is split among threads; see `Plan` of _core/executor.pxd, whose fields these are."""

    way: str
    items: int
    grain: int
    extent: int
    cost: int = 1
    last: int = 1
    few: int = 0
    group: int = 1

    @classmethod
    def of_items(cls, way, items, costs):
        return cls(way, items, 1, items, *costs)

    @classmethod
    def of_features(cls, way, features, grain):
        items = max(1, -(-features // grain))
        return cls(way, items, grain, features, grain, max(1, features - (items - 1) * grain), 1)


def estimate_seconds(nodes, batch, training, itemsize):
    """Time of a step on one thread, from floating-point operations and parameters; a rough estimate."""
    flops = values = params = 0
    if training or batch > kernels.FEW:  # a panel of samples costs what a full one does
        batch = -(-batch // (64 // itemsize)) * (64 // itemsize)
    for node in nodes:
        if node.kind in ("dense", "recurrent"):
            size = int(np.prod(node.variables["kernel"].shape))
            flops += 2 * size * node.attrs["groups"] * batch * (3 if training else 1)
            params += size
        values += node.out.size * batch * (4 if node.kind == "batch_norm" or node.act else 1)
    return flops * itemsize / 4 / 80e9 + values * 0.4e-9 + (params * 0.4e-9 if training else 0) + 1e-6
