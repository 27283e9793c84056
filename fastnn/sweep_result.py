"""What a sweep found out."""

from collections.abc import Sequence

PLACES = {"waiting": 0, "training": 0, "done": 0, "stopped": 1, "diverged": 2, "error": 3}
FIXED = ("network", "seed", "status", "epochs", "seconds", "error")  # entries of a row that mean the same in all sweeps


def place(network, monitor, rising):
    """Sorts the best network first: those that were trained to the end, then those that were stopped, the last ones
    first. The earlier of two equal ones."""
    value = network.last(monitor)
    missing = value is None or value != value
    value = 0.0 if missing else -value if rising else value
    late = -network.done if network.status == "stopped" else 0
    return PLACES[network.status], late, missing, value, network.index


class SweepResult(Sequence):
    """A row for each network of a `fastnn.sweep`, in the order of `params`.

    ``result[k]`` is a dict: the entries of ``params[k]``; "network" (k), "seed", "status", "epochs" (done), "seconds"
    (of one core); the loss and metrics of the last epoch; "error" where there was one. Status is "done", "stopped"
    (by halving), "diverged" or "error". An entry of ``params[k]`` that is called like one of the others (``loss``)
    is there as "param_loss".

    Attributes
    ----------
    monitor : str
        What the networks are ranked by.
    history : list of dict
        For each network the values of each epoch, as `History.history` has them.
    models : dict
        Number of a network to its model, for those that were kept.
    """

    def __init__(self, networks, monitor, rising):
        self.monitor = monitor
        self._order = [n.index for n in sorted(networks, key=lambda n: place(n, monitor, rising))]
        self.history = [n.history for n in networks]
        self.models = {n.index: n.model for n in networks if n.model is not None}
        metrics = dict.fromkeys(name for n in networks for name in n.history)
        self._rows = [_row(n, {*FIXED, *metrics, monitor}) for n in networks]

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, k):
        return self._rows[k]

    def ranked(self):
        """The rows, best first: those that were trained to the end, then those that were stopped.

        Returns
        -------
        list of dict
        """
        return [self._rows[k] for k in self._order]

    @property
    def best(self):
        """The row of the best network."""
        return self.ranked()[0]

    @property
    def best_model(self):
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
            raise ValueError(f"network {k} was not kept; its status is {self._rows[k]['status']!r}") from None

    def columns(self):
        """The rows as ``{name: list}``, for ``pandas.DataFrame`` or ``polars.DataFrame``.

        Returns
        -------
        dict
            None where a network has no such entry.
        """
        names = dict.fromkeys(name for row in self._rows for name in row)
        return {name: [row.get(name) for row in self._rows] for name in names}

    def summary(self):
        """The best value, and how many networks ended otherwise than by reaching their last epoch."""
        found = {f"best {self.monitor}": self.best.get(self.monitor)}
        for status in ("stopped", "diverged", "error"):
            n = sum(row["status"] == status for row in self._rows)
            found |= {status: n} if n else {}
        return {name: value for name, value in found.items() if value is not None}

    def __str__(self):
        rows = self.ranked()[:10]
        names = list(dict.fromkeys(name for row in rows for name in row if name != "error"))
        table = [names, *([_text(row.get(name, "")) for name in names] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in table]
        more = len(self) - len(rows)
        return "\n".join(lines + ([f"... and {more} more"] if more else []))

    def __repr__(self):
        return f"<SweepResult of {len(self)} networks, {self.summary()}>"


def _row(network, taken):
    row = {"network": network.index}
    for name, value in network.given.items():
        if name not in ("seed", "epochs"):
            row[f"param_{name}" if name in taken else name] = value
    row |= {"seed": network.seed, "status": network.status, "epochs": network.done, "seconds": network.seconds}
    row |= {name: values[-1] for name, values in network.history.items() if name not in FIXED}
    if network.error is not None:
        row["error"] = network.error
    return row


def _text(value):
    return f"{value:.5g}" if isinstance(value, float) else str(value)
