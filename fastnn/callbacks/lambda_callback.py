"""Hooks as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import refuse_keywords
from .callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


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
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        given = {n: f for n, f in locals().items() if n.startswith("on_") and f is not None}
        hooks = [n for n in dir(Callback) if n.startswith("on_")]
        refuse_keywords(type(self), [n for n in kwargs if n not in hooks], also=hooks)
        for name, function in {**given, **kwargs}.items():
            if function is not None:
                if not callable(function):
                    raise TypeError(f"{name}: expected a function, got {function!r}")
                setattr(self, name, function)
