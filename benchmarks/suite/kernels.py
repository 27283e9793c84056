"""`fastnn.ops`: the kernels as functions on arrays, and the transcendental functions under them.

Times have the packing of plain row-major arrays in them, which a planned model does not do every step.
"""

import numpy as np

from fastnn import ops
from fastnn._core import kernels

from . import common

TARGETS = kernels.targets()[-1:] if common.QUICK else kernels.targets()
DENSE = [(32, 784, 300), (128, 784, 300), (64, 64, 64), (10000, 32, 16), (512, 2048, 2048)]
ROWS = [(32, 784), (128, 300), (10000, 32)]
if common.QUICK:
    DENSE, ROWS = DENSE[:1], ROWS[:1]


def normal(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape, np.float32).astype(dtype)


class Math:
    """4096 numbers, resident in L1 and L2; divide for one."""

    params = [["exp", "tanh"] if common.QUICK else ["exp", "expm1", "tanh", "log", "log1p"]]
    params += [common.DTYPES, TARGETS]
    param_names = ["function", "dtype", "isa"]

    def setup(self, function, dtype, isa):
        self.x = np.random.default_rng(0).uniform(0.1, 5.0, 4096).astype(dtype)

    def time_function(self, function, dtype, isa):
        kernels.call_function(function, self.x, isa)


class Dense(common.Threads):
    params = [DENSE, common.DTYPES, common.THREADS]
    param_names = ["batch_inputs_outputs", "dtype", "threads"]

    def prepare(self, sizes, dtype):
        batch, inputs, outputs = sizes
        self.x, self.w = normal(batch, inputs, dtype=dtype), normal(inputs, outputs, dtype=dtype)
        self.b, self.y = normal(outputs, dtype=dtype), normal(batch, outputs, dtype=dtype)
        self.grads = np.empty_like(self.x), np.empty_like(self.w), np.empty_like(self.b)

    def time_forward(self, sizes, dtype, threads):
        ops.dense_forward(self.x, self.w, self.b, "relu", out=self.y)

    def time_backward(self, sizes, dtype, threads):
        ops.dense_backward(self.y, self.x, self.w, out=self.grads)


class Activation(common.Threads):
    """Every row of the kernels' list is measured, the ones added later too."""

    params = [[row[0] for row in kernels.activation_rows()], ROWS, [1]]
    param_names = ["activation", "shape", "threads"]

    def prepare(self, name, shape):
        self.x = normal(*shape)
        self.y, self.dx = np.empty_like(self.x), np.empty_like(self.x)

    def time_forward(self, name, shape, threads):
        ops.activation(name, self.x, out=self.y)

    def time_gradient(self, name, shape, threads):
        ops.activation_grad(name, self.x, self.y, out=self.dx)


class BatchNorm(common.Threads):
    params = [ROWS, common.THREADS]
    param_names = ["shape", "threads"]

    def prepare(self, shape):
        self.x, self.dy = normal(*shape), normal(*shape)
        self.gamma, self.beta = np.ones((2, shape[1]), np.float32)
        self.mean, self.var = ops.batch_norm_stats(self.x)
        self.y = np.empty_like(self.x)

    def time_stats(self, shape, threads):
        ops.batch_norm_stats(self.x)

    def time_forward(self, shape, threads):
        ops.batch_norm_forward(self.x, self.gamma, self.beta, self.mean, self.var, out=self.y)

    def time_backward(self, shape, threads):
        ops.batch_norm_backward(self.dy, self.x, self.gamma, self.mean, self.var)


class SoftmaxCrossEntropy(common.Threads):
    params = [[(32, 10), (128, 1000)], common.THREADS]
    param_names = ["shape", "threads"]

    def prepare(self, shape):
        self.logits = normal(*shape)
        self.labels = np.random.default_rng(0).integers(0, shape[1], shape[0]).astype(np.int32)

    def time_value_and_gradient(self, shape, threads):
        ops.softmax_cross_entropy(self.logits, self.labels)


class Clipping(common.Threads):
    """Gradients of a 784-300-100-10 network."""

    params = [["clip_by_value", "clip_by_norm", "clip_by_global_norm"], common.THREADS]
    param_names = ["function", "threads"]

    def prepare(self, function):
        self.grads = [normal(784, 300), normal(300), normal(300, 100), normal(100), normal(100, 10)]
        self.out = [np.empty_like(g) for g in self.grads]
        self.function = getattr(ops, function)

    def time_clip(self, function, threads):
        self.function(self.grads, 1.0, out=self.out)


class Optimizer(common.Threads):
    """One step over n parameters in a flat vector, each row of the kernels' list."""

    params = [
        [row[0] for row in kernels.optimizer_rows()],
        [10_000] if common.QUICK else [10_000, 266_610, 10_000_000],
        common.THREADS,
    ]
    param_names = ["optimizer", "parameters", "threads"]

    def prepare(self, optimizer, n):
        self.w, self.g = normal(n), normal(n)
        states = {row[0]: row[2] for row in kernels.optimizer_rows()}[optimizer]
        self.states = [np.zeros_like(self.w) for _ in states]

    def time_step(self, optimizer, n, threads):
        ops.optimizer_step(optimizer, self.w, self.states, self.g, 1e-6)


class Dropout(common.Threads):
    params = [ROWS, common.THREADS]
    param_names = ["shape", "threads"]

    def prepare(self, shape):
        self.x = normal(*shape)
        self.y = np.empty_like(self.x)

    def time_dropout(self, shape, threads):
        ops.dropout(self.x, 0.5, seed=1, out=self.y)
