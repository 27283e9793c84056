"""Monitored values: which of the logs, which way is better, and by how much."""

from .._base.checks import suggest


def monitored(name, logs, params):
    """The monitored value; None in an epoch without it; ValueError if no epoch has it."""
    logs = logs or {}
    if name not in logs and name not in params.get("metrics", ()):
        hint = " Give fit validation_data or validation_split." if name.startswith("val_") else ""
        raise ValueError(
            f"monitor: expected a name in the logs, got {name!r}.{suggest(name, logs)}{hint}"
            f" Available: {', '.join(logs)}"
        )
    value = logs.get(name)
    if getattr(value, "ndim", 0):
        raise ValueError(f"monitor: expected a name with one value per epoch, got {name!r}, which has {value.size}")
    return value


def rises(mode, monitor, model):
    """Whether a larger monitored value is better; ValueError if "auto" cannot decide."""
    if not isinstance(monitor, str):
        raise TypeError(f"monitor: expected a name in the logs, got {monitor!r}")
    if mode != "auto":
        return mode == "max"
    name = monitor.removeprefix("val_")
    better = {m.name: m.better for m in getattr(model, "metrics", ())}.get(name)
    if name != "loss" and better is None:
        known = ["loss", *(m.name for m in getattr(model, "metrics", ()))]
        meant = suggest(monitor, [*known, *(f"val_{n}" for n in known)])
        raise ValueError(
            f"mode: expected 'max' or 'min', as the direction of monitor={monitor!r} is unknown, got 'auto'.{meant}"
        )
    return better == "up" and name != "loss"


def improves(value, best, min_delta, rising):
    """Whether `value` is better than `best` by more than min_delta; any value but NaN is better than None."""
    if best is None:
        return value == value
    return value - min_delta > best if rising else value + min_delta < best
