"""The result of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._base import html
from .._base.checks import flag
from .._base.text import right, width
from .data import OF_DATA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from matplotlib.axes import Axes

    from .._base.types import ArraysLike, FloatArray, Path

PLACES = {"training": 0, "done": 0, "stopped": 1, "interrupted": 2, "diverged": 3, "error": 4, "waiting": 5}
# entries of a row that have the same meaning in all sweeps
FIXED = ("network", "seed", "status", "epochs", "best_epoch", "seconds", "error")


def place(network: Any, monitor: str, rising: bool) -> tuple[Any, ...]:
    """Sort key, best network first: fully trained networks, then those that were stopped, later ones
    first. Ties are sorted by index."""
    value = network.last(monitor)
    missing = value is None or value != value
    value = 0.0 if missing else -value if rising else value
    late = -network.done if network.status in ("stopped", "interrupted") else 0
    return PLACES[network.status], late, missing, value, network.index


class SweepResult(Sequence["dict[str, Any]"]):
    """A row for each network of a `fastnn.sweep`, in the order of `params`.

    ``result[k]`` is a dict: the entries of ``params[k]``; "network" (k), "seed", "status", "epochs" (done), "seconds"
    (of one core); the loss and metrics of the last epoch; "error" if there was one. After
    ``EarlyStopping(restore_best_weights=True)``, the loss and metrics are those of the epoch whose weights were
    restored, "best_epoch" (counted from 1), and networks are ranked by them. Status is "done", "stopped" (by
    halving), "diverged" or "error"; in the ``result`` of a KeyboardInterrupt also "interrupted" or "waiting". An entry
    of ``params[k]`` with the name of another entry (``loss``) is called "param_loss". Arrays of data
    ("indices", "fold", "sample_weight") are not included.

    Attributes
    ----------
    monitor : str
        Name of the value that networks are ranked by.
    history : list of dict
        For each network, the values of each epoch, like `History.history`.
    models : dict
        Index of a network to its model, for models that were kept.

    Examples
    --------
    >>> def build():
    ...     model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
    ...     model.compile("sgd", "mse")
    ...     return model
    >>> x, rng = np.ones((8, 2)), np.random.default_rng(0)
    >>> bags = [{"indices": rng.integers(0, 8, 8)} for _ in range(3)]
    >>> result = fastnn.sweep(build, bags, x, x[:, 0], keep="all", verbose=0)
    >>> result.predict(x).shape
    (3, 8, 1)
    """

    def __init__(self, networks: Sequence[Any], monitor: str, rising: bool) -> None:
        self.monitor = monitor
        self._order = [n.index for n in sorted(networks, key=lambda n: place(n, monitor, rising))]
        self.history = [n.history for n in networks]
        self.models = {n.index: n.model for n in networks if n.model is not None}
        metrics = dict.fromkeys(name for n in networks for name in n.history)
        self._rows = [_row(n, {*FIXED, *metrics, monitor}) for n in networks]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, k: Any) -> Any:
        return self._rows[k]

    def ranked(self) -> list[dict[str, Any]]:
        """Return the rows, best first: fully trained networks, then those that were stopped.

        Returns
        -------
        list of dict
        """
        return [self._rows[k] for k in self._order]

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best network."""
        return self.ranked()[0]

    @property
    def best_model(self) -> Any:
        """The model of the best network.

        Raises
        ------
        ValueError
            If it was not kept.
        """
        k = self._order[0]
        try:
            return self.models[k]
        except KeyError:
            status = self._rows[k]["status"]
            raise ValueError(f"best_model: expected a kept model of network {k}, got none ({status=})") from None

    def predict(self, x: ArraysLike, batch_size: int | None = None) -> FloatArray:
        """Compute the predictions of each model for `x`, as of an ensemble: its mean and spread are over axis 0.

        Parameters
        ----------
        x : array_like (n, *input_shape)
        batch_size : int, optional

        Returns
        -------
        ndarray (networks, n, *outputs)
            In the order of `models`, sorted by network index.

        Raises
        ------
        ValueError
            If no model was kept, or their outputs have different shapes.
        """
        models = list(self.models.values())
        if not models:
            raise ValueError('predict: expected kept models, got none; use sweep(..., keep="all")')
        shapes = dict.fromkeys(model.output_shape[1:] for model in models)
        if len(shapes) > 1:
            raise ValueError(f"predict: expected models with equal output shapes, got {', '.join(map(str, shapes))}")
        return np.stack([model.predict(x, batch_size, verbose=0) for model in models])

    def predict_mean_std(
        self, x: ArraysLike, batch_size: int | None = None, *, with_variance: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Compute mean and standard deviation of the predictions of the models, as of an ensemble.

        Parameters
        ----------
        x : array_like (n, *input_shape)
        batch_size : int, optional
        with_variance : bool
            The outputs are means and variances side by side, as `losses.GaussianNLL` has them: then the result is that
            of the mixture of these normal distributions.

        Returns
        -------
        mean, std : ndarray (n, *outputs)
            float64. The standard deviation is that of the models themselves (divided by their number).

        Raises
        ------
        ValueError
            As `predict`; with `with_variance` also for an odd number of outputs.

        References
        ----------
        Lakshminarayanan, Pritzel & Blundell 2017, section 2.4.

        Examples
        --------
        >>> def build():
        ...     model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(2,))])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> x = np.ones((8, 2))
        >>> result = fastnn.sweep(build, [{"seed": 1}, {"seed": 2}], x, x[:, 0], keep="all", verbose=0)
        >>> mean, std = result.predict_mean_std(x)
        >>> mean.shape, bool((std > 0).all())
        ((8, 1), True)
        """
        with_variance = flag("with_variance", with_variance)
        found = self.predict(x, batch_size).astype(np.float64)
        if not with_variance:
            return found.mean(axis=0), found.std(axis=0)
        k = found.shape[-1]
        if k % 2:
            raise ValueError(f"with_variance: expected outputs of means and variances, an even number, got {k}")
        means, variances = found[..., : k // 2], found[..., k // 2 :]
        return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))

    def save(self, filepath: Path, overwrite: bool = True) -> None:
        """Save rows, histories and kept models to a file, for `load`.

        The format is that of `Model.save`; an existing file is replaced atomically.

        Parameters
        ----------
        filepath : str or path-like
        overwrite : bool
            False: raise a FileExistsError if the file exists.

        Raises
        ------
        TypeError
            If an object cannot be saved by name, such as a lambda among the parameters.
        OSError
            If the file cannot be written; the error contains its name.
        """
        from . import file

        file.save(self, filepath, flag("overwrite", overwrite))

    @classmethod
    def load(cls, filepath: Path, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Load a result saved by `save`; loading runs no code from the file.

        Parameters
        ----------
        filepath : str or path-like
        custom_objects : dict, optional
            As for `fastnn.models.load_model`, for the models and for functions among the parameters.

        Returns
        -------
        SweepResult
            Objects of fastnn among the parameters (optimizers, …) are returned as dicts that describe them.

        Raises
        ------
        FormatError
            If the file was not written by fastnn, is corrupted, or needs `custom_objects`.
        """
        from . import file

        result = cls.__new__(cls)
        result.__dict__.update(file.load(filepath, custom_objects))
        return result

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows as ``{name: list}``, for ``pandas.DataFrame`` or ``polars.DataFrame``.

        Returns
        -------
        dict
            Values are None for networks without such an entry.
        """
        names = dict.fromkeys(name for row in self._rows for name in row)
        return {name: [row.get(name) for row in self._rows] for name in names}

    def summary(self) -> dict[str, Any]:
        """Return the best value and the numbers of networks that did not reach their last epoch, by status."""
        found = {f"best {self.monitor}": self.best.get(self.monitor)}
        for status in ("stopped", "interrupted", "diverged", "error", "waiting"):
            n = sum(row["status"] == status for row in self._rows)
            found |= {status: n} if n else {}
        return {name: value for name, value in found.items() if value is not None}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the monitored value by epoch: one curve per network, the best one on top.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default: pyplot's current axes.

        Returns
        -------
        matplotlib Axes
        """
        from ..plot import sweep

        curves = [history.get(self.monitor, []) for history in self.history]
        return sweep.draw(curves, [row["status"] for row in self._rows], self._order[0], self.monitor, ax)

    def _best(self):
        """The ten best as strings: names, rows, number of further networks."""
        rows = self.ranked()[:10]
        names = list(dict.fromkeys(name for row in rows for name in row if name != "error"))
        return names, [[html.number(row.get(name, "")) for name in names] for row in rows], len(self) - len(rows)

    def __str__(self) -> str:
        names, rows, more = self._best()
        table = [names, *rows]
        widths = [max(map(width, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(right(cell, w) for cell, w in zip(line, widths, strict=True)) for line in table]
        return "\n".join(lines + ([f"... and {more} more"] if more else []))

    def _repr_html_(self) -> str:
        names, rows, more = self._best()
        caption = f"Sweep of {len(self)} network{'s' * (len(self) != 1)}, best {self.monitor} first"
        text = [i for i, name in enumerate(names) if name == "status"]
        return html.table(caption, names, rows, foot=[f"… and {more} more"] if more else [], text=text)

    def __repr__(self) -> str:
        return f"<SweepResult of {len(self)} networks, {self.summary()}>"


def _row(network, taken):
    row = {"network": network.index}
    for name, value in network.given.items():
        if name not in ("seed", "epochs", *OF_DATA):
            row[f"param_{name}" if name in taken else name] = value
    row |= {"seed": network.seed, "status": network.status, "epochs": network.done, "seconds": network.seconds}
    row |= {} if network.best_epoch is None else {"best_epoch": network.best_epoch}
    row |= {name: network.last(name) for name, values in network.history.items() if values and name not in FIXED}
    if network.error is not None:
        row["error"] = network.error
    return row
