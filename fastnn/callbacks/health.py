"""How the layers of a network fare in training: a table of layers and epochs for each quantity.

(a) One array (epochs, quantities, layers) holds every number, with room for further epochs that doubles when it is
    full, so an epoch costs a copy of its own numbers only. What users see are views of it, layers × epochs.
(b) NaN has three reasons: the quantity does not apply to the layer, no step of the epoch was sampled, or the training
    itself gave NaN. `Health.reasons` tells them apart, for every table and picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._base.checks import integer, one_of, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from .._base.types import FloatArray

FIRST_ROOM = 8  # epochs


class Health:
    """Gradients, updates, activations, dead and saturated units of every layer, by epoch.

    `fit` fills it and leaves it in ``history.health``. ``print(history.health)`` is a table with a line per layer,
    `fastnn.plot.gradients`, `fastnn.plot.activations` and `fastnn.plot.health` draw it.

    Each quantity is an attribute, a float64 array (layers, epochs). It is NaN where it does not apply to the layer, and
    in epochs without a sampled step. One step in `every` is sampled, and what is measured in a sampled step is
    exact; "dead" is counted in all steps.

    ``len(health)`` is the number of epochs, ``health[-1]`` the last of them, ``health[:10]`` the first ten, each as a
    Health.

    Parameters
    ----------
    layers : sequence of str
        Names of the layers that have weights or an activation, in the order of the model.
    kinds : sequence of str
        What each layer is, such as "Dense relu" or "BatchNormalization".
    every : int
        One step in `every` is sampled.

    Attributes
    ----------
    epoch : list of int
        As in `History.epoch`.
    sampled : list of int
        Number of sampled steps of each epoch.
    gradient_norm
        Euclidean norm of the gradient of the layer's weights, penalties included, before clipping; root mean square
        over the sampled steps.
    output_gradient_norm
        The same of the gradient of the loss of the batch that arrives at the output of the layer, over all rows.
    update_ratio
        Size of the updates relative to the weights: the root of the sum of the squared norms of the updates, divided by
        that of the weights before them. About 1e-3 is usual.
    weight_norm
        Euclidean norm of the layer's weights; root mean square over the sampled steps.
    activation_mean, activation_std
        Mean and standard deviation of the output of the layer, after its activation, over all units and rows of the
        sampled steps.
    dead
        Fraction of units that were not active in any step of the epoch; of layers whose activation has an exactly zero
        derivative below zero, such as ReLU.
    saturated
        Fraction of units at which the derivative of the activation is below 0.01 on more than 95 % of the rows of the
        sampled steps.
    drift
        Of BatchNormalization: how far the statistics of the batches are from the moving ones, as the root mean square
        over features of (mean of the batch - moving mean) / moving std and of the logarithm of the ratio of the two
        standard deviations.
    total_gradient_norm : list of float
        Root mean square of the norm of the whole gradient, by epoch.
    clip_rate : list of float
        Fraction of the sampled steps in which gradients were clipped; NaN without clipping.

    Examples
    --------
    >>> health = fastnn.diagnostics.Health(["hidden", "output"], ["Dense sigmoid", "Dense softmax"], every=8)
    >>> health.append(0, 12, {"gradient_norm": [1e-6, 0.5]}, total_gradient_norm=0.5)
    >>> health.gradient_norm
    array([[1.e-06],
           [5.e-01]])
    >>> health.records()[0]["layer"]
    'hidden'
    """

    QUANTITIES = (
        "gradient_norm", "output_gradient_norm", "update_ratio", "weight_norm", "activation_mean", "activation_std",
        "dead", "saturated", "drift",
    )  # fmt: skip

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    every: int
    epoch: list[int]
    sampled: list[int]
    gradient_norm: FloatArray
    output_gradient_norm: FloatArray
    update_ratio: FloatArray
    weight_norm: FloatArray
    activation_mean: FloatArray
    activation_std: FloatArray
    dead: FloatArray
    saturated: FloatArray
    drift: FloatArray
    total_gradient_norm: list[float]
    clip_rate: list[float]

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, layers: Sequence[str], kinds: Sequence[str], every: int = 1) -> None:
        self.layers, self.kinds = _texts("layers", layers), _texts("kinds", kinds)
        if len(self.kinds) != len(self.layers):
            raise ValueError(f"kinds: expected {len(self.layers)}, one for each layer, got {len(self.kinds)}")
        self.every = integer("every", every, 1)
        self.epoch, self.sampled, self.total_gradient_norm, self.clip_rate = [], [], [], []
        self._values = np.full((FIRST_ROOM, len(self.QUANTITIES), len(self.layers)), np.nan)

    def append(
        self,
        epoch: int,
        sampled: int,
        figures: Mapping[str, ArrayLike],
        total_gradient_norm: float = np.nan,
        clip_rate: float = np.nan,
    ) -> None:
        """Append an epoch.

        Parameters
        ----------
        epoch : int
        sampled : int
            Number of sampled steps.
        figures : dict
            ``{quantity: a number for each layer}``; quantities that are missing are NaN.
        total_gradient_norm, clip_rate : float
        """
        epoch, sampled = integer("epoch", epoch, 0), integer("sampled", sampled, 0)
        row = np.full(self._values.shape[1:], np.nan)
        for name, values in figures.items():
            if name not in self.QUANTITIES:
                hint = suggest(name, self.QUANTITIES)
                raise ValueError(f"figures: expected names among {', '.join(self.QUANTITIES)}, got {name!r}.{hint}")
            values = np.asarray(values, np.float64)
            if values.shape != (len(self.layers),):
                raise ValueError(
                    f"figures[{name!r}]: expected {len(self.layers)} numbers, one for each layer, got an array of"
                    f" shape {values.shape}"
                )
            row[self.QUANTITIES.index(name)] = values
        self._append(epoch, sampled, row, total_gradient_norm, clip_rate)

    def _append(self, epoch, sampled, row, total_gradient_norm, clip_rate):
        """The same of an array (quantities, layers)."""
        n = len(self.epoch)
        if n == len(self._values):
            self._values = np.concatenate([self._values, np.full_like(self._values, np.nan)])
        self._values[n] = row
        self.epoch.append(epoch)
        self.sampled.append(sampled)
        self.total_gradient_norm.append(float(total_gradient_norm))
        self.clip_rate.append(float(clip_rate))

    def __getattr__(self, name: str) -> FloatArray:
        if name not in type(self).QUANTITIES or "_values" not in self.__dict__:  # the latter: while it is unpickled
            hint = suggest(name, [*type(self).QUANTITIES, *self.__dict__])
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}.{hint}")
        view = self._values[: len(self.epoch), self.QUANTITIES.index(name)].T
        view.flags.writeable = False
        return view

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self.QUANTITIES]

    def __len__(self) -> int:
        """Number of epochs."""
        return len(self.epoch)

    def __getitem__(self, epochs: int | slice) -> Health:
        """Some of the epochs, by position: ``health[-1]`` is the last one, ``health[:10]`` the first ten."""
        if not isinstance(epochs, slice):
            at = integer("index", epochs)
            if not -len(self) <= at < len(self):
                raise IndexError(f"index: expected an epoch among {len(self)}, got {at}")
            epochs = slice(at, at + 1 or None)
        part = type(self)(self.layers, self.kinds, self.every)
        for name in ("epoch", "sampled", "total_gradient_norm", "clip_rate"):
            setattr(part, name, getattr(self, name)[epochs])
        part._values = self._values[: len(self)][epochs].copy()
        if not len(part):
            part._values = np.full((FIRST_ROOM, *self._values.shape[1:]), np.nan)
        return part

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Health):
            return NotImplemented
        exact = ("layers", "kinds", "every", "epoch", "sampled")
        if any(getattr(self, name) != getattr(other, name) for name in exact):
            return False
        numbers = ("total_gradient_norm", "clip_rate", *self.QUANTITIES)
        return all(np.array_equal(getattr(self, n), getattr(other, n), equal_nan=True) for n in numbers)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that can be written as JSON, for `from_dict`.

        Returns
        -------
        dict
            Arrays are lists of lists, layers × epochs; NaN is None, infinite values are "inf" and "-inf".
        """
        plain: dict[str, Any] = {"layers": list(self.layers), "kinds": list(self.kinds), "every": self.every}
        plain |= {"epoch": list(self.epoch), "sampled": list(self.sampled)}
        plain |= {name: [_encoded(row) for row in getattr(self, name).tolist()] for name in self.QUANTITIES}
        return plain | {name: _encoded(getattr(self, name)) for name in ("total_gradient_norm", "clip_rate")}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Health:
        """Make a Health of what `to_dict` returned.

        Parameters
        ----------
        content : dict

        Returns
        -------
        Health
        """
        health = cls(content["layers"], content["kinds"], content["every"])
        arrays = {name: [_decoded(row) for row in content.get(name, ())] for name in cls.QUANTITIES}
        totals, rates = (_decoded(content[name]) for name in ("total_gradient_norm", "clip_rate"))
        for i, (epoch, sampled, total, rate) in enumerate(
            zip(content["epoch"], content["sampled"], totals, rates, strict=True)
        ):
            figures = {name: [row[i] for row in rows] for name, rows in arrays.items() if rows}
            health.append(epoch, sampled, figures, total, rate)
        return health

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each layer and epoch, for ``pandas.DataFrame`` or ``polars.DataFrame``.

        Returns
        -------
        list of dict
            "layer", "kind", "epoch", "sampled", and the quantities.
        """
        values = self._values.tolist()
        return [
            {"layer": layer, "kind": self.kinds[i], "epoch": epoch, "sampled": self.sampled[e]}
            | {name: values[e][q][i] for q, name in enumerate(self.QUANTITIES)}
            for i, layer in enumerate(self.layers)
            for e, epoch in enumerate(self.epoch)
        ]

    def reasons(self, quantity: str) -> Any:
        """Return why numbers are missing.

        Parameters
        ----------
        quantity : str
            One of `QUANTITIES`.

        Returns
        -------
        ndarray (layers, epochs) of str
            "" where there is a number; "does not apply", "no step was sampled", or "not a number" where the training
            gave NaN.
        """
        return _tables().reasons(self, one_of("quantity", quantity, self.QUANTITIES))

    def __repr__(self) -> str:
        return f"<Health of {len(self.layers)} layers, {len(self)} epochs, one step in {self.every} sampled>"

    def __str__(self) -> str:
        return _tables().text(self)

    def _repr_html_(self) -> str:
        return _tables().html(self)


def _tables():
    from . import health_table  # imported once somebody looks

    return health_table


def _texts(name, values):
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name}: expected a sequence of str, got {values!r}")
    return tuple(values)


def _encoded(values):
    return [None if v != v else v if abs(v) != np.inf else str(v) for v in values]


def _decoded(values):
    return [np.nan if v is None else float(v) for v in values]
