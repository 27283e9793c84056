"""Seeded functional models, and the same computation in torch: several inputs and outputs, shared layers, branches."""

import numpy as np

import fastnn
from fastnn import layers

ACTIVATIONS = ("tanh", "sigmoid", "softplus", "elu", "gelu", "silu", "relu", "linear", "mish", "selu")


class Recipe:
    """A model of random layers in float64.

    Attributes
    ----------
    model : fastnn.Model
    x, y : list of arrays
        One for each input and output.
    """

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        fastnn.set_random_seed(seed)
        sizes = [int(n) for n in rng.integers(2, 6, size=rng.integers(1, 4))]
        inputs = [layers.Input((n,)) for n in sizes]
        self.steps, self.shared, tensors = [], None, list(inputs)
        shared = layers.Dense(4, "tanh")
        for _ in range(int(rng.integers(4, 9))):
            self._step(tensors, shared)
        # everything that nobody has read ends in the outputs, so that no input is without use
        read = {at for step in self.steps for at in step[1]}
        left = [at for at in range(len(tensors)) if at not in read]
        outs = []
        for at in left if len(left) < 3 else [left]:
            joined = at if isinstance(at, int) else self._add(tensors, layers.Concatenate(), at)
            outs.append(self._add(tensors, layers.Dense(int(rng.integers(1, 4))), [joined]))
        self.outs = outs
        self.model = fastnn.Model(inputs if len(inputs) > 1 else inputs[0],
                                  [tensors[at] for at in outs] if len(outs) > 1 else tensors[outs[0]],
                                  dtype="float64")  # fmt: skip
        for v in self.model.weights:
            sign = 1 if v.name.endswith("variance") else rng.choice([-1, 1], v.shape)
            v.assign(rng.uniform(0.2, 0.9, v.shape) * sign)
        n = int(rng.choice([1, 7, 40]))
        self.x = [rng.normal(size=(n, size)) for size in sizes]
        self.y = [rng.normal(size=(n, tensors[at].shape[-1])) for at in outs]

    def given(self, arrays):
        """Arrays as the model takes them."""
        return arrays if len(arrays) > 1 else arrays[0]

    def _add(self, tensors, layer, read, kind=None):
        read = list(read)
        given = [tensors[at] for at in read]
        tensors.append(layer(given if len(given) > 1 else given[0]))
        self.steps.append((layer, read, len(tensors) - 1))
        return len(tensors) - 1

    def _step(self, tensors, shared):
        rng, at = self.rng, int(self.rng.integers(len(tensors)))
        kind = str(rng.choice(["dense", "dense", "merge", "merge", "concatenate", "norm", "prelu", "shared", "maxout"]))
        same = [i for i in range(len(tensors)) if tensors[i].shape == tensors[at].shape]
        if kind == "dense":
            self._add(tensors, layers.Dense(4, str(rng.choice(ACTIVATIONS))), [at])
        elif kind == "merge" and len(same) > 1:
            merge = rng.choice([layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum])
            self._add(tensors, merge(), rng.choice(same, 2, replace=False).tolist())
        elif kind == "concatenate":
            self._add(tensors, layers.Concatenate(), [at, int(rng.integers(len(tensors)))])
        elif kind == "norm":
            norm = layers.LayerNormalization if rng.random() < 0.5 else layers.BatchNormalization
            self._add(tensors, norm(), [at])
        elif kind == "prelu":
            self._add(tensors, layers.PReLU(), [at])
        elif kind == "maxout":
            self._add(tensors, layers.Maxout(3, 2), [at])
        elif kind == "shared":
            self.shared = self.shared or tensors[at].shape
            for each in [i for i in range(len(tensors)) if tensors[i].shape == self.shared][-2:]:
                self._add(tensors, shared, [each])

    def torch(self, weights, x):
        """The outputs for the values of `model.weights` and the inputs, torch tensors."""
        import torch

        values = {id(v): w for v, w in zip(self.model.weights, weights, strict=True)}
        found = dict(enumerate(x))
        for layer, read, at in self.steps:
            given = [found[i] for i in read]
            of = {v.name.split("/")[-1]: values[id(v)] for v in layer.weights}
            found[at] = _compute(torch, layer, of, given)
        return [found[at] for at in self.outs]


def _compute(torch, layer, of, given):
    kind, x = type(layer).__name__, given[0]
    if kind in ("Dense", "Maxout"):
        z = x @ of["kernel"] + of["bias"]
        if kind == "Maxout":
            return z.reshape(len(z), -1, layer.k).max(dim=2).values
        return _activation(torch, layer.activation.__name__, z)
    if kind == "LayerNormalization":
        return torch.nn.functional.layer_norm(x, x.shape[1:], of["gamma"], of["beta"], layer.epsilon)
    if kind == "BatchNormalization":
        y = (x - of["moving_mean"]) / torch.sqrt(of["moving_variance"] + layer.epsilon)
        return y * of["gamma"] + of["beta"]
    if kind == "PReLU":
        return torch.where(x > 0, x, of["alpha"] * x)
    if kind == "Concatenate":
        return torch.cat(given, dim=1)
    a, b = given
    return {"Add": lambda: a + b, "Multiply": lambda: a * b, "Average": lambda: (a + b) / 2,
            "Maximum": lambda: torch.maximum(a, b), "Minimum": lambda: torch.minimum(a, b)}[kind]()  # fmt: skip


def _activation(torch, name, z):
    functions = torch.nn.functional
    named = {"linear": lambda z: z, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    return named.get(name, getattr(functions, name, None))(z)
