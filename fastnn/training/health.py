"""What `fit` notes about a training: from the figures of an engine to `history.health` and the logs of callbacks."""

from .._base.checks import flag
from ..callbacks.health import Health
from ..engine import health as noted

EVERY = "every"


def checked(value):
    """The argument `health` of `fit`."""
    if isinstance(value, str) and value == EVERY:
        return value
    try:
        return flag("health", value)
    except TypeError as error:
        raise TypeError(f"{error}; 'every' measures every step, True only some of them") from None


class Logs(dict[str, float]):
    """The logs of an epoch, which also know its health: ``logs.health``, and ``logs["gradient_norm/dense"]``.

    Such names are looked up and not listed, so that callbacks that write all logs go on writing the same."""

    health = None

    def __missing__(self, name):
        quantity, _, layer = str(name).partition("/")
        health = self.health
        if health is None or not len(health) or quantity not in health.QUANTITIES or layer not in health.layers:
            raise KeyError(name)
        return float(getattr(health, quantity)[health.layers.index(layer), -1])

    def __contains__(self, name):
        return super().__contains__(name) or self.get(name) is not None

    def get(self, name, default=None):
        try:
            return self[name]
        except KeyError:
            return default


class HealthKeeper:
    """The health of one call of `fit`.

    Parameters
    ----------
    every : bool
        Whether each step is looked at.
    """

    def __init__(self, every=False):
        self.every = 1 if every else None
        self.engine = self.noted = None  # the current one, and what it notes
        self.health = None  # a `Health`, after the first epoch
        self.row = None  # of the epoch that was finished last

    def attach(self, engine):
        """Have an engine note what it trains; another one of the model goes on where the last has stopped."""
        if self.engine is not engine:
            self.engine, before, self.noted = engine, self.noted, self._of(engine)
            if before is not None:
                self.noted.take_over(before)
        engine.health = self.noted

    def _of(self, engine):
        """What an engine notes, which it keeps between calls of `fit`: short ones are frequent."""
        kept = engine.kept_health.pop(self.every, None)
        if kept is None:
            return noted.Health(engine, self.every)
        kept.start_over()
        return kept

    def detach(self):
        """End it: the engine notes nothing any more."""
        if self.engine is not None:
            self.engine.health = None
            self.noted.rest()
            self.engine.kept_health[self.every] = self.noted

    def finish(self, epoch=0, epochs=1):
        """Take the figures of one of the epochs of a call of the core."""
        self.row = self.noted.figures(epoch, epochs)

    def clear(self):
        """After the figures of all epochs of the call were taken."""
        self.noted.clear()

    def add_to(self, history, epoch, logs):
        """Append the finished epoch to the history; returns logs that know it."""
        looks, figures, total, clipped = self.row
        if self.health is None:
            self.health = Health(self.noted.layers, self.noted.kinds, self.noted.every or 1)
        self.health._append(epoch, looks, figures, total, clipped)
        history.health = self.health
        logs = Logs(logs)
        logs.health = self.health
        return logs
