"""Which kinds of clipping change the direction of the gradient.

The gradient of a network 64-100-100-10 on the digits is clipped before the first step and after each of 10 epochs, at
a limit that acts: a tenth of the largest entry for clipping by value, half the smallest norm of a weight matrix for
clipping by norm. Reported: the largest angle between the gradient and the clipped one, in degrees, for each array and
for the whole gradient. *Keeps the direction*: less than 0.1°.
"""

import numpy as np
import protocol

from fastnn import ops
from fastnn.layers import Dense

CLAIMS = {
    "value-turns": ("002", "Clipping (by value) can change the direction of the gradient."),
    "norm-turns": ("002", "Clipping by norm can change it too (the note says it of both)."),
    "global-norm-turns": ("002", "The same of clipping by the global norm."),
}
MEANING = """
The example of the textbook, the gradient (0.9, 100) with limit 1: by value it becomes (0.9, 1), turned by 47°; by
norm (0.009, 1), with its direction kept. Keras' `clipnorm` scales each weight array by itself: it keeps the direction
of each array, but turns the gradient as a whole. `global_clipnorm` keeps that too.
"""


def angle(a, b):
    a, b = (np.concatenate([np.ravel(g) for g in gradients]).astype("float64") for gradients in (a, b))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))  # accurate for small angles


def gradients(model, data):
    protocol.gradient_norms(model, data)
    return model.gradients()


def run(small=False):
    kinds = {"by value": [], "by norm": [], "by global norm": []}
    for seed in protocol.seeds(small):
        data = protocol.digits(seed)
        model = protocol.network(lambda: [Dense(100, "relu"), Dense(100, "relu"), Dense(10)], data, seed)
        for _ in range(4 if small else 11):
            found = gradients(model, data)
            limit = 0.5 * min(np.linalg.norm(g) for g in found if g.ndim == 2)
            clipped = {
                "by value": ops.clip_by_value(found, 0.1 * max(abs(g).max() for g in found)),
                "by norm": ops.clip_by_norm(found, limit),
                "by global norm": ops.clip_by_global_norm(found, limit)[0],
            }
            for name, result in clipped.items():
                each = max(angle([g], [c]) for g, c in zip(found, result, strict=True))
                kinds[name].append((each, angle(found, result)))
            model.fit(data.x, data.y, verbose=0, health=False, on_nan="ignore")

    def turns(name, what):
        values = [pair[what == "whole gradient"] for pair in kinds[name]]
        return protocol.check(f"{name}, {what}", values, lambda v: v > 0.1, ".1f")

    g = [np.array([0.9, 100.0])]
    print_of = {f.__name__: f(g, 1.0)[0].round(7).tolist() for f in (ops.clip_by_value, ops.clip_by_norm)}
    assert print_of == {"clip_by_value": [0.9, 1.0], "clip_by_norm": [0.0089996, 0.9999595]}
    found = {
        "value-turns": [turns("by value", "each array"), turns("by value", "whole gradient")],
        "norm-turns": [turns("by norm", "each array"), turns("by norm", "whole gradient")],
        "global-norm-turns": [turns("by global norm", "each array"), turns("by global norm", "whole gradient")],
    }
    return found, {name: np.max(pairs, axis=0) for name, pairs in kinds.items()}


def draw(values):
    picture, ax = protocol.figure(width=5)
    rows = {"each array": [v[0] for v in values.values()], "whole gradient": [v[1] for v in values.values()]}
    protocol.bars(ax, list(values), rows)
    ax.set_xlabel("largest angle to the gradient, degrees")
    protocol.legend(ax)
    return picture


if __name__ == "__main__":
    protocol.main()
