"""Data that tests read where it is installed."""

import os

import pytest

from fastnn.datasets import fashion_mnist


def require_fashion_mnist():
    """Skip without the real data, unless this run was told that it must be there (as CI is)."""
    if not os.path.isdir(fashion_mnist._SYSTEM_FOLDER):
        assert os.environ.get("FASTNN_REQUIRE_DATA", "0") == "0", "dataset-fashion-mnist is missing"
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
