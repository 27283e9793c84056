"""Saving of the result of a sweep: in the same container format as models, including the models."""

import builtins
import json

import numpy as np

from ..saving import configuration, model
from ..saving.container import FormatError, parse_json, write

FIELDS = {"monitor", "rows", "order", "history", "models"}


def save(result, path, overwrite):
    """`SweepResult.save`."""
    model._may_write(path, overwrite)
    tensors, models = {}, []
    for k, kept in result.models.items():
        config, found = model.taken(kept)
        models.append([k, config])
        tensors |= {f"models/{k}/{name}": array for name, array in found.items()}
    content = {
        "monitor": result.monitor, "order": result._order, "history": configuration.encode(result.history, "history"),
        "rows": [_row(k, row) for k, row in enumerate(result)], "models": models,
    }  # fmt: skip
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
    # not in the header, whose size is limited
    write(path, json.dumps({"kind": "sweep"}), {"content": np.frombuffer(text, np.uint8), **tensors})


def _row(k, row):
    found = {}
    for name, value in row.items():
        if name == "error":
            found[name] = [type(value).__name__, str(value)]
        else:
            found[name] = configuration.encode(value, f"{name} of network {k}")
    return found


def load(path, custom_objects):
    """The attributes of the `SweepResult` of a file."""
    custom = configuration.check_custom(custom_objects)
    with model._explained(path):
        config, tensors = model.container_of(path)
        if config.get("kind") != "sweep":
            raise FormatError("the file has a model or weights; use fastnn.models.load_model or load_weights")
        content = parse_json(bytes(tensors.pop("content")))
        if not isinstance(content, dict) or set(content) != FIELDS:
            raise FormatError("the file is corrupted: invalid content")
        rows = [_revived(row, custom) for row in content["rows"]]
        history, order = configuration.decode(content["history"], {}), content["order"]
        if sorted(order) != list(range(len(rows))) or len(history) != len(rows):
            raise FormatError("the file is corrupted: rows, histories and their order do not match")
        parts = {}
        for name, array in tensors.items():
            _, k, name = name.split("/", 2)
            parts.setdefault(int(k), {})[name] = array
        models = {}
        for k, config in content["models"]:
            if type(k) is not int or not 0 <= k < len(rows):
                raise FormatError(f"the file is corrupted: a model of network {k!r}")
            found = parts.get(k, {})
            models[k] = model.revived(model.checked(config, found), found, custom)
    return {"monitor": content["monitor"], "_rows": rows, "_order": order, "history": history, "models": models}


def _revived(row, custom):
    found = {}
    for name, value in row.items():
        found[name] = _error(*value) if name == "error" else configuration.decode(value, custom)
    return found


def _error(name, text):
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:  # some exceptions need more arguments
            pass
    return RuntimeError(f"{name}: {text}")
