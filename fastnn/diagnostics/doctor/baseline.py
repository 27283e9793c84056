"""The loss of the best predictor that gives every sample the same: the yardstick of learning.

The best constant is known in closed form for losses of squares, absolute values and probabilities; for others it is
found by trying quantiles of the targets. All of it is float64 NumPy on a sample of the targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

OF_MEANS = {"crossentropy", "binary_crossentropy", "kl_divergence", "mean_squared_error"}  # the mean is best
TRIED = np.linspace(0, 1, 21)  # quantiles


def constant_loss(loss: Any, targets: Any, limits: tuple[float, float], n: int) -> float | None:
    """The mean loss of the best constant outputs.

    Parameters
    ----------
    loss : Loss
    targets : Targets
    limits : (float, float)
        Between which the outputs of the model are.
    n : int
        Number of outputs of the model.

    Returns
    -------
    float or None
        None if it is unknown: for custom losses.
    """
    row = getattr(loss, "row", None)
    if row is None or targets is None or not len(targets.sample):
        return None
    w = np.ones(len(targets.sample)) if targets.w is None else targets.w.astype(np.float64)
    if not w.sum() > 0:
        return None
    if getattr(loss, "target", None) == "labels":
        return _of_labels(targets, w, loss, n)
    if targets.width != n:
        return None
    table, mean = targets.table, np.average(targets.table, axis=0, weights=w)
    if row in ("crossentropy", "kl_divergence"):
        mean = np.clip(mean, 1e-7, None)
        mean /= mean.sum()
    best = _best(loss, row, table, mean, w, limits)
    scale = w.sum() / len(w)  # the mean loss is over the number of samples
    return None if best is None else float(best * scale)


def _of_labels(targets, w, loss, n):
    if targets.width != 1 or not targets.whole:
        return None
    labels = targets.table[:, 0].astype(np.int64)
    keep = labels != getattr(loss, "ignore_class", None)
    labels, w = labels[keep], w[keep]
    if not len(labels) or labels.min() < 0 or labels.max() >= n:
        return None
    shares = np.bincount(labels, w, n)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares / shares.sum())).sum() / len(labels))


def _best(loss, row, table, mean, w, limits):
    candidates = [mean]
    if row not in OF_MEANS:
        candidates += list(np.quantile(table, TRIED, axis=0))
    found = []
    plain = type(loss)(**_settings(loss))
    for each in candidates:
        prediction = np.broadcast_to(np.clip(each, *limits), table.shape)
        try:
            found.append(np.average(plain(table, np.array(prediction)), weights=w))
        except (TypeError, ValueError):
            return None
    found = [f for f in found if np.isfinite(f)]
    return min(found) if found else None


def _settings(loss):
    settings = {n: v for n, v in loss.get_config().items() if n not in ("name", "dtype")}
    settings["reduction"] = "none"
    if "from_logits" in settings:
        settings["from_logits"] = False
    return settings
