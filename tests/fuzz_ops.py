"""Random calls of fastnn.ops: odd shapes, dtypes, strides, offsets and values. Only TypeError and ValueError may come.

    python tests/fuzz_ops.py --calls 100000 --seed 1

Meant for a build with sanitizers too (CONTRIBUTING.md). A call depends on (seed, its number) alone, and the line that a
failure prints repeats it. What succeeds must have the right shape and dtype, and the same bits from plain copies of its
arguments on another number of threads.
"""

import argparse
import sys
import time

import numpy as np

from fastnn import ops
from fastnn._core import kernels

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 67, 130]
ODD_DTYPES = ["i4", "i8", "u1", "?", "f2", "c16", "O", "S3", "M8[s]", "g", ">f4", ">f8", ">i4"]
VALUES = [0.0, -0.0, 1.0, -1.0, 1e-40, 1e-300, 88.8, -104.0, 1e8, 3e38, -3e38, 1e300, np.inf, -np.inf, np.nan]


class Draw:
    """The random choices of one call."""

    def __init__(self, seed, number):
        self.rng = np.random.default_rng([seed, number])
        self.dtype = self.pick(["f4", "f8"])

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, things):
        return things[self.rng.integers(len(things))]

    def size(self):
        return int(self.rng.integers(0, 1500)) if self.chance(0.01) else int(self.pick(SIZES))

    def values(self, shape, dtype):
        x = self.rng.normal(size=shape) * self.pick([0.0, 1e-6, 1.0, 1.0, 30.0, 1e10])
        if self.chance(0.3):
            x = np.where(self.rng.random(shape) < 0.2, self.rng.choice(VALUES, size=shape), x)
        with np.errstate(all="ignore"):
            return np.asarray(x).astype(dtype)

    def place(self, a):
        """The same numbers, lying in memory in another way."""
        how = self.rng.integers(0, 12)
        if how == 0 and a.ndim:  # with gaps
            wide = np.zeros(tuple(self.rng.integers(1, 4) * n + 3 for n in a.shape), a.dtype)
            steps = [(w - 1) // max(n, 1) for w, n in zip(wide.shape, a.shape, strict=True)]
            view = wide[tuple(slice(1, 1 + n * s, s) for n, s in zip(a.shape, steps, strict=True))]
            view[...] = a
            return view
        if how == 1:  # backwards
            flip = tuple(slice(None, None, self.pick([1, -1])) for _ in a.shape)
            return a[flip].copy()[flip]
        if how == 2:
            return np.asfortranarray(a)
        if how == 3:  # any byte offset
            offset = self.rng.integers(0, 65)
            view = np.zeros(a.nbytes + offset, np.uint8)[offset:].view(a.dtype).reshape(a.shape)
            view[...] = a
            return view
        if how == 4:
            a = a.copy()
            a.flags.writeable = False
            return a
        if how == 5 and a.ndim:  # rows with something behind them
            return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, 5)])[..., : a.shape[-1]]
        if how == 6 and a.ndim and a.shape[0]:  # one row many times
            return np.broadcast_to(a[:1], a.shape)
        if how == 7 and a.dtype.kind == "f":
            return a.astype(a.dtype.newbyteorder(self.pick(["<", ">"])))
        return a

    def array(self, shape, dtype=None):
        """An argument of this shape, mostly."""
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if self.chance(0.03):
            shape = tuple(max(0, n + int(self.rng.integers(-1, 2))) for n in shape)
        if self.chance(0.02):
            shape = (*shape, 1) if self.chance(0.5) else shape[1:]
        dtype = dtype or self.dtype
        if self.chance(0.01):
            return self.pick([None, 3, 2.5, "x", [], [[1.0], [2.0, 3.0]], {}, object(), [1.0, 2.0]])
        if self.chance(0.03):
            dtype = self.pick([*ODD_DTYPES, "f4", "f8"])
            if dtype in ("S3", "M8[s]", "O"):
                return np.zeros(shape, dtype)
        return self.place(self.values(shape, dtype))

    def like(self, *arrays):
        """An argument `out`: none, a fitting one, a wrong one, or one in the memory of an input."""
        return self.out(getattr(arrays[0], "shape", ()), arrays)

    def out(self, shape, arrays):
        if self.chance(0.6):
            return None
        with_memory = [a for a in arrays if isinstance(a, np.ndarray)]
        if with_memory and self.chance(0.4):
            a = self.pick(with_memory)
            if self.chance(0.5):
                return a
            if a.ndim and a.size > 1:
                return self.pick([a[::-1], a[:1], a.T, a.reshape(-1)[: a.size // 2]])
        return self.array(shape)

    def outs(self, shapes, arrays):
        if self.chance(0.6):
            return None
        outs = tuple(self.out(s, arrays) for s in shapes)
        return outs if self.chance(0.95) else self.pick([outs[:-1], list(outs), outs[0], 5])

    def number(self, usual):
        if self.chance(0.93):
            return self.rng.uniform(*usual)
        return self.pick([0, 1, -1, 0.0, 1e300, -1e300, np.inf, -np.inf, np.nan, True, None, "1", [], 1e-320])

    def params(self, defaults):
        given = {n: self.number((-1.0, 2.0)) for n in defaults if self.chance(0.3)}
        if self.chance(0.02):
            given["aplha"] = 1.0
        return given

    def threads(self):
        return self.pick([None, 1, 2, 3, 5, 64]) if self.chance(0.98) else self.pick([0, -1, 65, 2.0, "2", True])

    def integer(self, low, high):
        return int(self.rng.integers(low, high)) if self.chance(0.95) else self.pick([-1, 2**32, 2**64, 1.5, None, 0])

    def labels(self, shape, classes):
        y = np.asarray(self.rng.integers(0, max(1, classes), shape))
        if self.chance(0.1):
            y = y + self.pick([-1, 1, 1000, 2**40])
        with np.errstate(all="ignore"):
            y = y.astype(self.pick(["i1", "u1", "i2", "i4", "i8", "u8", ">i4", ">u8"]) if self.chance(0.97) else "f8")
        return self.place(np.asarray(y))

    def lead(self):
        return tuple(self.size() for _ in range(self.pick([0, 1, 1, 1, 1, 2]))) if self.chance(0.3) else (self.size(),)


# Each gives (function, positional arguments, keyword arguments).


def dense_forward(d):
    lead, i, o = d.lead(), d.size(), d.size()
    x, w = d.array((*lead, i)), d.array((i, o))
    b = d.array(o) if d.chance(0.5) else None
    return ops.dense_forward, [x, w, b, fused(d)], {"out": d.out((*lead, o), [x, w, b])}


def fused(d):
    if d.chance(0.4):
        return None
    name, defaults, _ = d.pick(kernels.activation_rows())
    return name if d.chance(0.5) else (name, d.params(defaults))


def dense_backward(d):
    lead, i, o = d.lead(), d.size(), d.size()
    dy, x, w = d.array((*lead, o)), d.array((*lead, i)), d.array((i, o))
    act = fused(d)
    t = d.array((*lead, o)) if (act is not None) != d.chance(0.02) else None
    return ops.dense_backward, [dy, x, w, act, t], {"out": d.outs([(*lead, i), (i, o), (o,)], [dy, x, w])}


def activation(d):
    name, defaults, _ = d.pick(kernels.activation_rows())
    shape = tuple(d.size() for _ in range(d.pick([0, 1, 2, 3])))[:2]
    if d.chance(0.5):
        x = d.array(shape)
        return ops.activation, [name, x], {"out": d.like(x), **d.params(defaults)}
    dy, t = d.array(shape), d.array(shape)
    return ops.activation_grad, [name, dy, t], {"out": d.like(dy, t), **d.params(defaults)}


def softmax(d):
    shape = (*d.lead(), d.size())
    if d.chance(0.5):
        x = d.array(shape)
        return d.pick([ops.softmax, ops.log_softmax]), [x], {"out": d.like(x)}
    dy, y = d.array(shape), d.array(shape)
    return d.pick([ops.softmax_grad, ops.log_softmax_grad]), [dy, y], {"out": d.like(dy, y)}


def loss(d):
    lead, k = d.lead(), d.size()
    y_pred = d.array((*lead, k))
    weight = d.array(lead) if d.chance(0.4) else None
    outs = {"out": d.outs([lead, (*lead, k)], [y_pred, weight])}
    if d.chance(0.3):
        labels = d.labels(lead, k) if d.chance(0.6) else d.array((*lead, k))
        return ops.softmax_cross_entropy, [y_pred, labels, weight], outs
    metric = d.chance(0.4)
    name, defaults, target = d.pick(kernels.metric_rows() if metric else kernels.loss_rows())
    y_true = d.labels(lead, k) if target == "labels" else d.array((*lead, k))
    if metric:
        return ops.metric, [name, y_true, y_pred], d.params(defaults)
    return ops.loss, [name, y_true, y_pred, weight], outs | d.params(defaults)


def batch_norm(d):
    shape = (*d.lead(), d.size())
    x, dy = d.array(shape), d.array(shape)
    gamma, beta = (d.array(shape[-1]) if d.chance(0.7) else None for _ in range(2))
    mean, var = d.array(shape[-1]), d.array(shape[-1])
    which = d.rng.integers(3)
    if which == 0:
        return ops.batch_norm_stats, [x], {"out": d.outs([shape[-1:]] * 2, [x])}
    epsilon = d.number((0.0, 0.1))
    if which == 1:
        return ops.batch_norm_forward, [x, gamma, beta, mean, var, epsilon], {"out": d.like(x, gamma, var)}
    outs = d.outs([shape, shape[-1:], shape[-1:]], [x, dy, gamma, mean])
    return ops.batch_norm_backward, [dy, x, gamma, mean, var, epsilon], {"out": outs}


def dropout(d):
    x = d.array((*d.lead(), d.size()))
    arguments = [x, d.number((0.0, 0.99)), d.integer(0, 2**63), d.integer(0, 2**40), d.integer(0, 99)]
    return ops.dropout, arguments, {"out": d.like(x)}


def philox(d):
    counter = [d.integer(0, 2**32) for _ in range(d.pick([4, 4, 4, 3]))]
    n = d.pick([d.size(), -1, 2.0, 2**64]) if d.chance(0.1) else d.size()  # 2**32 words would take their time
    return ops.philox, [n, counter, [d.integer(0, 2**32) for _ in range(2)]], {}


def clipping(d):
    function = d.pick([ops.clip_by_value, ops.clip_by_norm, ops.clip_by_global_norm])
    if d.chance(0.5):
        grads = d.array((d.size(), d.size()))
        return function, [grads, d.number((0.0, 5.0))], {"out": d.like(grads)}
    grads = [d.array((d.size(),), d.pick(["f4", "f8"])) for _ in range(d.rng.integers(0, 5))]
    out = None if d.chance(0.5) else [d.like(g) if d.chance(0.8) else d.like(*grads) for g in grads]
    return function, [grads, d.number((0.0, 5.0))], {"out": out}


def optimizer(d):
    name, defaults, states = d.pick(kernels.optimizer_rows())
    shape = tuple(d.size() for _ in range(d.pick([0, 1, 2])))
    w, g = d.array(shape), d.array(shape)
    given = [d.array(shape) for _ in states] if d.chance(0.8) else []
    if d.chance(0.03):
        given = d.pick([given[:1], [*given, w], [w] * len(given), None, w])
    t = d.integer(1, 10**6)
    return ops.optimizer_step, [name, w, given, g, d.number((0.0, 0.1)), t], d.params(defaults)


CALLS = [dense_forward, dense_backward, activation, softmax, loss, batch_norm, dropout, philox, clipping, optimizer]


def flatten(result):
    if isinstance(result, (tuple, list)):
        return [a for r in result for a in flatten(r)]
    return [result]


def plain(value):
    """A C-contiguous, aligned, native copy of arrays of floats."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype.itemsize in (4, 8):
        return np.array(value, value.dtype.newbyteorder("="), order="C")
    if isinstance(value, list) and any(isinstance(v, np.ndarray) for v in value):
        return [plain(v) for v in value]
    return value


def one_call(seed, number):
    """Whether the call was accepted."""
    d = Draw(seed, number)
    function, positional, keywords = d.pick(CALLS)(d)
    if d.chance(0.005):
        keywords["thraeds"] = 1
    if function is not ops.philox:
        keywords["threads"] = d.threads()
    again = None
    if d.chance(0.2) and not (keywords.get("out") is not None and "out" in keywords):
        again = [plain(p) for p in positional], keywords | {"threads": d.pick([1, 2, 3])}
        if function is ops.philox:
            again[1].pop("threads")
    try:
        result = function(*positional, **keywords)
    except (TypeError, ValueError) as error:
        assert str(error), "an error without words"
        return False
    arrays = [a for a in flatten(result) if isinstance(a, np.ndarray)]
    floats = np.dtype("uint32" if function is ops.philox else d.dtype)
    mixed = function in (ops.clip_by_value, ops.clip_by_norm, ops.clip_by_global_norm)
    for a in arrays:
        assert a.dtype == floats or mixed or a.dtype.kind == "f", a.dtype
    if again is not None:
        other = function(*again[0], **again[1])
        # bit for bit, but for the sign of a NaN
        for a, b in zip(flatten(result), flatten(other), strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert a.shape == b.shape and a.dtype == b.dtype
            assert np.where(np.isnan(a), 0, a).tobytes() == np.where(np.isnan(b), 0, b).tobytes()
            assert np.array_equal(np.isnan(a), np.isnan(b))
    return True


def run(calls, seed, first=0, report=0):
    """Make that many calls; returns how many. A failure prints how to repeat it."""
    accepted, start = 0, time.monotonic()
    with np.errstate(all="ignore"):
        for number in range(first, first + calls):
            try:
                accepted += one_call(seed, number)
            except BaseException:
                where = "python tests/fuzz_ops.py --calls 1"
                print(f"\nto repeat: {where} --seed {seed} --first {number}", file=sys.stderr)
                raise
            if report and (number - first + 1) % report == 0:
                print(f"{number - first + 1} calls, {accepted} accepted, {time.monotonic() - start:.0f} s", flush=True)
    # a fuzz whose calls are all refused, or all fine, tests half of what it should
    assert calls < 200 or 0.2 * calls < accepted < 0.9 * calls, accepted
    return calls


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one, which is printed")
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    arguments = parser.parse_args()
    seed = int(np.random.SeedSequence().entropy % 2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}, instruction set {kernels.isa()}", flush=True)
    run(arguments.calls, seed, arguments.first, report=max(1, arguments.calls // 10))


if __name__ == "__main__":
    main()
