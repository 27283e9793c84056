"""Recurrent layers as `reference.py` has the others: float64 NumPy written from the equations, nothing of ours.

(a) x is (B, T, F); weights as Keras has them: kernel (F, gates H), recurrent kernel (H, gates H), bias, in this order.
(b) Every step has its backward beside it; `run` and `back` carry a state through the steps and its gradient back.
(c) A step that a mask leaves out keeps the state; dropout of the state multiplies it before the product alone.
"""

import numpy as np
import reference as ref


def act(function, x):
    name, parameters = (function, {}) if isinstance(function, str) else function
    return ref.activation(name, x, **parameters)


def slope(function, x):
    name, parameters = (function, {}) if isinstance(function, str) else function
    return ref.activation_backward(name, x, np.ones_like(x), **parameters)


class SimpleRNN:
    """h' = f(x W + h U + b)."""

    states = 1

    def __init__(self, weights, activation="tanh", recurrent_activation="sigmoid"):
        self.w, self.u, *b = weights
        self.b = b[0] if b else np.zeros(self.w.shape[1])
        self.f, self.g = activation, recurrent_activation
        self.units = self.u.shape[0]
        self.biased = bool(b)

    def step(self, x, state, keep):
        (h,) = state
        a = x @ self.w + (h * keep) @ self.u + self.b
        return (act(self.f, a),), (x, h, keep, a)

    def step_back(self, kept, d_state, grads):
        x, h, keep, a = kept
        da = d_state[0] * slope(self.f, a)
        self.add(grads, x.T @ da, (h * keep).T @ da, da.sum(0))
        return da @ self.w.T, ((da @ self.u.T) * keep,)

    def add(self, grads, *parts):
        for g, part in zip(grads, parts, strict=False):
            g += part

    def zeros(self):
        return [np.zeros_like(a) for a in ([self.w, self.u, self.b] if self.biased else [self.w, self.u])]


class LSTM(SimpleRNN):
    """i, f, o gates, candidate g, columns i, f, g, o: c' = f c + i g, h' = o act(c')."""

    states = 2

    def step(self, x, state, keep):
        h, c = state
        a = np.split(x @ self.w + (h * keep) @ self.u + self.b, 4, axis=1)
        i, f, o, g = act(self.g, a[0]), act(self.g, a[1]), act(self.g, a[3]), act(self.f, a[2])
        new = f * c + i * g
        return (o * act(self.f, new), new), (x, h, c, keep, a, (i, f, g, o), new)

    def step_back(self, kept, d_state, grads):
        x, h, c, keep, a, (i, f, g, o), new = kept
        dh, dc = d_state
        dc = dc + dh * o * slope(self.f, new)
        d = [dc * g * slope(self.g, a[0]), dc * c * slope(self.g, a[1]), dc * i * slope(self.f, a[2]),
             dh * act(self.f, new) * slope(self.g, a[3])]  # fmt: skip
        da = np.concatenate(d, axis=1)
        self.add(grads, x.T @ da, (h * keep).T @ da, da.sum(0))
        return da @ self.w.T, ((da @ self.u.T) * keep, dc * f)


class GRU(SimpleRNN):
    """z, r gates, candidate c: h' = z h + (1 - z) c; r multiplies the product of the state, as with cuDNN."""

    def __init__(self, weights, *functions):
        super().__init__(weights, *functions)
        self.b, self.b2 = self.b if self.biased else (self.b, 0 * self.b)

    def step(self, x, state, keep):
        (h,) = state
        ax, ah = (np.split(a, 3, axis=1) for a in (x @ self.w + self.b, (h * keep) @ self.u + self.b2))
        a = [ax[0] + ah[0], ax[1] + ah[1]]
        z, r = act(self.g, a[0]), act(self.g, a[1])
        a.append(ax[2] + r * ah[2])
        c = act(self.f, a[2])
        return (z * h + (1 - z) * c,), (x, h, keep, a, z, r, c, ah[2])

    def step_back(self, kept, d_state, grads):
        x, h, keep, a, z, r, c, inner = kept
        (dh,) = d_state
        dz = dh * (h - c) * slope(self.g, a[0])
        dc = dh * (1 - z) * slope(self.f, a[2])
        dr = dc * inner * slope(self.g, a[1])
        d_in, d_rec = (np.concatenate([dz, dr, d], axis=1) for d in (dc, dc * r))
        self.add(grads, x.T @ d_in, (h * keep).T @ d_rec, np.stack([d_in.sum(0), d_rec.sum(0)]))
        return d_in @ self.w.T, (dh * z + (d_rec @ self.u.T) * keep,)

    def zeros(self):
        found = [np.zeros_like(self.w), np.zeros_like(self.u)]
        return [*found, np.zeros((2, len(self.b)))] if self.biased else found


