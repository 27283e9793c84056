"""Models with several inputs or outputs: what `compile` and the data say of each.

(a) `Ports` belongs to such a model and has an `Output` for each output: loss, metrics, kind of targets. An `Output` is
    what `compiling`, `arguments` and `diagnostics.consistency` otherwise ask a model for, so their functions take it.
(b) Arguments come as a list in the order of the ports, or as a dict by their names.
"""

from copy import copy
from math import prod

import numpy as np

from .._base.checks import number, suggest
from .._base.config import float_dtype
from .._core.clocks import Clock
from ..engine.ports import each, gathered
from ..losses import catalogue as losses
from . import compiled_metrics


class OutputLoss:
    """The loss of one of several outputs, as a figure in the logs: unweighted, without penalties."""

    better = "down"

    def __init__(self, name):
        self.name = name

    def result(self, sums, n):
        return float(sums) / n if n else float("nan")


class Output:
    """One output of a model.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of a sample.
    leading : list of Layer
        That lead to it, the last one last.
    """

    built = True  # rules ask models that

    def __init__(self, name, shape, leading):
        self.name, self.out_shape, self.leading, self.dtype = name, tuple(shape), list(leading), None
        self._target_clock = Clock()
        self.compile(None, 1.0, [], [])

    def compile(self, loss, weight, metrics, weighted_metrics):
        """Set what it is trained for."""
        self.loss = self._loss_asked = loss
        self.weight, self._metrics_asked, self._weighted_asked = weight, metrics, weighted_metrics
        self._metrics = self._kind = None

    @property
    def metrics(self):
        return [*self._metrics_asked, *self._weighted_asked] if self._metrics is None else self._metrics

    @property
    def reads_targets(self):
        return self.loss is not None or bool(self.metrics)

    def leaves(self):
        for layer in self.leading:
            yield from layer.leaves()


class Ports:
    """The inputs and outputs of a model.

    Parameters
    ----------
    inputs : dict
        Names to shapes of samples.
    outputs : list of Output
    named : bool
        Whether results are a dict by the names of the outputs, as the model was given one.
    """

    def __init__(self, inputs, outputs, named=False):
        self.inputs, self.outputs, self.named = inputs, outputs, named
        self.names = [output.name for output in outputs]

    @property
    def many(self):
        """Whether there are several outputs: then logs have the loss of each."""
        return len(self.outputs) > 1

    @property
    def apart(self):
        """Whether the engine adds up losses apart from penalties: of several outputs, or with a factor."""
        return self.many or self.outputs[0].weight != 1 and self.outputs[0].loss is not None

    # -- compile ----------------------------------------------------------------------------------------------
    def compile(self, loss, loss_weights, metrics, weighted_metrics):
        """Read the arguments of `Model.compile`; returns what `model.loss` is to be, and a function that sets them."""
        found = [given if losses.by_targets(given) else losses.get(given) for given in self._of_each("loss", loss)]
        factors = self._of_each("loss_weights", loss_weights, alone=False)
        factors = [
            1.0 if factor is None else number(f"loss_weights[{name!r}]", factor)
            for name, factor in zip(self.names, factors, strict=True)
        ]
        asked = [
            [compiled_metrics.checked(name, given) for given in self._of_each(name, value)]
            for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics))
        ]
        for output, plain, weighted in zip(self.outputs, *asked, strict=True):
            compiled_metrics.check(plain + weighted, prod(output.out_shape))

        def apply():
            for output, *what in zip(self.outputs, found, factors, *asked, strict=True):
                output.compile(*what)

        whole = None if all(given is None for given in found) else found
        return (whole and whole[0]) if not self.many else whole, apply

    def _of_each(self, name, value, alone=True):
        """The argument for each output. alone: one value is for all of them."""
        if value is None:
            return [None] * len(self.outputs)
        if isinstance(value, dict) and not {"class_name", "config"} <= set(value):
            self.check_names(name, value, self.names)
            return [value.get(output) for output in self.names]
        if isinstance(value, (list, tuple)):
            if not self.many and name != "loss" and (len(value) != 1 or not isinstance(value[0], (list, tuple))):
                return [value] if alone else list(value)
            if len(value) != len(self.outputs):
                expected = f"a list of {len(self.outputs)}, one for each output ({', '.join(self.names)}), or a dict"
                raise ValueError(f"{name}: expected {expected}, got {len(value)}")
            return list(value)
        if not alone:
            raise TypeError(f"{name}: expected a list of numbers or a dict by names of outputs, got {value!r}")
        return [value] * len(self.outputs)

    @staticmethod
    def check_names(argument, given, names):
        """ValueError for a key that is no name of a port."""
        for key in given:
            if key not in names:
                hint = suggest(str(key), names)
                raise ValueError(f"{argument}: expected names among {', '.join(names)}, got {key!r}.{hint}")

    # -- metrics ----------------------------------------------------------------------------------------------
    def metrics(self):
        """The figures beside the loss, once targets are known: losses, metrics, weighted metrics."""
        found = [OutputLoss(f"{o.name}_loss") for o in self.outputs if o.loss is not None and self.apart]
        return found + [metric for _, metric in (*self.of_outputs(False), *self.of_outputs(True))]

    def of_outputs(self, weighted):
        """``(number of the output, metric)`` of the resolved metrics, or of the weighted ones."""
        for number_of, output in enumerate(self.outputs):
            found = output._metrics or []
            at = len(found) - len(output._weighted_asked)
            for metric in found[at:] if weighted else found[:at]:
                if self.many:
                    metric = copy(metric)
                    metric.name = f"{output.name}_{metric.name}"
                yield number_of, metric

    def names_of_metrics(self):
        """The names of `metrics`, before targets are known."""
        names, plain, weighted = [], [], []
        for output in self.outputs:
            prefix = f"{output.name}_" if self.many else ""
            found = [prefix + n for n in compiled_metrics.names(output._metrics_asked, output._weighted_asked)]
            names += [f"{output.name}_loss"] * (self.many and output.loss is not None)
            at = len(output._metrics_asked)
            plain, weighted = plain + found[:at], weighted + found[at:]
        return names + plain + weighted

    def whole_loss(self, penalties, losses_and_more):
        """The whole loss, from the sums of an epoch (see `engine.objective.whole_loss`)."""
        weights = [o.weight for o in self.outputs if o.loss is not None] if self.apart else []
        return penalties + sum(w * s for w, s in zip(weights, losses_and_more, strict=False))

    def for_engine(self):
        """Arguments of `Engine`: a loss given by name is left out until targets are known."""
        found = [None if isinstance(o.loss, str) else o.loss for o in self.outputs]
        plain, weighted = list(self.of_outputs(False)), list(self.of_outputs(True))
        return {
            "loss": found if self.many else found[0], "loss_weights": [o.weight for o in self.outputs],
            "metrics": [m.for_core() for _, m in plain], "weighted_metrics": [m.for_core() for _, m in weighted],
            "metric_outputs": [number_of for number_of, _ in (*plain, *weighted)],
        }  # fmt: skip

    def forget_targets(self):
        """As `compiling.forget_targets`, of each output."""
        for output in self.outputs:
            output.compile(output._loss_asked, output.weight, output._metrics_asked, output._weighted_asked)


