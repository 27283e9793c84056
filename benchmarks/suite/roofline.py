"""How near training comes to what the machine can do: shares of its peak, which is measured on the spot.

The peak is that of fused multiplications and additions on registers, by a small C program that the compiler at hand
makes for this CPU; without a compiler the benchmark gives NaN. Peak and work are measured in turn, and the best of each
counts: a busy machine then shows in both.
"""

import functools
import os
import shutil
import subprocess
import tempfile
import time

import numpy as np

import fastnn

from . import common

PROGRAM = r"""
#include <stdio.h>
#include <time.h>
#define BYTES (sizeof(T) * LANES)
typedef T V __attribute__((vector_size(BYTES)));
#if defined(__AVX512F__)
#define REG(x) "+v"(x)
#elif defined(__x86_64__)
#define REG(x) "+x"(x)
#else
#define REG(x) "+w"(x)
#endif
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
#define EACH(X) X(a) X(b) X(c) X(d) X(e) X(f) X(g) X(h) X(k) X(l) X(m) X(n)
int main(void)
{
    V x = {0}, y = {0}, all = {0};
#define X(v) V v = all + (T)1;
    EACH(X)
#undef X
    x += (T)0.999, y += (T)1e-3;
    const long turns = 2000000;
    const double start = now();
    for (long i = 0; i < turns; i++) {
#define X(v) v = v * x + y;
        EACH(X)
#undef X
#define X(v) __asm__ volatile("" : REG(v)); /* kept in a register, and really worked out */
        EACH(X)
#undef X
    }
    const double seconds = now() - start;
#define X(v) all += v;
    EACH(X)
#undef X
    printf("%.6f %g\n", turns * 12.0 * LANES * 2 / seconds / 1e9, (double)all[0]);
}
"""


@functools.cache
def peak_program(dtype):
    """Path of the program for a dtype; None without a compiler."""
    compiler = next((c for c in (os.environ.get("CC"), "gcc", "clang") if c and shutil.which(c)), None)
    if compiler is None:
        return None
    vector = {"avx512": 64, "avx2": 32}.get(fastnn.isa(), 16)
    name, size = ("float", 4) if dtype == "float32" else ("double", 8)
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "peak")
    command = [compiler, "-O3", "-march=native", "-ffp-contract=fast", f"-DT={name}", f"-DLANES={vector // size}"]
    made = subprocess.run([*command, "-x", "c", "-", "-o", path], input=PROGRAM, text=True, capture_output=True)
    return path if made.returncode == 0 else None


def peak(dtype):
    """GFLOP/s of one core, now."""
    program = peak_program(dtype)
    if program is None:
        return float("nan")
    return float(subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()[0])


def share(work, flops, dtype, repeats):
    """Share of the peak that `work`, of so many floating-point operations, reaches on one thread."""
    best = highest = 0.0
    for _ in range(repeats):
        highest = max(highest, peak(dtype))
        begun = time.perf_counter()
        work()
        best = max(best, flops / (time.perf_counter() - begun) / 1e9)
    return best / highest


REPEATS = 2 if common.QUICK else 12


class Step(common.Threads):
    """Whole training steps with Adam; operations of the matrix products alone count."""

    params = [common.nets(), common.DTYPES, [1]]
    param_names = ["net", "dtype", "threads"]

    def prepare(self, net, dtype):
        sizes, _, _, self.batch, self.steps = common.NETS[net]
        pairs = [i * o for i, o in zip(sizes, sizes[1:], strict=False)]
        self.flops = self.steps * (6 * self.batch * sum(pairs) - 2 * self.batch * pairs[0])
        self.model, self.dtype = common.build(net, dtype), dtype
        self.x, self.y = common.data(net, self.batch * self.steps, dtype)
        self.fit()

    def fit(self):
        self.model.fit(self.x, self.y, batch_size=self.batch, shuffle=False, verbose=0)

    def track_share_of_peak(self, net, dtype, threads):
        return share(self.fit, self.flops, self.dtype, REPEATS)

    track_share_of_peak.unit = "of the FMA peak"


class Product(common.Threads):
    """Forward products of one dense layer in a planned run, batch after batch."""

    params = [[(32, 784, 300), (128, 784, 300), (64, 64, 64), (10000, 32, 16), (512, 2048, 2048)], common.DTYPES, [1]]
    param_names = ["batch_inputs_outputs", "dtype", "threads"]
    if common.QUICK:
        params[0] = params[0][:1]

    def prepare(self, sizes, dtype):
        self.batch, inputs, outputs = sizes
        rows = self.batch * max(1, int(2e8 / (2 * self.batch * inputs * outputs)))
        self.flops, self.dtype = 2 * rows * inputs * outputs, dtype
        layers = fastnn.layers
        self.model = fastnn.Sequential([layers.Dense(outputs, input_shape=(inputs,), dtype=dtype)])
        self.x = np.random.default_rng(0).standard_normal((rows, inputs), np.float32).astype(dtype)
        self.predict()

    def predict(self):
        self.model.predict(self.x, batch_size=self.batch, verbose=0)

    def track_share_of_peak(self, sizes, dtype, threads):
        return share(self.predict, self.flops, self.dtype, REPEATS)

    track_share_of_peak.unit = "of the FMA peak"
