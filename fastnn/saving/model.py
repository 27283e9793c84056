"""Saving and loading of whole models and of weights.

(a) A snapshot is taken under the model's lock, so at the boundary of a step; it is written
    after the lock has been released.
(b) When loading, weights are created without initializers, as zeros whose total size is bounded by the file; then
    the weights of the file are assigned by name. No seed of the process is used.
(c) The optimizer state is the result of `Engine.get_state`: numbers, and arrays by variable. So
    a new optimizer needs no code here.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .. import layers, losses, metrics, optimizers, variables
from .._base.checks import flag
from .._base.config import is_description
from .._base.files import naming
from .._base.signatures import only_default
from . import configuration, history
from .container import FormatError, parse_json, read, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .._base.types import Path
    from ..models.base import BaseModel
    from ..models.sequential import Sequential

FORMATS = ("model", "weights")
MAX_LAYERS = 2**17  # more than any valid header can contain


def save_model(
    model: BaseModel,
    filepath: Path,
    overwrite: bool = True,
    zipped: None = None,
    *,
    include_optimizer: bool = True,
) -> None:
    """Save a model to a file, as `Model.save`.

    Parameters
    ----------
    model : Sequential or Functional
    filepath : str or path-like
    overwrite : bool
        False: raise a FileExistsError if the file exists.
    zipped : None
        For compatibility with Keras; only the default is accepted.
    include_optimizer : bool
        Also save the arguments of `compile`, the optimizer state and all that is needed for an exact resume.
    """
    _may_write(filepath, overwrite)
    only_default("zipped", zipped, None)
    _write(filepath, *taken(model, flag("include_optimizer", include_optimizer)))


def taken(model, include_optimizer=True):
    """A whole model as a configuration and tensors."""
    with model._lock:
        config, tensors = _described(model)
        config["compile"] = None
        if model.compiled and include_optimizer:
            config["compile"] = _compiled(model)
            config["state"] = _take_state(model, tensors)
            history.put(model.history, tensors)
    return config, tensors


def save_weights(
    model: BaseModel, filepath: Path, overwrite: bool = True, max_shard_size: None = None
) -> None:
    """Save only the weights of a model to a file; parameters as for `Model.save_weights`."""
    only_default("max_shard_size", max_shard_size, None)
    _may_write(filepath, overwrite)
    with model._lock:
        names, tensors = _take_weights(model)
    _write(filepath, {"kind": "weights", "weights": names}, tensors)


def _may_write(path, overwrite):
    if not flag("overwrite", overwrite) and os.path.exists(path):
        raise FileExistsError(f"filepath: expected a new file as overwrite is False, got {os.fspath(path)!r}")


def _write(path, config, tensors):
    import json

    text = json.dumps(config, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    write(path, text, tensors)


def _described(model):
    seen = set()
    for layer in model.leaves():
        if id(layer) in seen:
            raise ValueError(f"save: expected a model that uses each layer once, got {layer.name!r} twice")
        seen.add(id(layer))
    names, tensors = _take_weights(model)
    config = {
        "kind": "model",
        "model": configuration.encode(model, model.name),
        "trainable": model._trainable,
        "feature_names": model.feature_names,
        "weights": names,
    }
    return config, tensors


def _names(model):
    """A unique name for each weight of the model."""
    names, used, next_of = [], set(), {}
    for variable in model.weights:
        name, i = variable.name, next_of.get(variable.name, 1)
        while name in used:
            name, i = f"{variable.name}#{i}", i + 1
        next_of[variable.name] = i  # avoids a quadratic search
        used.add(name)
        names.append(name)
    return names


def _take_weights(model):
    names, found = _names(model), model.weights
    tensors = {f"weights/{n}": v.numpy() for n, v in zip(names, found, strict=True)}
    return [[n, v.trainable] for n, v in zip(names, found, strict=True)], tensors


def _compiled(model):
    variables, pattern = model.optimizer._not_decayed
    named = zip(model.weights, _names(model), strict=True)
    return {
        "not_decayed": [[name for v, name in named if v in variables], pattern and pattern.pattern],
        "optimizer": configuration.encode(model.optimizer, "optimizer"),
        **_trained_for(model),
        "weight_decay": model.weight_decay,
        "seed": model.seed,
        "matmul_precision": model.matmul_precision,
        "epochs_done": model.epochs_done,
    }


def _trained_for(model):
    """Loss and metrics; of several inputs or outputs, for each output."""
    if model._ports is not None:
        each = [_trained_for_one(output) | {"loss_weight": output.weight} for output in model._ports.outputs]
        return {"outputs": each}
    return _trained_for_one(model)


def _trained_for_one(part):
    loss = part.loss
    if isinstance(loss, losses.PythonLoss):
        loss = {"$function": configuration.function_name(loss.function, "loss")}
    return {
        "loss": loss if isinstance(loss, dict) else configuration.encode(loss, "loss"),
        "metrics": [_metric(m, f"metrics[{i}]") for i, m in enumerate(part._metrics_asked)],
        "weighted_metrics": [_metric(m, f"weighted_metrics[{i}]") for i, m in enumerate(part._weighted_asked)],
    }


def _metric(metric, where):
    if isinstance(metric, type):
        metric = metric()
    name = []
    if isinstance(metric, metrics.PythonMetric):
        name = [metric.name] * (metric.name != getattr(metric.function, "__name__", None))
        metric = metric.function
    if hasattr(metric, "loss_class") or hasattr(metric, "metric_class"):
        metric = metric.__name__  # a function of fastnn's
    kind = "loss" if isinstance(metric, losses.Loss) else "metric"
    return [kind, configuration.encode(metric, where), *name]


def _take_state(model, tensors):
    """``{key: number or {weight: number of arrays}}``; the arrays are added to `tensors`."""
    if model._engine is None or not model.built:
        return None
    state, config = model.engine().get_state(), {}
    names = dict(zip(model.weights, _names(model), strict=True))
    for key, value in state.items():
        if not isinstance(value, dict):
            config[key] = configuration.encode(value, f"state {key}")
            continue
        config[key] = {}
        for variable, arrays in value.items():
            # weights that are never trained have only zeros
            if variable in names and (variable.trainable or any(map(np.any, arrays))):
                config[key][names[variable]] = len(arrays)
                for i, array in enumerate(arrays):
                    tensors[f"state/{key}/{i}/{names[variable]}"] = array
    return config


# --- reading ---


def load_model(
    filepath: Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Sequential:
    """Load a model saved by `model.save`.

    Loading runs no code from the file and opens no other file: layers, initializers and so on are found
    by name among the built-in ones and `custom_objects`.

    Parameters
    ----------
    filepath : str or path-like
    custom_objects : dict, optional
        Names of the custom classes and functions that the model uses, mapped to these objects.
    compile : bool
        Also compile the model and restore the optimizer state, so that `fit` resumes exactly where it
        stopped.
    safe_mode : bool
        For compatibility with Keras; must be True.

    Returns
    -------
    Sequential or Functional

    Raises
    ------
    FormatError
        If the file is in another format (the message says which), is corrupted, or needs `custom_objects`. A
        subclass of ValueError.
    OSError
        If there is no such file.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastnn.layers import Dense
    >>> model = fastnn.Sequential([Dense(2, input_shape=(3,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.fastnn")
    ...     model.save(path)
    ...     again = fastnn.models.load_model(path)
    >>> again.output_shape
    (None, 2)
    """
    if not flag("safe_mode", safe_mode):
        raise ValueError(f"safe_mode: expected True, as loading never runs code, got {safe_mode!r}")
    compile = flag("compile", compile)
    custom = configuration.check_custom(custom_objects)
    with _explained(filepath):
        config, tensors = _contents(filepath)
        return revived(config, tensors, custom, compile)


def revived(config, tensors, custom, compile=True):
    """The model from the result of `taken`."""
    if config["kind"] != "model":
        raise FormatError("the file has weights only; create the model in code and call model.load_weights")
    model = _revived(config, tensors, custom)
    if compile and config["compile"] is not None:
        _compile(model, config, tensors, custom)
    return model


@contextmanager
def _explained(path):
    """Convert errors inside the block to FormatErrors that name the file."""
    name = os.fspath(path)
    try:
        with naming(path):
            yield
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error.__cause__
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise FormatError(f"{name}: {type(error).__name__}: {error}") from error


def container_of(path):
    """The configuration and the tensors of a file of any kind."""
    text, tensors = read(path)
    config = parse_json(text)
    if not isinstance(config, dict):
        raise FormatError("the file is corrupted: invalid configuration")
    return config, tensors


def _contents(path):
    config, tensors = container_of(path)
    if config.get("kind") == "sweep":
        raise FormatError("the file has the result of a sweep; use fastnn.SweepResult.load")
    return checked(config, tensors), tensors


def checked(config, tensors):
    """The configuration, after a check that it has a tensor for each name of a weight."""
    if not isinstance(config, dict) or config.get("kind") not in FORMATS:
        raise FormatError("the file is corrupted: invalid configuration")
    named = config["weights"]
    if len({name for name, _ in named}) != len(named) or not all(
        isinstance(name, str) and isinstance(trainable, bool) for name, trainable in named
    ):
        raise FormatError("the file is corrupted: invalid list of weights")
    for name, _ in named:
        if f"weights/{name}" not in tensors:
            raise FormatError(f"the file is corrupted: missing weights {name!r}")
    return config


def _revived(config, tensors, custom):
    left = sum(a.nbytes for n, a in tensors.items() if n.startswith("weights/"))

    def blank(shape, dtype):
        nonlocal left
        size = np.dtype(dtype).itemsize
        for n in shape:
            size *= n
        left -= size
        if left < 0:
            raise FormatError(f"the file is corrupted: its layers need more weights than it has: {shape}")
        return np.zeros(shape, dtype)

    token = variables.blank.set(blank)
    try:
        found = configuration.decode(config["model"], custom)
        model = found if not is_description(found) else _described_layer(found, custom)
    finally:
        variables.blank.reset(token)
    if not callable(getattr(model, "compile", None)):
        raise FormatError(f"expected a model, got {type(model).__name__}")
    own = dict(zip(_names(model), model.weights, strict=True))
    if set(own) != {name for name, _ in config["weights"]}:
        raise FormatError("the file is corrupted: its layers and weights do not match")
    put_weights(config, tensors, own)
    model._trainable = bool(config["trainable"])
    model.feature_names = config.get("feature_names")
    return model


def put_weights(config, tensors, own):
    """Assign the weights of the file to variables by name."""
    for name, trainable in config["weights"]:
        array, variable = tensors[f"weights/{name}"], own[name]
        if (array.shape, array.dtype) != (variable.shape, variable.dtype):
            raise FormatError(
                f"weights {name!r}: expected dtype {variable.dtype} and shape {variable.shape}, got"
                f" {array.dtype} and {array.shape}"
            )
        variable.assign(array)
        variable.trainable = trainable


def _described_layer(description, custom):
    for i, name in enumerate(_class_names(description)):
        if i == MAX_LAYERS:
            raise FormatError(f"the file is corrupted: more than {MAX_LAYERS} layers")
        if not layers.known(name):
            raise configuration.unknown("layer", name, custom)
    return layers.from_description(description)


def _class_names(description):
    """Class names of the layers of a model, nested models included."""
    yield description["class_name"]
    for part in description["config"].get("layers", ()):
        if is_description(part):
            yield from _class_names(part)


def _compile(model, config, tensors, custom):
    how = config["compile"]
    own = dict(zip(_names(model), model.weights, strict=True))
    optimizer = optimizers.get(configuration.decode(how["optimizer"], custom))
    excluded, pattern = how["not_decayed"]
    if excluded or pattern:
        optimizer.exclude_from_weight_decay([own[n] for n in excluded], pattern)
    model.compile(
        optimizer,
        **_revived_aims(how, custom),
        weight_decay=how.get("weight_decay"),
        seed=how["seed"],
        matmul_precision=how["matmul_precision"],
    )
    model.epochs_done = _count("epochs_done", how["epochs_done"])
    put_state(model, config["state"], tensors, own)
    model.history = history.get(tensors)
    if model.history is not None:
        model.history.set_model(model)


def _revived_aims(how, custom):
    """The arguments of `compile` that `_trained_for` has described."""
    if "outputs" in how:
        each = [_revived_aims(output, custom) for output in how["outputs"]]
        found = {name: [output[name] for output in each] for name in ("loss", "metrics", "weighted_metrics")}
        return {**found, "loss_weights": [output["loss_weight"] for output in how["outputs"]]}
    return {
        "loss": configuration.decode(how["loss"], custom),
        "metrics": _metrics(how["metrics"], custom),
        "weighted_metrics": _metrics(how.get("weighted_metrics", ()), custom),
    }


def put_state(model, saved, tensors, own):
    """Restore the optimizer state of a file, as returned by `_take_state`."""
    if saved is None:
        return
    state = {}
    engine = model.engine()
    expected = engine.get_state()
    if set(expected) != set(saved):
        raise FormatError("the optimizer state in the file does not match that of this version of fastnn")
    for key, value in saved.items():
        if isinstance(expected[key], dict) != isinstance(value, dict):
            raise FormatError(f"the file is corrupted: invalid state {key}")
        if not isinstance(value, dict):
            value = configuration.decode(value, {})
            state[key] = _count(key, value) if isinstance(expected[key], int) else value
            continue
        state[key] = {}
        for name, n in value.items():
            arrays = [tensors[f"state/{key}/{i}/{name}"] for i in range(_count(key, n, 64))]
            before = expected[key][own[name]]
            if [(a.shape, a.dtype) for a in arrays] != [(a.shape, a.dtype) for a in before]:
                raise FormatError(f"state {key} of {name!r} does not match the weights")
            state[key][own[name]] = arrays
    engine.set_state(state)
    model.optimizer.at_batch(engine.step)


def _metrics(saved, custom):
    asked = []
    for kind, metric, *name in saved:
        metric = configuration.decode(metric, custom)
        metric = (losses if kind == "loss" else metrics).get(metric) if is_description(metric) else metric
        if name:  # of a function, which may be a built-in one, known by its name
            if isinstance(metric, str):
                metric = getattr(losses if hasattr(losses, metric) else metrics, metric)
            metric = metrics.PythonMetric(metric, *name)
        asked.append(metric)
    return asked


def _count(name, value, most=2**53):
    if type(value) is not int or not 0 <= value <= most:
        raise FormatError(f"the file is corrupted: {name} is {value!r}")
    return value


def load_weights(
    model: BaseModel, filepath: Path, skip_mismatch: bool = False, *, by_name: bool = False
) -> None:
    """Load weights from a file into a model; parameters as for `Model.load_weights`."""
    skip_mismatch, by_name = flag("skip_mismatch", skip_mismatch), flag("by_name", by_name)
    with _explained(filepath):
        config, tensors = _contents(filepath)
    names = [name for name, _ in config["weights"]]
    arrays = {name: tensors[f"weights/{name}"] for name in names}
    own = _names(model)
    if not model.built:
        raise ValueError(
            f"load_weights: expected a built model, got {model.name}; give it an input shape, or call build"
        )
    if not by_name and len(own) != len(names):
        raise ValueError(
            f"{os.fspath(filepath)}: expected {len(own)} weights, {[v.shape for v in model.weights]},"
            f" got {len(names)}, {[a.shape for a in arrays.values()]}"
        )
    theirs, ours = ([name.split("/")[-1] for name in some] for some in (names, own))
    if not by_name and theirs != ours and sorted(theirs) == sorted(ours):
        raise ValueError(
            f"{os.fspath(filepath)}: expected weights in the order {own}, got {names}; use by_name=True"
        )
    pairs = list(zip(own if by_name else names, model.weights, strict=True))
    taken = []
    for name, variable in pairs:
        if name in arrays and arrays[name].shape == variable.shape:
            taken.append((variable, arrays[name]))
        elif name in arrays and not skip_mismatch:
            raise ValueError(
                f"{os.fspath(filepath)}: expected weights of shape {variable.shape} for {variable.name}, got"
                f" {arrays[name].shape} ({name})"
            )
    if by_name and not taken and not skip_mismatch:
        raise ValueError(
            f"{os.fspath(filepath)}: expected weights with names in the model, got {', '.join(names)}"
        )
    with model._lock:
        for variable, array in taken:
            variable.assign(array)
