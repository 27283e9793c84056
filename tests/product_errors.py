"""Errors of float32 products in every mode and for many kinds of data, for tests/engine/test_precision.py.

With an emulated build or on a CPU with AMX, this writes the table of docs/precision.md again:

    FASTNN_ISA=amx python tests/product_errors.py
"""

import re

import numpy as np
from engine_tools import engine_of
from places import ROOT

import fastnn
from fastnn import layers
from fastnn.engine import precision

DOCS = ROOT / "docs" / "precision.md"
LENGTHS = (8, 32, 128, 300, 784, 2048, 8192)
SHAPE = (64, 48)
HEADROOM = 1.3  # of the table's limits, over what is found
FLOAT32_GRADE = ("float32", "bf16x6")


def normal(rng, shape):
    return rng.normal(size=shape).astype(np.float32)


def positive(rng, shape):
    return abs(normal(rng, shape))


def relu(rng, shape):
    return np.maximum(normal(rng, shape), 0)


def wide(rng, shape):
    """Numbers of either sign over 24 powers of ten."""
    return (rng.normal(size=shape) * 10.0 ** rng.uniform(-12, 12, shape)).astype(np.float32)


def between(low, high):
    """Numbers of either sign with exponents of 2 between these."""

    def draw(rng, shape):
        return (rng.choice([-1.0, 1.0], shape) * 2.0 ** rng.uniform(low, high, shape)).astype(np.float32)

    return draw


# What the two factors are drawn from. The last three are at the ends of the range: numbers that have no third split
# without underflow, numbers whose products have none, numbers of which some round to infinity as bfloat16.
DATA = {
    "normal": (normal, normal),
    "positive": (positive, positive),
    "relu": (relu, positive),
    "wide": (wide, wide),
    "smallest": (between(-126, -102), between(20, 60)),
    "small": (between(-65, -35), between(-65, -35)),
    "largest": (between(100, 127.999), between(-60, -15)),
}


def any_size():
    """`precision.LEAST` as if every size gained by tiles."""
    return {splits: dict.fromkeys(least, ((1, 1, 1),)) for splits, least in precision.LEAST.items()}


def products(a, b, mode, isa=None):
    """a (B, K) times b (K, N) by a dense layer of a model."""
    model = fastnn.Sequential([layers.Dense(b.shape[1], use_bias=False, input_shape=(b.shape[0],))])
    model.compile("sgd", "mse", matmul_precision=mode)
    model.set_weights([b])
    return model.predict(a, verbose=0) if isa is None else engine_of(model, isa=isa, precision=mode).predict(a)


def errors(data, length, mode, isa=None, shape=SHAPE):
    """RMS and largest error against float64, in units of what the terms of a product add up to in absolute value;
    and those of NumPy's product."""
    rng = np.random.default_rng(length)
    a, b = (draw(rng, size) for draw, size in zip(DATA[data], [(shape[0], length), (length, shape[1])], strict=True))
    exact, scale = (np.dot(*(v.astype(np.float64) for v in factors)) for factors in [(a, b), (abs(a), abs(b))])
    scale = np.where(scale > 0, scale, 1)  # 0 only where all terms are
    found = [(y - exact) / scale for y in (products(a, b, mode, isa), a @ b)]
    return [f(e) for e in found for f in (lambda e: np.sqrt(np.mean(e**2)), lambda e: abs(e).max())]


def kinds(how):
    """Kinds of data that are tabled for these products."""
    return tuple(DATA) if how in FLOAT32_GRADE else ("normal", "wide")


def stated():
    """The lines of the table: {(products, data, K): (RMS, largest)}."""
    line = r"^\| (float32|bf16x6|bf16x3|bf16) \| (\w+) \| (\d+) \| (\S+) \| (\S+) \|"
    found = re.findall(line, DOCS.read_text(), re.M)
    return {(how, data, int(k)): (float(rms), float(largest)) for how, data, k, rms, largest in found}


def rows():
    """The lines of the table as they are found here."""
    precision.LEAST = any_size()
    for mode, isa in [("highest", "avx512"), ("highest", "amx"), ("high", "amx"), ("medium", "amx")]:
        how = precision.used(mode, isa)
        for data in kinds(how):
            for length in LENGTHS:
                rms, largest, sgemm, _ = errors(data, length, mode, isa)
                by_fma = errors(data, length, "highest", "avx512")[0]
                limits = f"{HEADROOM * rms:.1e} | {HEADROOM * largest:.1e}"
                ratios = " | ".join(f"{r:.2f}" if r < 10 else f"{r:.0f}" for r in (rms / by_fma, rms / sgemm))
                yield f"| {how} | {data} | {length} | {limits} | {ratios} |"


def main():
    text = DOCS.read_text()
    head = re.search(r"^\| products \|.*\n\|.*\n", text, re.M).end()
    end = text.index("\n\n", head)
    DOCS.write_text(text[:head] + "\n".join(rows()) + text[end:])


if __name__ == "__main__":
    main()
