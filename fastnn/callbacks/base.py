"""Callbacks with Keras' hooks, called between epochs and batches.

Batch hooks cost a return to Python after each batch, so they are called only if a callback
overrides them; otherwise many steps run in one call of the core.
"""

import weakref

from .._base import html
from .._base.checks import check_keywords, flag, refuse_keywords, suggest

STAGES = ("train", "test", "predict")


class Callback:
    """Base class of the callbacks; override the hooks you need.

    Attributes
    ----------
    model : the model being trained
    params : dict
        "epochs", "steps", "verbose", "metrics" (the names of the values in the logs).

    Examples
    --------
    >>> class Stop(fastnn.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    def __new__(cls, *args, **kwargs):
        check_keywords(cls, kwargs)
        return super().__new__(cls)

    def __init__(self):
        self.model, self.params = None, {}

    def set_model(self, model):
        self.model = model

    def set_params(self, params):
        self.params = params

    def on_train_begin(self, logs=None):
        """Called before the first epoch."""

    def on_train_end(self, logs=None):
        """Called after the last epoch; not after an error."""

    def on_epoch_begin(self, epoch, logs=None):
        """Called before epoch 0, 1, …"""

    def on_epoch_end(self, epoch, logs=None):
        """Called after an epoch; `logs` has the loss and metrics, including those with prefix ``val_``."""

    def on_train_batch_begin(self, batch, logs=None):
        """Called before a batch of `fit`."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """Called after a batch of `fit`; `logs` has the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch, logs=None):
        """Alias of `on_train_batch_begin`, as in Keras; called by it unless it is overridden."""

    def on_batch_end(self, batch, logs=None):
        """Alias of `on_train_batch_end`, as in Keras; called by it unless it is overridden."""

    def on_test_begin(self, logs=None):
        """Called before `evaluate`, and before validation in `fit`."""

    def on_test_end(self, logs=None):
        """Called after `evaluate`, and after validation in `fit`; `logs` has the loss and metrics."""

    def on_test_batch_begin(self, batch, logs=None):
        """Called before a batch of `evaluate`."""

    def on_test_batch_end(self, batch, logs=None):
        """Called after a batch of `evaluate`; `logs` has the means so far."""

    def on_predict_begin(self, logs=None):
        """Called before `predict`."""

    def on_predict_end(self, logs=None):
        """Called after `predict`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """Called after a batch of `predict`; `logs` has its results as "outputs"."""


class CallbackList(Callback):
    """Container of callbacks: each hook calls that of every callback, in order.

    Parameters
    ----------
    callbacks : Callback, (nested) list of Callback, or None
    add_history : bool
        Append a `History` if there is none.
    add_progbar : bool
        Append a `ProgbarLogger` if there is none.
    model : model, optional
    **params
        `params` of the callbacks.

    Examples
    --------
    For a custom training loop:

    >>> hooks = CallbackList([History()], epochs=2)
    >>> hooks.on_epoch_end(0, {"loss": 0.5})
    >>> hooks.callbacks[0].history
    {'loss': [0.5]}
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        super().__init__()
        self.callbacks = _flat(callbacks)
        for i, callback in enumerate(self.callbacks):
            if isinstance(callback, type) or not hasattr(callback, "set_model"):
                raise TypeError(f"callbacks[{i}]: expected a Callback, got {callback!r}")
        add_progbar = flag("add_progbar", add_progbar)
        if flag("add_history", add_history) and not self.has(History):
            self.callbacks.append(History())
        if add_progbar:
            from .progress_bar import ProgbarLogger

            if not self.has(ProgbarLogger):
                self.callbacks.append(ProgbarLogger())
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback):
        """Append a callback."""
        self.callbacks.append(callback)

    def has(self, kind):
        """Whether one of the callbacks is an instance of a class."""
        return any(isinstance(c, kind) for c in self.callbacks)

    def set_model(self, model):
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params):
        super().set_params(params)
        for callback in self.callbacks if params else ():
            callback.set_params(params)

    def per_batch(self, stage):
        """Whether any callback has batch hooks for a stage ("train", "test", "predict")."""
        names = [f"on_{stage}_batch_begin", f"on_{stage}_batch_end"]
        names += ["on_batch_begin", "on_batch_end"] if stage == "train" else []
        return any(_overridden(c, name) for c in self.callbacks for name in names)

    def call(self, hook, *args, logs=None):
        """Call a hook of every callback, in order; the logs are always a dict."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(*args, logs)

    def batch(self, stage, when, batch, logs=None):
        """Call the hook of a batch."""
        self.call(f"on_{stage}_batch_{when}", batch, logs=logs)


def _forward(hook):
    if hook.endswith(("batch_begin", "batch_end")):

        def function(self, batch, logs=None):
            self.call(hook, batch, logs=logs)

    elif hook.startswith("on_epoch"):

        def function(self, epoch, logs=None):
            self.call(hook, epoch, logs=logs)

    else:

        def function(self, logs=None):
            self.call(hook, logs=logs)

    function.__name__, function.__doc__ = hook, getattr(Callback, hook).__doc__
    return function


for _hook in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(CallbackList, _hook, _forward(_hook))


def _flat(callbacks):
    if callbacks is None:
        return []
    if isinstance(callbacks, str) or not hasattr(callbacks, "__iter__"):
        return [callbacks]
    return [c for each in callbacks for c in _flat(each)]


def _overridden(callback, name):
    if isinstance(callback, CallbackList):
        return any(_overridden(c, name) for c in callback.callbacks)
    hook = getattr(callback, name, None)
    if hook is None or getattr(hook, "_is_default", False):  # Keras' mark of hooks that are not overridden
        return False
    return getattr(hook, "__func__", hook) is not getattr(Callback, name)


class History(Callback):
    """Loss and metrics of every epoch; returned by `fit`.

    Attributes
    ----------
    history : dict of list
        "loss", the metrics, and the same with prefix ``val_`` for validation data.
    epoch : list of int
    model : the trained model, as long as it exists
    """

    def __init__(self):
        super().__init__()
        self.epoch, self.history = [], {}
        self._some = {}  # name: the epochs of its values, if not every epoch has one

    @property
    def model(self):
        return self._model and self._model()

    @model.setter
    def model(self, model):  # weak, as the model refers to its history: otherwise a reference cycle
        self._model = None if model is None else weakref.ref(model)

    def __getstate__(self):
        return {**self.__dict__, "_model": None}

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            values = self.history.setdefault(name, [])
            if len(values) < len(self.epoch) - 1:
                self._some.setdefault(name, self.epoch[: len(values)]).append(epoch)
            values.append(value)

    def epochs_of(self, name):
        """Return the epochs of the values of a name; with `validation_freq`, not every epoch has one.

        Returns
        -------
        list of int
        """
        epochs = self._some.get(name, self.epoch)
        n = len(self.history[name])
        return list(epochs) if len(epochs) == n else list(range(n))

    def plot(self, names=None, ax=None):
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
        from ..plot import history

        drawn = history.draw(self, names, ax)
        return drawn if len(drawn) > 1 else drawn[0]

    def __repr__(self):
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"

    def _repr_html_(self):
        return html.history(self)


def monitored(name, logs, params):
    """The monitored value; None in an epoch without it; ValueError if no epoch has it."""
    logs = logs or {}
    if name not in logs and name not in params.get("metrics", ()):
        hint = " Give fit validation_data or validation_split." if name.startswith("val_") else ""
        raise ValueError(
            f"monitor: expected a name in the logs, got {name!r}.{suggest(name, logs)}{hint}"
            f" Available: {', '.join(logs)}"
        )
    return logs.get(name)


class LambdaCallback(Callback):
    """Create a callback from functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, on_train_begin, on_train_end : callable, optional
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with the arguments of the hooks.

    Examples
    --------
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))
    """

    def __init__(
        self,
        on_epoch_begin=None,
        on_epoch_end=None,
        on_train_begin=None,
        on_train_end=None,
        on_train_batch_begin=None,
        on_train_batch_end=None,
        **kwargs,
    ):
        super().__init__()
        given = {n: f for n, f in locals().items() if n.startswith("on_") and f is not None}
        hooks = [n for n in dir(Callback) if n.startswith("on_")]
        refuse_keywords(type(self), [n for n in kwargs if n not in hooks], also=hooks)
        for name, function in {**given, **kwargs}.items():
            if function is not None:
                if not callable(function):
                    raise TypeError(f"{name}: expected a function, got {function!r}")
                setattr(self, name, function)


def rises(mode, monitor, model):
    """Whether a larger monitored value is better; ValueError if "auto" cannot decide."""
    if not isinstance(monitor, str):
        raise TypeError(f"monitor: expected a name in the logs, got {monitor!r}")
    if mode != "auto":
        return mode == "max"
    name = monitor.removeprefix("val_")
    better = {m.name: m.better for m in getattr(model, "metrics", ())}.get(name)
    if name != "loss" and better is None:
        raise ValueError(
            f"mode: expected 'max' or 'min', as the direction of {monitor!r} is unknown, got 'auto'"
        )
    return better == "up" and name != "loss"


def improves(value, best, min_delta, rising):
    """Whether `value` is better than `best` by more than min_delta; any value but NaN is better than None."""
    if best is None:
        return value == value
    return value - min_delta > best if rising else value + min_delta < best
