"""Versions and settings in use, for bug reports."""

from __future__ import annotations

import os
import platform
import sys


def versions() -> dict[str, str]:
    """Return versions and settings of this process, as ``{name: value}``.

    Returns
    -------
    dict of str
    """
    import numpy
    import scipy

    from .._core import kernels, threads
    from ..engine import precision

    forced = os.environ.get("FASTNN_ISA")
    return {
        "fastnn": sys.modules["fastnn"].__version__,
        "instruction set": f"{kernels.isa()}{' (forced)' if forced else ''} of {', '.join(kernels.targets())}",
        "threads": f"{threads.get_num_threads()}{'' if threads.openmp() else ' (built without OpenMP)'}",
        "bfloat16 tiles": tiles(),
        "float32 products": f"{precision.used()} ({precision.get_float32_matmul_precision()!r} requested)",
        "Python": sys.version.split()[0],
        "NumPy": numpy.__version__,
        "SciPy": scipy.__version__,
        "BLAS": blas(),
        "system": platform.platform(),
        "CPU": cpu(),
    }


def tiles() -> str:
    """Whether float32 products can use the CPU's bfloat16 tiles (AMX)."""
    from .._core import kernels

    if kernels.wants_tiles():
        return "AMX, " + (kernels.tiles_refusal() or "granted by the operating system")
    if "amx" in kernels.targets():
        return f"AMX, not used by instruction set {kernels.isa()}"
    return "none"


def blas() -> str:
    """Name and version of the BLAS that SciPy was built with."""
    from scipy.__config__ import CONFIG

    found = CONFIG.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


def cpu() -> str:
    """The model name of the CPU."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def show_versions() -> None:
    """Print versions and settings: instruction set, threads, BLAS."""
    found = versions()
    wide = max(map(len, found)) + 2
    for name, value in found.items():
        print(f"{name + ':':<{wide}}{value}")
