"""What happens between epochs and batches: callbacks, with Keras' hooks.

Hooks for single batches cost a return to Python for each batch, so they are called only if a
callback overrides them; without, many steps run in one call of the core.
"""

import weakref

from .._base import html
from .._base.checks import check_keywords, flag, refuse_keywords, suggest

STAGES = ("train", "test", "predict")


class Callback:
    """Base of the callbacks; override the hooks you need.

    Attributes
    ----------
    model : the model that trains
    params : dict
        "epochs", "steps", "verbose", "metrics" (the names of what will be in the logs).

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
        """Before the first epoch."""

    def on_train_end(self, logs=None):
        """After the last epoch; not after an error."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before epoch 0, 1, …"""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch; `logs` has the loss and metrics, ``val_`` ones too."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch of `fit`."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch; `logs` has the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch, logs=None):
        """Keras' older name of `on_train_batch_begin`, which calls it unless overridden."""

    def on_batch_end(self, batch, logs=None):
        """Keras' older name of `on_train_batch_end`, which calls it unless overridden."""

    def on_test_begin(self, logs=None):
        """Before `evaluate`, also that of the validation data in `fit`."""

    def on_test_end(self, logs=None):
        """After `evaluate`; `logs` has the loss and metrics."""

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of `evaluate`."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of `evaluate`; `logs` has the means so far."""

    def on_predict_begin(self, logs=None):
        """Before `predict`."""

    def on_predict_end(self, logs=None):
        """After `predict`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of `predict`; `logs` has its results as "outputs"."""


class CallbackList(Callback):
    """Several callbacks as one: each hook calls that of every callback, in order.

    Parameters
    ----------
    callbacks : Callback, or list of them (also nested), or None
    add_history : bool
        Append a `History` if there is none.
    add_progbar : bool
        Append a `ProgbarLogger` if there is none.
    model : model, optional
    **params
        What the callbacks find in their `params`.

    Examples
    --------
    For a loop of your own:

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
        """One more, at the end."""
        self.callbacks.append(callback)

    def has(self, kind):
        """Whether one of the callbacks is of a class."""
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
        """Whether any callback wants the batches of a stage ("train", "test", "predict")."""
        names = [f"on_{stage}_batch_begin", f"on_{stage}_batch_end"]
        names += ["on_batch_begin", "on_batch_end"] if stage == "train" else []
        return any(_overridden(c, name) for c in self.callbacks for name in names)

    def call(self, hook, *args, logs=None):
        """Call one hook of every callback, in order; the logs are a dict even if there is nothing in them."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(*args, logs)

    def batch(self, stage, when, batch, logs=None):
        """The hook of a batch."""
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
    if hook is None or getattr(hook, "_is_default", False):  # so Keras marks those of its own base
        return False
    return getattr(hook, "__func__", hook) is not getattr(Callback, name)


class History(Callback):
    """Loss and metrics of every epoch; what `fit` returns.

    Attributes
    ----------
    history : dict of list
        "loss", the metrics, and of validation data the same with ``val_`` before it.
    epoch : list of int
    model : the model that trains, as long as there is one
    """

    def __init__(self):
        super().__init__()
        self.epoch, self.history = [], {}
        self._some = {}  # name: the epochs of its values, where not every epoch has one

    @property
    def model(self):
        return self._model and self._model()

    @model.setter
    def model(self, model):  # a model holds its history: the other way as well it would be a cycle
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
        """The epochs of the values of a name: what is validated now and then has fewer than there are.

        Returns
        -------
        list of int
        """
        epochs = self._some.get(name, self.epoch)
        n = len(self.history[name])
        return list(epochs) if len(epochs) == n else list(range(n))

    def plot(self, names=None, ax=None):
        """Draw loss and metrics by epoch, those of the validation beside them.

        Parameters
        ----------
        names : str or list of str, optional
            What to draw, "loss" or "accuracy" for example; default: everything.
        ax : matplotlib Axes, or a sequence of as many as there are names, optional
            Default: pyplot's current axes for one name, panels of its current figure for several.

        Returns
        -------
        matplotlib Axes, or a list of them, one for each of several names

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
    """The monitored number; None in an epoch without it; ValueError if it never comes."""
    logs = logs or {}
    if name not in logs and name not in params.get("metrics", ()):
        hint = " Give fit validation_data or validation_split." if name.startswith("val_") else ""
        raise ValueError(
            f"monitor: nothing called {name!r} in the logs.{suggest(name, logs)}{hint} There are: {', '.join(logs)}"
        )
    return logs.get(name)


class LambdaCallback(Callback):
    """A callback from functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, on_train_begin, on_train_end : callable, optional
    on_train_batch_begin, on_train_batch_end : callable, optional
        With the arguments of the hooks.

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
    """Whether a larger monitored number is a better one; ValueError if "auto" cannot know."""
    if not isinstance(monitor, str):
        raise TypeError(f"monitor: expected the name of a number in the logs, got {monitor!r}")
    if mode != "auto":
        return mode == "max"
    name = monitor.removeprefix("val_")
    better = {m.name: m.better for m in getattr(model, "metrics", ())}.get(name)
    if name != "loss" and better is None:
        raise ValueError(
            f"monitor: cannot know whether {monitor!r} should rise or fall; pass mode='max' or mode='min'"
        )
    return better == "up" and name != "loss"


def improves(value, best, min_delta, rising):
    """Whether `value` is better than `best` by more than min_delta: infinity is, than None; NaN never."""
    if best is None:
        return value == value
    return value - min_delta > best if rising else value + min_delta < best
