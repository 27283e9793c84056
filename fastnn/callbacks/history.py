"""What `fit` returns: the logs of every epoch."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from .._base import html
from .callback import Callback

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes

    from .._base.types import Logs, Path
    from ..diagnostics.doctor.finding import Findings
    from .health import Health


class History(Callback):
    """Loss and metrics of every epoch; returned by `fit`.

    Attributes
    ----------
    history : dict of list
        "loss", the metrics, and the same with prefix ``val_`` for validation data.
    epoch : list of int
    model : the trained model, as long as it exists
    health : Health or None
        Gradients, updates, activations and dead units of every layer by epoch; see `fastnn.diagnostics.Health`. None
        after ``fit(health=False)``.
    non_finite : list of NonFiniteError
        Steps that failed with NaN or infinity: empty, if all went well; see `on_nan` of `fit`.
    record : dict
        Steps of every epoch and, if they follow the time, the rates of all steps: what ``fit(replay=record)`` needs
        to repeat a training that ended after `max_seconds`. It can be written as JSON.
    """

    epoch: list[int]
    history: dict[str, list[Any]]
    health: Health | None
    non_finite: list[Any]
    record: dict[str, Any]
    _some: dict[str, list[int]]

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self.history, self.health = [], {}, None
        self.non_finite, self.record = [], {}
        self.seen = self.found = None  # for the doctor: data and parts that `fit` had; findings and their epoch
        self._some = {}  # name: the epochs of its values, if not every epoch has one

    @property
    def model(self) -> Any:
        return self._model and self._model()

    @model.setter
    def model(self, model: Any) -> None:  # weak, as the model refers to its history: otherwise a reference cycle
        self._model = None if model is None else weakref.ref(model)

    def __getstate__(self):
        return {**self.__dict__, "_model": None, "seen": None}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            values = self.history.setdefault(name, [])
            if len(values) < len(self.epoch) - 1:
                self._some.setdefault(name, self.epoch[: len(values)]).append(epoch)
            values.append(value)

    @property
    def findings(self) -> Findings:
        """Findings about the training so far, the most important first.

        Based on the model, its data, the loss curves and the health of the layers; `Model.check` has those that can be
        found before training. Callbacks can read it after each epoch. It is computed when it is read.

        Raises
        ------
        RuntimeError
            If the model had more than 262,144 weights and was deleted before the findings were first read.

        Examples
        --------
        >>> history = model.fit(x, y, epochs=20)  # doctest: +SKIP
        >>> print(history.findings)  # doctest: +SKIP
        """
        from ..diagnostics.doctor import check

        return check.of_history(self)

    def epochs_of(self, name: str) -> list[int]:
        """Return the epochs of the values of a name; with `validation_freq`, not every epoch has one.

        Returns
        -------
        list of int
        """
        epochs = self._some.get(name, self.epoch)
        n = len(self.history[name])
        return list(epochs) if len(epochs) == n else list(range(n))

    def plot(self, names: str | Sequence[str] | None = None, ax: Axes | None = None) -> Any:
        """Plot loss and metrics by epoch, with their validation values.

        Parameters
        ----------
        names : str or list of str, optional
            Names to plot, such as "loss" or "accuracy"; default: all.
        ax : matplotlib Axes, or a sequence of one Axes per name, optional
            Default: pyplot's current axes for one name, panels of its current figure for several.

        Returns
        -------
        matplotlib Axes, or a list of Axes for several names

        Examples
        --------
        >>> history = model.fit(x, y, epochs=20, validation_split=0.2)  # doctest: +SKIP
        >>> history.plot()  # doctest: +SKIP
        >>> history.plot("loss").set_yscale("log")  # doctest: +SKIP
        """
        from ..plot import curves

        drawn = curves.draw(self, names, ax)
        return drawn if len(drawn) > 1 else drawn[0]

    def report(self, filepath: Path, title: str | None = None, findings: Sequence[Any] | None = None) -> None:
        """Write a report of the training: one HTML page without scripts that loads nothing else.

        It shows the findings and what to do about them, curves of the loss and the metrics, heat maps of the gradients,
        the health of the layers, the summary of the model and the arguments of `compile`.

        Parameters
        ----------
        filepath : str or path-like
            An existing file is replaced.
        title : str, optional
            Default: "Training of" the name of the model.
        findings : list of Finding, optional
            Further findings to show, such as those of `Model.check`.

        Raises
        ------
        ImportError
            If matplotlib or jinja2 is missing: ``pip install 'fastnn-cpu[plot]'``.

        Examples
        --------
        >>> history = model.fit(x, y, epochs=20)  # doctest: +SKIP
        >>> history.report("run.html", findings=model.check(x, y))  # doctest: +SKIP
        """
        from ..diagnostics import report

        report.write(self, filepath, title, findings)

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"

    def _repr_html_(self) -> str:
        return html.history(self)
