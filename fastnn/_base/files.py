"""Errors and warnings about files, with the names that the user gave."""

import os
import sys
import warnings
from contextlib import contextmanager

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_warned = set()


@contextmanager
def naming(path):
    """An OSError inside the block names `path`; that of the system may name no file, or an internal one."""
    try:
        yield
    except OSError as error:
        name = os.fsdecode(path)
        if error.errno is None or error.filename == name:
            raise
        about = error.filename if isinstance(error.filename, str) else None
        hidden = about is None or about == os.path.realpath(name) or about.endswith(".tmp")
        text = error.strerror if hidden else f"{error.strerror} ({about})"
        raise OSError(error.errno, text, name) from error.__cause__


def warn(message, category=UserWarning):
    """Issue a warning that points to the calling line in the user's code."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def warn_once(key, message, category=UserWarning):
    """`warn`, once per process for each `key`; if warnings are errors, every time."""
    if key not in _warned:
        warn(message, category)
        _warned.add(key)
