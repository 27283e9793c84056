"""What the library costs a process: import time and peak memory."""

import subprocess
import sys

from . import common

# In a process that has NumPy already, a fresh one each: the bare import, and with what a model needs.
IMPORT = """
import sys, time
import numpy
start = time.perf_counter()
import fastnn
if sys.argv[1] == "model":
    fastnn.Sequential, fastnn.layers, fastnn.optimizers
print(time.perf_counter() - start)
"""
# Resident peak of a whole process; benchmarks of asv's own (peakmem_) start from a process that holds asv.
PEAK = """
import resource, sys
import numpy as np
import fastnn
rng = np.random.default_rng(0)
n = int(sys.argv[1])
if n:
    x = rng.integers(0, 256, (n, 28, 28), np.uint8)
    y = rng.integers(0, 10, n).astype(np.uint8)
    layers = fastnn.layers
    model = fastnn.Sequential([layers.Flatten(input_shape=[28, 28])])
    model.add(layers.Dense(300, activation="relu"))
    model.add(layers.Dense(100, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=int(sys.argv[2]), verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
# How long after Ctrl-C `fit` raises; 200 ms are promised.
INTERRUPT = """
import os, signal, sys, threading, time
import numpy as np
import fastnn
signal.signal(signal.SIGINT, signal.default_int_handler)
model = fastnn.Sequential([fastnn.layers.Dense(256, activation="relu", input_shape=(100,)), fastnn.layers.Dense(10)])
model.compile("adam", "mse", threads=int(sys.argv[1]))
sent = []
def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.5, interrupt).start()
try:
    model.fit(np.ones((20000, 100), np.float32), np.ones((20000, 10), np.float32), epochs=10**6, verbose=0)
except KeyboardInterrupt:
    print(1000 * (time.monotonic() - sent[0]))
"""


def run(program, *arguments):
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Import:
    params = ["bare", "model"]
    param_names = ["what"]
    timeout = 120

    def track_import_ms(self, what):
        return 1000 * min(run(IMPORT, what) for _ in range(3 if common.QUICK else 15))

    track_import_ms.unit = "ms beyond NumPy"


class Memory:
    params = [[(0, 0), (6000, 1)] if common.QUICK else [(0, 0), (60000, 1), (60000, 5)]]
    param_names = ["images_epochs"]
    timeout = 300

    def track_peak_mib(self, images_epochs):
        return run(PEAK, *images_epochs)

    track_peak_mib.unit = "MiB"


class Interrupt:
    params = [[1, 2]]
    param_names = ["threads"]
    timeout = 120

    def track_interrupt_ms(self, threads):
        return max(run(INTERRUPT, threads) for _ in range(1 if common.QUICK else 10))

    track_interrupt_ms.unit = "ms"
