"""The error that names the first NaN or infinity of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any, Literal

    from .._base.types import AnyArray

SHOWN = 5  # rows named in the message


class NonFiniteError(ArithmeticError, ValueError):
    """The first NaN or infinity in training: where it appeared, why, and what helps.

    Attributes
    ----------
    epoch, batch : int or None
        Counted from 0, as for the hooks of callbacks; None outside of `fit`.
    rows : ndarray of int64
        Rows of x whose values are non-finite in `tensor`; for weights and their gradients, all rows of the batch. For
        batches from a generator, rows of the batch.
    layer : str or None
        Name of the layer; None for the data and the loss.
    tensor : {"input", "target", "sample_weight", "activation", "loss", "gradient", "weight"}
        None if the failing step could not be repeated.
    weight : str or None
        Name of the weight, if it is one or its gradient.
    value : float
        NaN, inf or -inf.
    largest_input : float
        Largest magnitude among the finite values that it was computed from; NaN if there was none.
    learning_rate : float
        Learning rate of the step.
    cause : str
        The likely cause.
    advice : str
        What helps.

    Examples
    --------
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1, name="out")])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((8, 3))
    >>> x[5, 1] = np.nan
    >>> try:
    ...     history = model.fit(x, np.ones((8, 1)), verbose=0, check_finite=False)
    ... except fastnn.NonFiniteError as error:
    ...     print(error.tensor, error.rows)
    input [5]
    """

    epoch: int | None
    batch: int | None
    rows: AnyArray
    layer: str | None
    tensor: Literal["input", "target", "sample_weight", "activation", "loss", "gradient", "weight"] | None
    weight: str | None
    value: float
    largest_input: float
    learning_rate: float
    cause: str
    advice: str

    def __init__(self, *args: Any, **details: Any) -> None:
        super().__init__(*args)
        nan = float("nan")
        self.epoch = self.batch = self.layer = self.tensor = self.weight = None
        self.rows, self.value = np.empty(0, np.int64), nan
        self.largest_input, self.learning_rate, self.cause, self.advice = nan, nan, "", ""
        self.__dict__.update(details)


def error_of(details: dict[str, Any]) -> NonFiniteError:
    """The error for such attributes, with a message that says all of them."""
    return NonFiniteError(_message(NonFiniteError(**details)), **details)


def _message(error):
    where = "" if error.epoch is None else f"epoch {error.epoch}, batch {error.batch} (counted from 0): "
    if error.tensor is None:
        return f"{where}the loss became non-finite; {error.cause}. {error.advice}"
    owner = f" of layer {error.layer!r}" if error.layer else ""
    weight = f" ({error.weight})" if error.weight else ""
    rows = ", ".join(map(str, error.rows[:SHOWN].tolist())) + ", …" * (len(error.rows) > SHOWN)
    inputs = "" if np.isnan(error.largest_input) else f", computed from values up to {error.largest_input:.3g}"
    rows = f", rows {rows}" if len(error.rows) else ""
    return (
        f"{where}expected finite values, got {error.value} first in the {error.tensor}{owner}{weight}{rows}{inputs}."
        f" Likely cause: {error.cause}. {error.advice}"
    )
