"""How near training comes to what the machine can do: shares of its peak, which is measured on the spot.

The peak is that of `peak.c`: fused multiply-adds under load, with vectors of the instruction set in use. Without a
compiler the benchmark gives NaN.
"""

import numpy as np

import fastnn

from . import common
from .peak import share

REPEATS = 2 if common.QUICK else 12


class Step(common.Threads):
    """Whole training steps with Adam; operations of the matrix products alone count."""

    params = [common.nets(), common.DTYPES, [1]]
    param_names = ["net", "dtype", "threads"]

    def prepare(self, net, dtype):
        self.batch, steps = common.ROWS[net].batch, common.STEPS[net]
        self.flops, rows = steps * common.ROWS[net].flops, steps * self.batch
        self.model = common.build(net, dtype)
        self.x, self.y = common.data(net, rows, dtype)
        self.fit()

    def fit(self):
        self.model.fit(self.x, self.y, batch_size=self.batch, shuffle=False, verbose=0)

    def track_share_of_peak(self, net, dtype, threads):
        return share(self.fit, self.flops, threads, REPEATS, dtype=dtype, isa=fastnn.isa())

    track_share_of_peak.unit = "of the FMA peak under load"


class Product(common.Threads):
    """Forward products of one dense layer in a planned run, batch after batch."""

    params = [[(32, 784, 300), (128, 784, 300), (64, 64, 64), (10000, 32, 16), (512, 2048, 2048)], common.DTYPES, [1]]
    param_names = ["batch_inputs_outputs", "dtype", "threads"]
    if common.QUICK:
        params[0] = params[0][:1]

    def prepare(self, sizes, dtype):
        self.batch, inputs, outputs = sizes
        rows = self.batch * max(1, int(2e8 / (2 * self.batch * inputs * outputs)))
        self.flops = 2 * rows * inputs * outputs
        layers = fastnn.layers
        self.model = fastnn.Sequential([layers.Dense(outputs, input_shape=(inputs,), dtype=dtype)])
        self.x = np.random.default_rng(0).standard_normal((rows, inputs), np.float32).astype(dtype)
        self.predict()

    def predict(self):
        self.model.predict(self.x, batch_size=self.batch, verbose=0)

    def track_share_of_peak(self, sizes, dtype, threads):
        return share(self.predict, self.flops, threads, REPEATS, dtype=dtype, isa=fastnn.isa())

    track_share_of_peak.unit = "of the FMA peak under load"
