"""A short slice of fuzz_ops.py (CONTRIBUTING.md has the long run, under sanitizers)."""

import fuzz_ops


def test_random_calls_return_or_are_refused():
    returned, refused = fuzz_ops.run(3000, seed=20_000)
    assert returned + refused == 3000
    assert returned > 1000  # most of what is tried must get to the kernels
