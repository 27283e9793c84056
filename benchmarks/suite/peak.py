"""The machine's limit, measured on the spot: fused multiply-adds under load (`peak.c`), on as many cores as asked for.

The compiler at hand builds the program for this CPU. Without one there is no peak: `measure` gives NaN. Nothing here
needs fastnn, so that `peers.py` can use it beside any of them.
"""

import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

BYTES = {"amx": 64, "avx512": 64, "avx2": 32, "scalar": 16}  # of a vector
FLAGS = ["-O3", "-march=native", "-ffp-contract=fast", "-pthread"]


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory(prefix="fastnn-peak-")  # removed when the process ends


@functools.cache
def program(dtype="float32", isa=None):
    """Path of the program for a dtype and an instruction set (None: the CPU's widest); None without a compiler."""
    compiler = next((c for c in (os.environ.get("CC"), "gcc", "clang") if c and shutil.which(c)), None)
    if compiler is None:
        return None
    path = Path(_folder().name) / f"{dtype}-{isa}"
    options = [f"-DT={'float' if dtype == 'float32' else 'double'}"]
    if isa is not None:
        options.append(f"-DBYTES={BYTES.get(isa, 16)}")
    wide = ["-mprefer-vector-width=512"]  # clang halves vectors where it takes the CPU to prefer 256 bits
    for more in (wide, []):  # not an option of other architectures
        command = [compiler, *FLAGS, *more, *options, str(Path(__file__).with_suffix(".c")), "-o", str(path)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return str(path)
    return None


def measure(threads=1, dtype="float32", isa=None, seconds=0.1):
    """GFLOP/s of so many threads together, now; NaN without a compiler, and where the threads cannot be had.

    Parameters
    ----------
    threads : int
    dtype : {"float32", "float64"}
    isa : {None, "amx", "avx512", "avx2", "scalar"}
        Width of the vectors; None: the widest the CPU has.
    seconds : float
        Of the measurement, after a third of it to warm up.
    """
    path = program(dtype, isa)
    if path is None:
        return float("nan")
    command = [path, str(threads), str(seconds)]
    answer = subprocess.run(command, capture_output=True, text=True)
    return float(answer.stdout.split()[0]) if answer.returncode == 0 else float("nan")


def share(work, flops, threads, repeats, **how):
    """Share of the peak that `work`, of so many floating-point operations, reaches.

    Peak and work are measured in turn and the best of each counts: a busy machine then shows in both."""
    best = highest = 0.0
    for _ in range(repeats):
        highest = max(highest, measure(threads, **how))
        begun = time.perf_counter()
        work()
        best = max(best, flops / (time.perf_counter() - begun) / 1e9)
    return best / highest
