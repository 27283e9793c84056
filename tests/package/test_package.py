"""The package as a whole: import time, public names, "did you mean", versions."""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers


def test_importing_loads_little():
    """Import time is a benchmark (benchmarks/suite/process.py); what makes it long is other packages."""
    code = (
        "import sys, numpy; before = set(sys.modules); import fastnn; fastnn.Sequential;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = set(found.stdout.split()) - set(sys.stdlib_module_names)
    assert ours <= {"fastnn", "cython_runtime", "_cython_3_0", "numpy"} | {
        m for m in ours if m.startswith("_cython")
    }


def test_every_public_name_is_there():
    for name in fastnn.__all__:
        if name != "ops":
            assert getattr(fastnn, name) is not None
    assert set(fastnn.__all__) <= set(dir(fastnn))
    with pytest.raises(AttributeError, match="Did you mean 'Sequential'"):
        _ = fastnn.Sequentil
    assert all(
        inspect.getdoc(getattr(fastnn, n)) for n in fastnn.__all__ if n[0] != "_" and n != "ops"
    )


def test_misspelt_import():
    with pytest.raises(ImportError, match="did you mean|Did you mean 'BatchNormalization'"):
        from fastnn.layers import BatchNoralization  # noqa: F401
    with pytest.raises(ImportError, match="Did you mean 'Sequential'"):
        from fastnn import Sequentail  # noqa: F401
    assert not hasattr(layers, "BatchNoralization")


def test_hasattr_is_plain():
    for module in (fastnn, layers, fastnn.losses, fastnn.optimizers, fastnn.initializers):
        assert not hasattr(module, "no_such_name")
        with pytest.raises(AttributeError):
            _ = module.no_such_name


def test_show_versions(capsys):
    fastnn.show_versions()
    out = capsys.readouterr().out
    for word in (fastnn.__version__, fastnn.isa(), np.__version__, sys.version.split()[0], "BLAS"):
        assert word in out


def test_sources_that_are_not_built_say_so(tmp_path):
    """Python started in a checkout finds the folder of the sources before the installed package."""
    package = Path(fastnn.__file__).parent
    shutil.copytree(package, tmp_path / "fastnn", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    code = "import fastnn; fastnn.Sequential"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    last = found.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {tmp_path / 'fastnn'} has the sources of fastnn but not the compiled modules")
    assert "pip install ." in last
