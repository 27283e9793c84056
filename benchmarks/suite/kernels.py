"""Kernels alone, on one thread and each instruction set of this CPU."""

import numpy as np

from fastnn._core import kernels

from . import common

TARGETS = kernels.targets()[-1:] if common.QUICK else kernels.targets()


class Math:
    """Transcendental functions over 4096 numbers, resident in L1 and L2; divide for one."""

    params = [["exp", "tanh"] if common.QUICK else ["exp", "expm1", "tanh", "log", "log1p"]]
    params += [common.DTYPES, TARGETS]
    param_names = ["function", "dtype", "isa"]

    def setup(self, function, dtype, isa):
        self.x = np.random.default_rng(0).uniform(0.1, 5.0, 4096).astype(dtype)

    def time_function(self, function, dtype, isa):
        kernels.call_function(function, self.x, isa)


class Dense(common.Threads):
    """Forward, dX and dW of one dense layer: its three matrix products, without an optimizer."""

    params = [
        [(32, 784, 300)] if common.QUICK else [(32, 784, 300), (128, 784, 300), (512, 2048, 2048)],
        common.DTYPES,
        common.THREADS,
    ]
    param_names = ["batch_inputs_outputs", "dtype", "threads"]

    def prepare(self, sizes, dtype):
        self.model, self.x, self.dy = common.one_layer("dense", sizes, dtype)

    def time_forward(self, sizes, dtype, threads):
        self.model.forward(self.x, training=True)

    def time_forward_and_backward(self, sizes, dtype, threads):
        self.model.forward(self.x, training=True)
        self.model.backward(self.dy)
