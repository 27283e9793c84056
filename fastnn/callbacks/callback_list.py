"""Several callbacks as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import flag
from .callback import Callback
from .history import History
from .progress_bar import ProgbarLogger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .._base.types import Logs


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

    def __init__(
        self,
        callbacks: Callback | Iterable[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks = _flat(callbacks)
        for i, callback in enumerate(self.callbacks):
            if isinstance(callback, type) or not hasattr(callback, "set_model"):
                raise TypeError(f"callbacks[{i}]: expected a Callback, got {callback!r}")
        add_progbar = flag("add_progbar", add_progbar)
        if flag("add_history", add_history) and not self.has(History):
            self.callbacks.append(History())
        if add_progbar and not self.has(ProgbarLogger):
            self.callbacks.append(ProgbarLogger())
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Append a callback."""
        self.callbacks.append(callback)

    def has(self, kind: type[Callback]) -> bool:
        """Whether one of the callbacks is an instance of a class."""
        return any(isinstance(c, kind) for c in self.callbacks)

    def set_model(self, model: Any) -> None:
        """Set the model of every callback."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Set the parameters of every callback."""
        super().set_params(params)
        for callback in self.callbacks if params else ():
            callback.set_params(params)

    def per_batch(self, stage: str) -> bool:
        """Whether any callback has batch hooks for a stage ("train", "test", "predict")."""
        names = [f"on_{stage}_batch_begin", f"on_{stage}_batch_end"]
        names += ["on_batch_begin", "on_batch_end"] if stage == "train" else []
        return any(_overridden(c, name) for c in self.callbacks for name in names)

    def call(self, hook: str, *args: Any, logs: Logs | None = None) -> None:
        """Call a hook of every callback, in order; the logs are always a dict."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(*args, logs)

    def batch(self, stage: str, when: str, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of a batch."""
        self.call(f"on_{stage}_batch_{when}", batch, logs=logs)


def _forward(hook):
    def of_batch(self: CallbackList, batch: int, logs: Logs | None = None) -> None:
        self.call(hook, batch, logs=logs)

    def of_epoch(self: CallbackList, epoch: int, logs: Logs | None = None) -> None:
        self.call(hook, epoch, logs=logs)

    def of_call(self: CallbackList, logs: Logs | None = None) -> None:
        self.call(hook, logs=logs)

    batches = hook.endswith(("batch_begin", "batch_end"))
    function: Any = of_batch if batches else of_epoch if hook.startswith("on_epoch") else of_call
    function.__name__, function.__doc__ = hook, getattr(Callback, hook).__doc__
    function.__qualname__ = f"CallbackList.{hook}"
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
