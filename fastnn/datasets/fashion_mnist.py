"""Fashion-MNIST: 70,000 images of clothes, 28 x 28 pixels, from IDX files on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .._base.checks import module_attributes
from ._idx import read_pair

if TYPE_CHECKING:
    from .._base.types import Images, Labels

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MAX_VALUE = 255
_SYSTEM_FOLDER = "/usr/share/datasets/fashion-mnist"
_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images.

    Parameters
    ----------
    path : str or path-like, optional
        Directory with the four IDX files, ``.gz`` or uncompressed. Default: the directory
        ``$FASTNN_DATA`` or ``$FASTNN_DATA/fashion-mnist`` if that variable is set, otherwise the directory of Debian's
        package ``dataset-fashion-mnist``. Nothing is downloaded.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x`` : uint8 of shape (n, 28, 28).
        ``y`` : uint8 of shape (n,), classes 0 to 9 (``CLASS_NAMES``).

    Raises
    ------
    FileNotFoundError
        If no directory has the four files; the message says where they were searched and how to get
        them.
    ValueError
        If a file is corrupted, truncated or in another format; the message names it.

    References
    ----------
    H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", arXiv:1708.07747, 2017. Licence: MIT.
    """
    folder, suffixes = _find(path)
    train = read_pair(folder, "train", suffixes["train"])
    test = read_pair(folder, "t10k", suffixes["t10k"])
    return train, test


def _find(path):
    """The directory to read and, per part, the suffix of its files there."""
    if path is not None:
        folders = [Path(path)]
    else:
        data = os.environ.get("FASTNN_DATA")
        folders = [Path(data), Path(data) / "fashion-mnist"] if data else [Path(_SYSTEM_FOLDER)]
    for folder in folders:
        suffixes = {}
        for part in ("train", "t10k"):
            names = [name for name in _FILES if name.startswith(part)]
            for suffix in (".gz", ""):
                if all((folder / (name + suffix)).is_file() for name in names):
                    suffixes[part] = suffix
                    break
        if len(suffixes) == 2:
            return folder, suffixes
    asked = "" if path is not None or not data else f"FASTNN_DATA={data}: "
    unset = f" (unset FASTNN_DATA to look into {_SYSTEM_FOLDER})" if asked else ""
    raise FileNotFoundError(
        f"{asked}Fashion-MNIST not found in "
        + ", ".join(str(folder) for folder in folders)
        + unset
        + ". Install Debian's package `dataset-fashion-mnist`, or put the files "
        + ", ".join(_FILES)
        + " (uncompressed or .gz) into a directory and pass it as load_data(path) or set $FASTNN_DATA"
    )


__all__ = ["CLASS_NAMES", "MAX_VALUE", "load_data"]
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
