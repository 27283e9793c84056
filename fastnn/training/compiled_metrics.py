"""The metrics of a compiled model: checked by `compile`, resolved with the first data, computed from sums."""

from copy import copy
from math import nan

import numpy as np

NEEDS = {"labels": "class labels", "values": "{} per sample"}


def checked(name, asked):
    """The requested metrics as a list, names checked; `name` is the name of the argument."""
    asked = [] if asked is None else asked
    asked = [asked] if isinstance(asked, str) or not hasattr(asked, "__iter__") else list(asked)
    if None in asked:
        raise TypeError(f"{name}: expected names, metrics or functions (y_true, y_pred), got a list with None")
    if asked:
        metrics = _catalogue()
        for m in asked:
            metrics.get("BinaryAccuracy" if str(m).lower() in metrics.BY_SHAPE else m)
    return asked


def _catalogue():
    from ..metrics import catalogue  # imported by the first model that has metrics

    return catalogue


def check(asked, n_outputs):
    """ValueError for a metric that is undefined for the number of outputs; names are resolved with the first data."""
    for m in asked:
        if not isinstance(m, str):
            _catalogue().get(m).check(n_outputs)


def name_of(metric):
    """The name of a metric, resolved or not."""
    return getattr(metric, "name", None) or getattr(metric, "__name__", metric)


def names(plain, weighted):
    """Names in the logs, as in Keras: weighted metrics whose name is taken are called "weighted_…"."""
    found = [name_of(m) for m in plain]
    for metric in weighted:
        name = name_of(metric)
        found.append(f"weighted_{name}" if name in found else name)
    return found


def resolve(plain, weighted, kind, n_outputs, outputs):
    """The metrics for a kind of targets, in the order of the logs.

    Parameters
    ----------
    plain, weighted : list
        As asked for in `compile`.
    kind : {"labels", "values", "free"}
    n_outputs : int
    outputs : str or None
        See `outputs.kind_of`.

    Raises
    ------
    ValueError
        For a metric with another kind of targets, and for duplicate names.
    """
    found = [_catalogue().resolve(m, kind, n_outputs, outputs) for m in (*plain, *weighted)]
    for metric in found:
        if metric.target not in (None, kind):
            values = f"{n_outputs} value{'s' * (n_outputs > 1)}"
            expected, got = (NEEDS[k].format(values) for k in (metric.target, kind))
            hint = "; for one output use binary_crossentropy" if n_outputs == 1 and kind == "labels" else ""
            raise ValueError(f"metric {metric.name!r}: expected targets with {expected}, but the loss has {got}{hint}")
    unique = names(found[: len(plain)], found[len(plain) :])
    for i, name in enumerate(unique):
        if found[i].name != name:
            found[i] = copy(found[i])  # it may be the user's object, and be in `metrics` too
            found[i].name = name
    if len({"loss", *unique}) <= len(unique):
        raise ValueError(f"metrics: expected distinct names, got {unique}")
    return found


def means(model, n, loss, *found):
    """Loss and metrics of n samples by name, from the sums of the engine."""
    if model._ports is not None:
        loss = model._ports.whole_loss(loss, found)
    logs = {"loss": loss / n if n else nan}
    for metric, sums in zip(model.metrics, found, strict=True):
        # of a weighted mean, the weighted sum and the sum of the weights
        sums, count = sums[0].tolist() if np.shape(sums) == (1, 2) else (sums, n)
        logs[metric.name] = metric.result(sums, count) if n else nan
    if model._ports is not None and model._ports.apart and not model._ports.many:
        del logs[model.metrics[0].name]  # the loss without its factor, which Keras does not show of one output
    return logs


def result(logs, return_dict):
    """What `evaluate` returns: a dict, or the values, without a list around a single one."""
    values = list(logs.values())
    return logs if return_dict else values if len(values) > 1 else values[0]
