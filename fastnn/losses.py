"""Loss functions, under Keras' names.

A loss object names the kernel row to run. Training minimises the mean of ``weight * loss`` over the
batch; weights do not change the divisor, as in Keras. A custom loss is a function in NumPy, see
`PythonLoss`.
"""

from math import inf

import numpy as np

from ._base.checks import (
    flag,
    integer,
    module_attributes,
    number,
    one_of,
    refuse_keywords,
    takes,
)
from ._base.config import CoreRow, float_dtype, snake_case
from ._base.numbers import as_array, cast
from ._base.registry import Registry, deserialized
from ._base.signatures import function_of
from ._core.kernels import loss_rows

_registry = Registry("loss")
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
BY_TARGETS = ("crossentropy", "ce", "log_loss")  # names for `compile`, see `resolve`
REDUCTIONS = (*MEANS, "sum", "none")


class Loss(CoreRow):
    """Base class of the built-in losses.

    Parameters
    ----------
    name : str, optional
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none"}
        Quantity to minimise: the mean over the batch (the first two), the weighted mean, or the sum.
        "none" is only for calling the loss object directly.
    dtype : {"float32", "float64"}, optional
        Dtype used when the object is called; default: that of `y_pred`. A model uses its own dtype.

    Attributes
    ----------
    row, logits_row : str or None
        Rows in the kernels, for predictions and for logits.
    target : {"labels", "values"}
        Class labels, or one value for each output of the model.
    through : str or None
        Output activation that this loss is fused with: after it, training uses the logits
        directly.
    """

    rows = loss_rows()
    logits_row = through = None
    shares = False  # whether targets must be probabilities, in [0, 1]
    from_logits = False
    axis = -1

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.variants = (cls.logits_row,)

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None, **kwargs):
        refuse_keywords(type(self), kwargs)
        self.reduction = one_of("reduction", "none" if reduction is None else reduction, REDUCTIONS)
        self.name = name or snake_case(type(self).__name__)
        self.dtype = None if dtype is None else float_dtype(dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Compute the loss of arrays.

        Parameters
        ----------
        y_true : array_like (..., K) or class labels (...)
        y_pred : array_like (..., K)
        sample_weight : array_like (...), optional

        Returns
        -------
        float or ndarray (...)
            An array if the reduction is "none".

        Examples
        --------
        >>> fastnn.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]])
        0.5
        """
        values, valid = self._values(y_true, y_pred)
        dtype = values.dtype
        weight = np.ones((), dtype) if sample_weight is None else as_array("sample_weight", sample_weight)
        weight = np.broadcast_to(weight.reshape(np.shape(weight)[: values.ndim]), values.shape) * valid
        values = np.where(weight == 0, 0, values * weight)
        if self.reduction == "none":
            return values.astype(dtype, copy=False)
        divisor = {"sum": 1, "mean_with_sample_weight": weight.sum()}.get(self.reduction, valid.sum())
        return float(values.sum() / divisor) if divisor else 0.0

    def _last(self, y_pred, y_true):
        """Arrays with `axis` as the last one."""
        if not -y_pred.ndim <= self.axis < y_pred.ndim:
            raise ValueError(f"axis: expected an axis of y_pred of shape {y_pred.shape}, got {self.axis}")
        if y_true.ndim == y_pred.ndim:  # class labels may have one axis less
            y_true = np.moveaxis(y_true, self.axis, -1)
        return np.moveaxis(y_pred, self.axis, -1), y_true

    def _values(self, y_true, y_pred):
        """The loss of each row, and whether the row is included."""
        from . import ops

        y_pred = as_array("y_pred", y_pred)
        y_pred = cast("y_pred", y_pred, self.dtype or (y_pred.dtype if y_pred.dtype.kind == "f" else np.float32))
        y_true = as_array("y_true", y_true)
        if self.axis not in (-1, y_pred.ndim - 1):
            y_pred, y_true = self._last(y_pred, y_true)
        if self.target == "labels":
            if y_true.dtype.kind == "f" and (np.trunc(y_true) != y_true).any():
                raise ValueError("y_true: expected integer class labels")
            y_true = y_true.astype(np.int64).reshape(y_pred.shape[:-1])
            valid = y_true != getattr(self, "ignore_class", None)
            y_true = np.where(valid, y_true, 0)
        else:
            y_true, valid = cast("y_true", y_true, y_pred.dtype), np.True_
            if y_true.shape not in (y_pred.shape, (*y_pred.shape, 1)) and (*y_true.shape, 1) != y_pred.shape:
                raise ValueError(f"y_true: expected shape {y_pred.shape}, like y_pred, got {y_true.shape}")
            y_true = y_true.reshape(y_pred.shape)
        row = self.logits_row if self.from_logits else self.row
        values, _ = ops.loss(row, y_true, y_pred, **dict(zip(self.parameters, self.params, strict=True)))
        return values, np.broadcast_to(valid, values.shape)


def _named(name):
    """Constructor of a loss without additional arguments."""

    def __init__(self, reduction="sum_over_batch_size", name=name, dtype=None, **kwargs):
        Loss.__init__(self, name, reduction, dtype, **kwargs)

    return __init__


class MeanSquaredError(Loss):
    """Mean of ``(y_pred - y_true) ** 2`` over the outputs of a sample. Alias: ``"mse"``.

    Examples
    --------
    >>> fastnn.losses.get("mse").name
    'mean_squared_error'
    """

    row = "mean_squared_error"
    aliases = ("mse",)
    __init__ = _named("mean_squared_error")


class MeanAbsoluteError(Loss):
    """Mean of ``|y_pred - y_true|`` over the outputs of a sample; slope 0 at 0. Alias: "mae"."""

    row = "mean_absolute_error"
    aliases = ("mae",)
    __init__ = _named("mean_absolute_error")


class MeanAbsolutePercentageError(Loss):
    """Mean of ``100 * |y_true - y_pred| / max(|y_true|, 1e-7)``. Alias: ``"mape"``."""

    row = "mean_absolute_percentage_error"
    aliases = ("mape",)
    __init__ = _named("mean_absolute_percentage_error")


class MeanSquaredLogarithmicError(Loss):
    """Mean of ``(log(1 + y_pred) - log(1 + y_true)) ** 2``, both clipped to at least 1e-7. Alias: "msle"."""

    row = "mean_squared_logarithmic_error"
    aliases = ("msle",)
    __init__ = _named("mean_squared_logarithmic_error")


class Huber(Loss):
    """Mean of e² / 2 where |e| ≤ δ and of δ |e| − δ² / 2 elsewhere; e = y_pred − y_true.

    Parameters
    ----------
    delta : float
        Above 0.

    References
    ----------
    Huber 1964.
    """

    row, aliases = "huber", ("huber_loss",)

    def __init__(
        self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None, **kwargs
    ):
        super().__init__(name, reduction, dtype, **kwargs)
        self.delta = number("delta", delta, 0, open_low=True)


class LogCosh(Loss):
    """Mean of ``log(cosh(y_pred - y_true))``."""

    row = "log_cosh"
    __init__ = _named("log_cosh")


class Hinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0)``; targets are −1 or 1, and 0 counts as −1."""

    row = "hinge"
    __init__ = _named("hinge")


class SquaredHinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0) ** 2``; targets as for `Hinge`."""

    row = "squared_hinge"
    __init__ = _named("squared_hinge")


class CategoricalHinge(Loss):
    """``max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)`` over the outputs of a sample."""

    over_a_row = True
    row = "categorical_hinge"
    __init__ = _named("categorical_hinge")


class Poisson(Loss):
    """Mean of ``y_pred - y_true * log(y_pred + 1e-7)``."""

    row = "poisson"
    __init__ = _named("poisson")


class KLDivergence(Loss):
    """``sum(y_true * log(y_true / y_pred))`` over the outputs, both clipped to [1e-7, 1]. Alias: "kld"."""

    over_a_row = True
    row = "kl_divergence"
    aliases = ("kld", "kullback_leibler_divergence")
    __init__ = _named("kl_divergence")


class CosineSimilarity(Loss):
    """Negative cosine similarity of `y_pred` and `y_true`: −1 if they have the same direction.

    Parameters
    ----------
    axis : int
        Axis of the vectors. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.
    """

    over_a_row = True
    row = "cosine_similarity"

    def __init__(
        self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None, **kwargs
    ):
        super().__init__(name, reduction, dtype, **kwargs)
        self.axis = integer("axis", axis)


class Quantile(Loss):
    """Mean of ``max(q * e, (q - 1) * e)``, e = y_true − y_pred: minimised by the q-quantile. Alias: "pinball".

    Parameters
    ----------
    quantile : float
        Between 0 and 1.

    References
    ----------
    Koenker & Bassett 1978.
    """

    row, aliases = "quantile", ("pinball", "quantile_loss")

    def __init__(
        self, quantile=0.5, reduction="sum_over_batch_size", name="quantile", dtype=None, **kwargs
    ):
        super().__init__(name, reduction, dtype, **kwargs)
        self.quantile = number("quantile", quantile, 0, 1, open_low=True, open_high=True)


def _smoothed(name):
    """Constructor of a cross-entropy with dense targets."""

    def __init__(
        self, from_logits=False, label_smoothing=0.0, axis=-1,
        reduction="sum_over_batch_size", name=name, dtype=None, **kwargs,
    ):  # fmt: skip
        Loss.__init__(self, name, reduction, dtype, **kwargs)
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)

    return __init__


class BinaryCrossentropy(Loss):
    r"""Mean of :math:`-t \log p - (1 - t) \log(1 - p)` over the outputs of a sample.

    Parameters
    ----------
    from_logits : bool
        Whether `y_pred` are logits, that is, the model ends without a sigmoid. After a sigmoid,
        training uses the logits anyway, which is exact for logits of any size.
    label_smoothing : float
        s replaces targets t by t (1 − s) + s / 2.
    axis : int
        Axis of the mean. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.
    """

    row, logits_row, through = "binary_crossentropy", "binary_crossentropy_logits", "sigmoid"
    aliases = ("bce",)
    shares = True
    __init__ = _smoothed("binary_crossentropy")


class BinaryFocalCrossentropy(Loss):
    r"""Binary cross-entropy times :math:`(1 - p_t)^\gamma`, :math:`p_t` the probability of the true class.

    Parameters
    ----------
    apply_class_balancing : bool
        Multiply by `alpha` where the target is 1 and by 1 − `alpha` where it is 0.
    alpha, gamma : float
    from_logits : bool
        As for `BinaryCrossentropy`.
    label_smoothing : float
    axis, reduction, name, dtype
        As for `BinaryCrossentropy`.

    References
    ----------
    Lin et al. 2017.
    """

    shares = True
    row, logits_row, through = (
        "binary_focal_crossentropy",
        "binary_focal_crossentropy_logits",
        "sigmoid",
    )

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_focal_crossentropy",
        dtype=None,
        **kwargs,
    ):
        super().__init__(name, reduction, dtype, **kwargs)
        self.axis = integer("axis", axis)
        self.apply_class_balancing = flag("apply_class_balancing", apply_class_balancing)
        self.from_logits = flag("from_logits", from_logits)
        self.alpha, self.gamma = number("alpha", alpha, 0, 1), number("gamma", gamma, 0)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)


class CategoricalCrossentropy(Loss):
    r""":math:`-\sum_k t_k \log p_k`, for targets that are rows of probabilities (one-hot).

    Parameters
    ----------
    from_logits : bool
        Whether `y_pred` are logits, that is, the model ends without a softmax. After a softmax,
        training uses the logits anyway: the gradient is p − t, and the loss is finite for any logits.
    label_smoothing : float
        s replaces targets t by t (1 − s) + s / K.
    axis : int
        Axis of the classes. In a model, the last one; any axis when the object is called directly.
    reduction, name, dtype
        As for `Loss`.
    """

    over_a_row = True
    row, logits_row, through = "crossentropy", "softmax_crossentropy", "softmax"
    __init__ = _smoothed("categorical_crossentropy")


class _Labels(Loss):
    def ignore(self, ignore_class):
        if ignore_class is not None:
            ignore_class = integer("ignore_class", ignore_class, -(2**31))
            if ignore_class >= 2**31:
                raise ValueError(f"ignore_class: expected a 32-bit integer, got {ignore_class}")
        self.ignore_class = ignore_class

    @property
    def params(self):
        return (inf if self.ignore_class is None else float(self.ignore_class),)


class SparseCategoricalCrossentropy(_Labels):
    r""":math:`-\log p_{label}`, for targets that are class labels 0 … K − 1.

    Parameters
    ----------
    from_logits : bool
        As for `CategoricalCrossentropy`.
    ignore_class : int, optional
        Ignore samples of this class; the mean is over the others. Need not be in 0 … K − 1.
    reduction, axis, name, dtype
        As for `CategoricalCrossentropy`.
    """

    over_a_row = True
    row, logits_row, through = "sparse_crossentropy", "sparse_softmax_crossentropy", "softmax"

    def __init__(
        self, from_logits=False, ignore_class=None, reduction="sum_over_batch_size", axis=-1,
        name="sparse_categorical_crossentropy", dtype=None, **kwargs,
    ):  # fmt: skip
        super().__init__(name, reduction, dtype, **kwargs)
        self.ignore(ignore_class)
        self.from_logits, self.axis = flag("from_logits", from_logits), integer("axis", axis)


class NLLLoss(_Labels):
    """Negative of the output at the class label: exactly the cross-entropy after ``log_softmax``. Alias: "nll".

    Parameters
    ----------
    ignore_class : int, optional
        As for `SparseCategoricalCrossentropy`.
    """

    row, logits_row, through = "nll", "sparse_softmax_crossentropy", "log_softmax"
    aliases = ("nll", "negative_log_likelihood")

    def __init__(
        self, ignore_class=None, reduction="sum_over_batch_size", name="nll_loss", dtype=None, **kwargs
    ):
        super().__init__(name, reduction, dtype, **kwargs)
        self.ignore(ignore_class)


class PythonLoss:
    """A custom loss in NumPy.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)`` returns ``(values, gradient)``: the loss of each sample, shape
        (B,), and its derivative with respect to the predictions of that sample, shaped like
        `y_pred`. The model applies sample weights and divides by the batch size.

    Raises
    ------
    TypeError, ValueError
        During training, if the function returns anything else.

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
        if not takes(function, 2):
            raise TypeError(f"loss {self.name}: expected a function (y_true, y_pred), got one with other arguments")

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
    """Return the loss for a name (in any case), a description, an object, a class or a function.

    Parameters
    ----------
    identifier : str, dict, Loss, class, function or None

    Returns
    -------
    Loss, PythonLoss or None

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    """
    if by_targets(identifier):
        raise ValueError(
            f"loss: expected 'BinaryCrossentropy', 'SparseCategoricalCrossentropy' or 'CategoricalCrossentropy',"
            f" got {identifier!r}, which depends on the model and its targets; pass this name to compile"
        )
    found = identifier() if isinstance(identifier, type) else _registry.made(identifier)
    if found is None or isinstance(found, (Loss, PythonLoss)):
        return found
    if hasattr(found, "loss_class"):
        return found.loss_class()
    if not callable(found):
        raise TypeError(f"loss: expected a name, a Loss or a function (y_true, y_pred), got {found!r}")
    return PythonLoss(found)


