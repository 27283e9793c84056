"""What happens between epochs and batches: callbacks, with Keras' hooks.

Hooks for single batches cost a return to Python for each batch, so they are called only if a
callback overrides them; without, many steps run in one call of the core.
"""

from .._checks import refuse_keywords, suggest

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

    def on_train_batch_end(self, batch, logs=None):
        """After a batch; `logs` has the means over the epoch so far."""

    def on_batch_begin(self, batch, logs=None):
        """Keras' older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """Keras' older name of `on_train_batch_end`."""

    def on_test_begin(self, logs=None):
        """Before `evaluate`, also that of the validation data in `fit`."""

    def on_test_end(self, logs=None):
        """After `evaluate`."""

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of `evaluate`."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of `evaluate`."""

    def on_predict_begin(self, logs=None):
        """Before `predict`."""

    def on_predict_end(self, logs=None):
        """After `predict`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of `predict`."""


class CallbackList:
    """Several callbacks as one.

    Parameters
    ----------
    callbacks : Callback, or list of them, or None
    model : model
    params : dict, optional
    """

    def __init__(self, callbacks, model, params=None):
        callbacks = [] if callbacks is None else callbacks
        callbacks = [callbacks] if not hasattr(callbacks, "__iter__") else list(callbacks)
        self.callbacks = callbacks
        for i, callback in enumerate(callbacks):
            if isinstance(callback, type) or not hasattr(callback, "set_model"):
                raise TypeError(f"callbacks[{i}]: expected a Callback, got {callback!r}")
            callback.set_params(params or {})
            callback.set_model(model)

    def per_batch(self, stage):
        """Whether any callback wants the batches of a stage ("train", "test", "predict")."""
        names = [f"on_{stage}_batch_begin", f"on_{stage}_batch_end"]
        names += ["on_batch_begin", "on_batch_end"] if stage == "train" else []
        return any(_overridden(c, name) for c in self.callbacks for name in names)

    def call(self, hook, *args, logs=None):
        """Call one hook of every callback, in order."""
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(*args, logs)

    def batch(self, stage, when, batch, logs=None):
        """The hook of a batch; that of training under both of its names."""
        self.call(f"on_{stage}_batch_{when}", batch, logs=logs)
        if stage == "train":
            self.call(f"on_batch_{when}", batch, logs=logs)


def _overridden(callback, name):
    hook = getattr(callback, name, None)
    return hook is not None and getattr(hook, "__func__", hook) is not getattr(Callback, name)


class History(Callback):
    """Loss and metrics of every epoch; what `fit` returns.

    Attributes
    ----------
    history : dict of list
        "loss", the metrics, and of validation data the same with ``val_`` before it.
    epoch : list of int
    """

    def __init__(self):
        super().__init__()
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self):
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"


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
                setattr(self, name, function)


def rises(mode, monitor, model):
    """Whether a larger monitored number is a better one; ValueError if "auto" cannot know."""
    if mode != "auto":
        return mode == "max"
    name = monitor.removeprefix("val_")
    better = {m.name: m.better for m in getattr(model, "metrics", ())}.get(name)
    if name != "loss" and better is None:
        raise ValueError(
            f"monitor: cannot know whether {monitor!r} should rise or fall; pass mode='max' or mode='min'"
        )
    return better == "up" and name != "loss"
