"""What the tests of fastnn.ops share: dtypes, arrays of every kind, comparison."""

import numpy as np
import pytest

DTYPES = ["float32", "float64"]
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def normal(shape, dtype, seed=0):
    return np.random.default_rng([seed, *np.atleast_1d(shape)]).normal(size=shape).astype(dtype)


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def as_bytes(result):
    if isinstance(result, (tuple, list)):
        return b"".join(map(as_bytes, result))
    return np.asarray(result).tobytes()
