"""The history of a model in its file: JSON in a tensor of bytes, as the size of the header is limited."""

import json
import warnings

import numpy as np

from ..callbacks.health import Health
from ..callbacks.history import History
from . import configuration
from .container import FormatError, parse_json

NAME = "history"  # of the tensor


def put(history, tensors):
    """Add the history to the tensors of a file."""
    if history is None:
        return
    values = {}
    for name, of_epochs in history.history.items():
        try:
            values[name] = configuration.encode(list(of_epochs), f"history[{name!r}]")
        except (TypeError, ValueError) as error:
            warnings.warn(f"save: {error}; the file does not have it", stacklevel=5)
    content = {"epoch": history.epoch, "history": values, "some": history._some, "health": None}
    content["record"] = history.record
    if history.health is not None:
        content["health"] = history.health.to_dict()
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    tensors[NAME] = np.frombuffer(text.encode(), np.uint8)


def get(tensors):
    """The history in the tensors of a file; None if there is none, as in files of earlier versions."""
    if NAME not in tensors:
        return None
    try:
        content, history = parse_json(bytes(tensors[NAME])), History()
        history.epoch = [int(epoch) for epoch in content["epoch"]]
        history.history = {name: configuration.decode(each, {}) for name, each in content["history"].items()}
        history._some = {name: [int(epoch) for epoch in epochs] for name, epochs in content["some"].items()}
        history.record = dict(content.get("record", {}))
        if content["health"] is not None:
            history.health = Health.from_dict(content["health"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the file is corrupted: invalid history: {error}") from error
    return history