class GRUBefore(SimpleRNN):
    """The same, r multiplying the state before the product (Cho et al. 2014)."""

    def step(self, x, state, keep):
        (h,) = state
        n = 2 * self.units
        ax = x @ self.w + self.b
        az, ar = np.split(ax[:, :n] + (h * keep) @ self.u[:, :n], 2, axis=1)
        z, r = act(self.g, az), act(self.g, ar)
        ac = ax[:, n:] + (r * h * keep) @ self.u[:, n:]
        c = act(self.f, ac)
        return (z * h + (1 - z) * c,), (x, h, keep, (az, ar, ac), z, r, c)

    def step_back(self, kept, d_state, grads):
        x, h, keep, (az, ar, ac), z, r, c = kept
        (dh,) = d_state
        n = 2 * self.units
        dz, dc = dh * (h - c) * slope(self.g, az), dh * (1 - z) * slope(self.f, ac)
        drh = dc @ self.u[:, n:].T
        dr = drh * h * keep * slope(self.g, ar)
        da = np.concatenate([dz, dr, dc], axis=1)
        du = np.concatenate([(h * keep).T @ da[:, :n], (r * h * keep).T @ dc], axis=1)
        self.add(grads, x.T @ da, du, da.sum(0))
        return da @ self.w.T, (dh * z + drh * r * keep + (da[:, :n] @ self.u[:, :n].T) * keep,)


CELLS = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU, "GRUBefore": GRUBefore}


def order(steps, go_backwards):
    return range(steps - 1, -1, -1) if go_backwards else range(steps)


def run(cell, x, first=None, go_backwards=False, mask=None, keep=1.0):
    """(states after each step, in the order of the steps; what `back` needs). mask: (B, T), whether a step counts."""
    state = tuple(first or [np.zeros((len(x), cell.units))] * cell.states)
    states, kept = [], []
    for t in order(x.shape[1], go_backwards):
        new, of_step = cell.step(x[:, t], state, keep)
        if mask is not None:
            new = tuple(np.where(mask[:, t, None], a, b) for a, b in zip(new, state, strict=True))
        state = new
        states.append(state)
        kept.append((t, of_step))
    return states, kept


def back(cell, x, kept, d_results, d_last=None, mask=None, truncate=None):
    """(dx, gradients of the weights, of the first states); d_results: (B, T, H), in the order of the steps."""
    dx, grads = np.zeros_like(x), cell.zeros()
    d_state = tuple(d_last or [np.zeros_like(d_results[:, 0])] * cell.states)
    for s in range(len(kept) - 1, -1, -1):
        t, of_step = kept[s]
        d_state = (d_state[0] + d_results[:, s], *d_state[1:])
        counts = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        inside = tuple(np.where(counts, d, 0) for d in d_state)
        passed = tuple(np.where(counts, 0, d) for d in d_state)
        dx[:, t], before = cell.step_back(of_step, inside, grads)
        d_state = tuple(a + b for a, b in zip(before, passed, strict=True))
        if truncate and (len(kept) - s) % truncate == 0 and s:
            d_state = tuple(np.zeros_like(d) for d in d_state)
    return dx, grads, d_state


def output(name, x, weights, sequences=False, go_backwards=False, **options):
    """The result of a layer, for the layer cases."""
    states, _ = run(CELLS[name](weights, *options.values()), x, go_backwards=go_backwards)
    return np.stack([h for h, *_ in states], axis=1) if sequences else states[-1][0]
