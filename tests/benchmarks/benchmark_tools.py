"""What the tests of benchmarks share; importing it makes the modules of benchmarks/ importable."""

import subprocess
import sys

from places import ROOT

BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))


def run(script, *arguments, code=0):
    """What a script of benchmarks/ prints; it has to end with the exit status `code`."""
    command = [sys.executable, "-P", str(BENCHMARKS / script), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == code, result.stderr
    return result.stdout + result.stderr