def by_targets(identifier):
    """Whether this name stands for a loss that depends on the model and its targets, see `resolve`."""
    return isinstance(identifier, str) and identifier.lower() in BY_TARGETS


def resolve(target, n_outputs, activation):
    """Return the cross-entropy that matches model and targets: the meaning of the names `BY_TARGETS`.

    Parameters
    ----------
    target : {"labels", "values"}
        Class labels, or one value for each output.
    n_outputs : int
    activation : str or None
        Kernel row of the last activation. After "sigmoid", several outputs are independent; without an activation,
        outputs are logits. (So are log-probabilities: softmax leaves them unchanged.)
    """
    from_logits = activation in ("linear", "log_softmax")
    if n_outputs == 1 or target == "values" and activation == "sigmoid":
        return BinaryCrossentropy(from_logits=from_logits)
    return (SparseCategoricalCrossentropy if target == "labels" else CategoricalCrossentropy)(from_logits=from_logits)


def names():
    """Return the class names of the losses; lookups ignore case and underscores."""
    return _registry.names()


def serialize(loss):
    """Return the description of a loss, for `deserialize` and `get`."""
    return loss.describe()


def deserialize(name, custom_objects=None):
    """Return the loss for a description or a name; `custom_objects` maps names to custom classes."""
    return deserialized(get, name, custom_objects)


def _function(cls):
    def run(y_true, y_pred, settings):
        return cls(reduction="none", **settings)(y_true, y_pred)

    doc = f"Compute the loss of each row; parameters, positional or by name, as for `{cls.__name__}`."
    left_out = ("reduction", "name", "dtype")
    function = function_of(cls, snake_case(cls.__name__), ("y_true", "y_pred"), left_out, run, doc)
    function.loss_class = cls
    return function


_registry.add_classes(globals(), Loss)
__all__ = ["Loss", "PythonLoss", "get", "names", "serialize", "deserialize"]
__all__.extend(names())
for _name in names():
    _made = _function(globals()[_name])
    globals()[_made.__name__] = _made
    __all__.append(_made.__name__)
__getattr__, __dir__ = module_attributes(__name__, __all__)
