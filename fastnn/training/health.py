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
        raise TypeError(f"{error}; a step in so many is looked at if it is True, each if it is 'every'") from None


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
        self.noted = None  # of the current engine
        self.health = None  # a `Health`, after the first epoch
        self.row = None  # of the epoch that was finished last

    def attach(self, engine):
        """Have an engine note what it trains; another one of the model goes on where the last has stopped."""
        if self.noted is None or self.noted.engine is not engine:
            before, self.noted = self.noted, noted.Health(engine, self.every)
            if before is not None:
                self.noted.take_over(before)
        engine.health = self.noted

    def detach(self):
        """End it: the engine notes nothing any more."""
        if self.noted is not None:
            self.noted.engine.health = None

    def finish(self, epoch=0):
        """Take the figures of one of the epochs of a call of the core."""
        self.row = self.noted.figures(epoch)

    def clear(self):
        """After the figures of all epochs of the call were taken."""
        self.noted.clear()

    def add_to(self, history, epoch, logs):
        """Append the finished epoch to the history; returns logs that know it."""
        looks, figures, total, clipped = self.row
        if self.health is None:
            self.health = Health(self.noted.layers, self.noted.kinds, self.noted.every or 1)
        self.health.append(epoch, looks, figures, total, clipped)
        history.health = self.health
        logs = Logs(logs)
        logs.health = self.health
        return logs
