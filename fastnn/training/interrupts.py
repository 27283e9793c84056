"""Ctrl-C during a call of the core: raised after it, so that weights, step count and optimizer state are consistent."""

import signal
import threading


class InterruptLater:
    """Raise Ctrl-C inside the block at its end, a second one immediately.

    No effect outside the main thread, or if the program has its own handler.
    """

    def __enter__(self):
        self.came, self.before = False, None
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number, frame):
        if self.came:
            raise KeyboardInterrupt
        self.came = True

    def __exit__(self, *error):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
        if self.came and error[0] is None:
            raise KeyboardInterrupt


class Steps(InterruptLater):
    """Update the step count of the optimizer at the end of the block, also after an error."""

    def __init__(self, optimizer, engine):
        self.optimizer, self.engine = optimizer, engine

    def __enter__(self):
        self.engine.later = self
        return super().__enter__()

    def __exit__(self, *error):
        self.engine.later = None
        self.optimizer.at_batch(self.engine.step)
        super().__exit__(*error)