def by_port(argument, value, names, optional=()):
    """``[(name for errors, value)]`` for each port, from a list or a dict.

    optional: names that may be missing or None."""
    if isinstance(value, dict):
        Ports.check_names(argument, value, names)
        found = [value.get(name) for name in names]
    elif isinstance(value, (list, tuple)) and len(value) == len(names) and (len(names) > 1 or _is_port(value[0])):
        found = list(value)
    elif len(names) == 1:
        found = [value]
    else:
        got = f"a list of {len(value)}" if isinstance(value, (list, tuple)) else type(value).__name__
        expected = f"a list of {len(names)} arrays ({', '.join(names)}), or a dict by these names"
        raise ValueError(f"{argument}: expected {expected}, got {got}")
    for name, array in zip(names, found, strict=True):
        if array is None and name not in optional:
            raise ValueError(f"{argument}: expected an array for {name!r}, got none")
    labels = [f"{argument}[{name!r}]" for name in names] if len(names) > 1 else [argument]
    return list(zip(labels, found, strict=True))


def alone(model, argument, value, names, rows=None):
    """What is given for the only input or output of a model, from a list of one array or a dict by its name.

    names: the attribute of functional models that has the name; rows: number of samples, where it is known."""
    if not isinstance(value, (dict, list, tuple)) or not hasattr(type(model), names):
        return value
    if isinstance(value, dict):
        return by_port(argument, value, getattr(model, names))[0][1]
    one = len(value) == 1 and hasattr(value[0], "__array__")
    return value[0] if one and (np.ndim(value[0]) > 1 or rows not in (None, 1)) else value


def alone_in_compile(model, loss, *metrics):
    """Loss, metrics and weighted metrics for the only output, from dicts by its name, or of the loss a list of it."""
    names = getattr(model, "output_names", None) if hasattr(type(model), "output_names") else None
    found = []
    for argument, value in zip(("loss", "metrics", "weighted_metrics"), (loss, *metrics), strict=True):
        named = isinstance(value, dict) and not {"class_name", "config"} <= set(value)
        if names and named:
            Ports.check_names(argument, value, names)
            value = value.get(names[0])
        elif names and argument == "loss" and isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        found.append(value)
    return found


def _is_port(value):
    return hasattr(value, "__array__") and np.ndim(value) > 1


def weights_by_port(argument, value, names):
    """`by_port` of sample weights; an array alone is for all outputs."""
    several = isinstance(value, (list, tuple)) and all(v is None or np.ndim(v) for v in value)
    if several or isinstance(value, dict):
        return by_port(argument, value, names, optional=names)
    return [(argument, value)] * len(names)


def room(model, n):
    """Arrays for the results of n rows, (n, values) each."""
    shapes = [model.out_shape] if model._ports is None else [o.out_shape for o in model._ports.outputs]
    return gathered(np.empty((n, prod(shape)), float_dtype(model.dtype)) for shape in shapes)


def shaped(model, results, n, inputs=False):
    """Results in the shapes of the outputs, or gradients in those of the inputs: an array, a list or a dict."""
    if model._ports is None:
        return results.reshape(n, *(model.in_shape if inputs else model.out_shape))
    ports = model._ports
    shapes = list(ports.inputs.values()) if inputs else [o.out_shape for o in ports.outputs]
    arrays = results if isinstance(results, list) else each(results)
    found = [a.reshape(n, *shape) for a, shape in zip(arrays, shapes, strict=True)]
    if ports.named and not inputs:
        return dict(zip(ports.names, found, strict=True))
    return found[0] if len(found) == 1 else found


def joined(parts):
    """Results of several batches, one after the other."""
    return gathered(np.concatenate(of_port) for of_port in zip(*map(each, parts), strict=True))
