"""Arguments of a model's methods, checked: x, y and weights as the arrays that the engine reads."""

from math import prod

from .._base.checks import flag
from ..engine.ports import gathered
from ..losses.regression import whole_targets
from . import ports
from .compiling import adopt_targets, resolve_targets
from .data import arrays, feature_names


def samples(model, name, x, finite=None):
    """x as a checked array; builds the model if it is not built. `finite` as in `arrays.samples`."""
    if model._ports is not None:
        return _inputs(model, name, x, finite)
    x = ports.alone(model, name, x, "input_names")
    feature_names.refuse_others(name, model._feature_names, feature_names.names_of(x))
    x = arrays.as_array(name, x)
    if not model.built:
        with model._lock:
            if not model.built:  # else built by another thread in the meantime
                try:
                    model._build(x.shape[1:])
                except ValueError as error:
                    if x.ndim != 1:
                        raise
                    raise ValueError(
                        f"{name}: expected shape (samples, features), got {x.shape}{arrays.one_axis(name, len(x))}"
                    ) from error
    x = arrays.samples(name, x, model.in_shape, model.dtype, finite)
    for limit in model.row_limits():
        if limit is not None:
            arrays.check_rows(name, x, limit)
    return x


def data(
    model, x, y, sample_weight=None, class_weight=None, check_finite=None, names=("x", "y", "sample_weight"),
    training=False,
):  # fmt: skip
    """Checked `arrays.Data` for a model; `check_finite` as `finite` of `arrays.samples`."""
    if model._ports is not None:
        return _of_ports(model, x, y, sample_weight, class_weight, check_finite, names)
    given, training = x, flag("training", training)
    x = samples(model, names[0], x, check_finite)
    n, w = len(x), None
    if y is None:
        raise TypeError(f"{names[1]}: expected targets, got None")
    y = ports.alone(model, names[1], y, "output_names", n)
    sample_weight = ports.alone(model, names[2], sample_weight, "output_names", n)
    resolve_targets(model, y)
    if hasattr(y, "__len__") and getattr(y, "ndim", 1) and len(y) != n:
        arrays.same_length(n, **{names[1]: y})
    y = _targets(model, names[1], y, check_finite)
    if len(y) != n:
        arrays.same_length(n, **{names[1]: y})
    if sample_weight is not None:
        w = arrays.weights(names[2], sample_weight, n, model.dtype)
    found = arrays.Data(x, y, w)
    found = found if class_weight is None else weighted(model, found, class_weight, whole=False)
    if training:
        keep_feature_names(model, given)
    return found


def _inputs(model, name, x, finite):
    """The checked arrays of all inputs of a model with ports."""
    inputs, found = model._ports.inputs, []
    given, limits = ports.by_port(name, x, list(inputs)), model.row_limits()
    for (label, value), shape, limit in zip(given, inputs.values(), limits, strict=True):
        found.append(arrays.samples(label, arrays.as_array(label, value), shape, model.dtype, finite))
        if limit is not None:
            arrays.check_rows(label, found[-1], limit)
        if len(found[-1]) != len(found[0]):
            n = len(found[0])
            raise ValueError(f"{label}: expected {n} rows, as many as the first input, got {len(found[-1])}")
    return gathered(found)


def _of_ports(model, x, y, sample_weight, class_weight, check_finite, names):
    """`data` of a model with several inputs or outputs."""
    x = _inputs(model, names[0], x, check_finite)
    outputs, found = model._ports.outputs, []
    if y is None:
        raise TypeError(f"{names[1]}: expected targets, got None")
    optional = [output.name for output in outputs if not output.reads_targets]
    targets = ports.by_port(names[1], y, model._ports.names, optional)
    for output, (label, value) in zip(outputs, targets, strict=True):
        if value is None or not output.reads_targets:
            found.append(None)
            continue
        resolve_targets(output, value)
        output.dtype = model.dtype
        found.append(_targets(output, label, value, check_finite))
        arrays.same_length(len(x), **{label: found[-1]})
    adopt_targets(model)
    weights = None
    if sample_weight is not None:
        weights = gathered(
            None if w is None else arrays.weights(label, w, len(x), model.dtype)
            for label, w in ports.weights_by_port(names[2], sample_weight, model._ports.names)
        )
    data = arrays.Data(x, gathered(found), weights)
    return data if class_weight is None else weighted(model, data, class_weight, whole=False)


def _targets(model, name, y, check_finite):
    if model._kind == "labels":
        return arrays.labels(name, y, prod(model.out_shape), getattr(model.loss, "ignore_class", None))
    if model._kind == "values":
        if getattr(model.loss, "of_half", False):
            y = whole_targets(name, arrays.as_array(name, y), prod(model.out_shape))
        y = arrays.targets(name, y, model.out_shape, model.dtype, check_finite)
        if getattr(model.loss, "shares", False):
            arrays.check_shares(name, y)
        return y
    y = arrays.free_targets(name, y, model.out_shape)
    if check_finite:
        arrays.check_finite(name, y)
    return y


def keep_feature_names(model, x):
    """Store the column names of the first data frame used for training."""
    if model._feature_names is None:
        model._feature_names = feature_names.names_of(x)


def weighted(model, given, class_weight, whole):
    """Data with sample weights multiplied by class weights; `whole`: whether these are all targets."""
    if model._ports is not None:
        if model._ports.many:
            raise ValueError(
                "class_weight: expected None for a model with several outputs, got weights; use sample_weight, a list"
            )
        dtype, model = model.dtype, model._ports.outputs[0]
        model.dtype = dtype
    n = prod(model.out_shape)
    binary = n == 1 and getattr(model.loss, "shares", False)
    count = n if model._kind == "labels" else 2 if binary else None
    return given.weighted(class_weight, model.dtype, count, whole)
