"""What training makes small: losses, under Keras' names.

A loss object says which row of the kernels to run. The mean of ``weight * loss`` over the batch is
what is minimised; weights do not change the divisor, as in Keras. A loss of your own is a function
in NumPy, see `PythonLoss`.
"""

import numpy as np

from ._checks import Registry, module_attributes, number, one_of, refuse_keywords
from ._config import CoreRow, is_description, snake_case
from ._core.kernels import loss_rows

_registry = Registry("loss")


class Loss(CoreRow):
    """Base of the losses that run in the core.

    Attributes
    ----------
    row, logits_row : str or None
        Rows in the kernels, for predictions and for logits.
    target : {"labels", "dense"}
        Class numbers, or numbers, as many as the model has outputs.
    through : str or None
        An output activation that undoes logits: after it, training goes through the logits by
        itself.
    """

    rows = loss_rows()
    logits_row = through = None
    from_logits = False

    def __init__(self, *, reduction="sum_over_batch_size", name=None, **kwargs):
        refuse_keywords(type(self), kwargs)
        self.reduction = one_of("reduction", reduction, ("sum_over_batch_size",))
        self.name = name or snake_case(type(self).__name__)


class MeanSquaredError(Loss):
    """Mean of ``(y_pred - y_true) ** 2`` over the outputs of a sample. Short: ``"mse"``.

    Examples
    --------
    >>> fastnn.losses.get("mse").name
    'mean_squared_error'
    """

    row = "mean_squared_error"
    aliases = ("mse",)


class MeanAbsoluteError(Loss):
    """Mean of ``|y_pred - y_true|`` over the outputs of a sample; slope 0 at 0. Short: "mae"."""

    row = "mean_absolute_error"
    aliases = ("mae",)


class _Crossentropy(Loss):
    def __init__(self, from_logits=False, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.from_logits = bool(from_logits)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)


class BinaryCrossentropy(_Crossentropy):
    r"""Mean of :math:`-t \log p - (1 - t) \log(1 - p)` over the outputs of a sample.

    Parameters
    ----------
    from_logits : bool
        The model ends without a sigmoid. After a sigmoid, training goes through its input anyway,
        which is exact for any size of it.
    label_smoothing : float
        s turns targets t into t (1 − s) + s / 2.
    """

    row, logits_row, through = "binary_crossentropy", "binary_crossentropy_logits", "sigmoid"
    aliases = ("bce",)


class CategoricalCrossentropy(_Crossentropy):
    r""":math:`-\sum_k t_k \log p_k`, for targets that are rows of probabilities (one-hot).

    Parameters
    ----------
    from_logits : bool
        The model ends without a softmax. After a softmax, training goes through its input anyway:
        its gradient is p − t, and the loss is finite for any logits.
    label_smoothing : float
        s turns targets t into t (1 − s) + s / K.
    """

    row, logits_row, through = "crossentropy", "softmax_crossentropy", "softmax"


class SparseCategoricalCrossentropy(Loss):
    r""":math:`-\log p_{label}`, for targets that are class numbers 0 … K − 1.

    Parameters
    ----------
    from_logits : bool
        As for `CategoricalCrossentropy`.
    """

    row, logits_row, through = "sparse_crossentropy", "sparse_softmax_crossentropy", "softmax"

    def __init__(self, from_logits=False, **kwargs):
        super().__init__(**kwargs)
        self.from_logits = bool(from_logits)


class PythonLoss:
    """A loss of the user's own, in NumPy.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)`` returns ``(values, gradient)``: the loss of each sample, shape
        (B,), and the derivative of each by its own predictions, shaped like `y_pred`. Weights and
        the division by the batch are applied by the model.

    Raises
    ------
    TypeError, ValueError
        While training, if what the function returns is something else.

    Examples
    --------
    >>> def cubic(y_true, y_pred):
    ...     e = y_pred - y_true
    ...     return (abs(e) ** 3).mean(axis=1), 3 * e * abs(e) / e.shape[1]
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", loss=cubic)
    """

    target = None

    def __init__(self, function):
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def __call__(self, y_true, y_pred):
        result = self.function(y_true, y_pred)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"loss {self.name}: expected (values, gradient): the loss of each sample, shape ({len(y_pred)},), and"
                f" its derivative, shape {y_pred.shape}; got {type(result).__name__}"
            )
        values, gradient = np.asarray(result[0]), np.asarray(result[1])
        for what, array, shape in (
            ("values", values, (len(y_pred),)),
            ("gradient", gradient, y_pred.shape),
        ):
            if array.shape != shape:
                raise ValueError(
                    f"loss {self.name}: expected {what} of shape {shape}, got {array.shape}"
                )
        return values, gradient


def get(identifier):
    """The loss for a name in any case, a description, an object, a class or a function.

    Parameters
    ----------
    identifier : str, dict, Loss, class, function or None

    Returns
    -------
    Loss, PythonLoss or None

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    if identifier is None or isinstance(identifier, (Loss, PythonLoss)):
        return identifier
    if isinstance(identifier, str):
        return _registry.find(identifier)()
    if is_description(identifier):
        return _registry.find(identifier["class_name"]).from_config(identifier["config"])
    if isinstance(identifier, type):
        return get(identifier())
    if not callable(identifier):
        raise TypeError(
            f"loss: expected a name, a Loss or a function (y_true, y_pred), got {identifier!r}"
        )
    return PythonLoss(identifier)


def names():
    """Names of the losses, as classes; any case, with or without underscores, is found."""
    return _registry.names()


_registry.add_classes(globals(), Loss)
__all__ = ["Loss", "PythonLoss", "get", "names"]
__all__.extend(names())
__getattr__, __dir__ = module_attributes(__name__, __all__)
