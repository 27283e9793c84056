"""The examples run, at a smaller size, and what they claim comes out."""

import re
import subprocess
import sys

import pytest
from places import ROOT
from real_data import require_fashion_mnist

EXAMPLES = ROOT / "examples"


def run(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def accuracies(output):
    return {name: float(value) for name, value in re.findall(r"^(.*): \w+ accuracy (0\.\d+)$", output, re.M)}


@pytest.mark.slow
def test_note_002(tmp_path):
    require_fashion_mnist()
    out = run("note_002.py", "--samples", 24000, "--folder", tmp_path)
    found = accuracies(out)
    assert (tmp_path / "my_model_A.h5").stat().st_size > 1_000_000  # float32: 269,758 weights
    least = {
        "PReLU": 0.75,
        "100 layers of SELU": 0.3,  # of an epoch of 688 steps; chance is 0.1
        "batch normalisation after the activation": 0.75,
        "batch normalisation before the activation": 0.75,
        "shirt or sandal, on top of model A": 0.9,
        "model A's clone": 0.85,
    }
    assert {name: found[name] > value for name, value in least.items()} == dict.fromkeys(least, True), found
    assert "Total params: 271,346" in out


@pytest.mark.slow
def test_transfer_learning():
    require_fashion_mnist()
    out = run("transfer_learning.py", "--samples", 6000, "--seeds", 1, "--sizes", 50, "--epochs-a", 2)
    rows = re.findall(r"^ +50 +(0\.\d+) ± 0\.0000 +(0\.\d+) ± 0\.0000 +(0\.\d+) ± 0\.0000$", out, re.M)
    easy, hard = [[float(v) for v in row] for row in rows]
    assert min(easy) > 0.85 and min(hard) > 0.6, out
