"""UCI digits: 1797 handwritten digits of 8 x 8 pixels, embedded in the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._base.checks import module_attributes
from ._idx import read_pair

if TYPE_CHECKING:
    from .._base.types import Images, Labels

CLASS_NAMES = tuple("0123456789")
MAX_VALUE = 16
_N_TRAIN = 1437


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Load the test part of the UCI digits, split into 1437 training and 360 test images.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x`` : uint8 of shape (n, 8, 8), values 0 to 16.
        ``y`` : uint8 of shape (n,), classes 0 to 9.

    Notes
    -----
    The split is fixed: the images were shuffled once (``data/README.md``). Both parts therefore
    contain images by the same 13 writers.

    References
    ----------
    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49. Licence: CC BY 4.0.

    Examples
    --------
    >>> from fastnn.datasets import digits
    >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
    >>> x_train.shape, x_test.shape, x_train.dtype
    ((1437, 8, 8), (360, 8, 8), dtype('uint8'))
    """
    x, y = read_pair(Path(__file__).parent / "data", "digits")
    return (x[:_N_TRAIN], y[:_N_TRAIN]), (x[_N_TRAIN:], y[_N_TRAIN:])


__all__ = ["CLASS_NAMES", "MAX_VALUE", "load_data"]
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
