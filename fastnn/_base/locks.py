"""Locks that survive a fork."""

import os
import threading


class Lock:
    """Like `threading.Lock`, but released in a forked child, whichever thread of the parent held it."""

    def __init__(self):
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self):
        self._lock = threading.Lock()

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *error):
        self._lock.release()
