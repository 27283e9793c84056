"""Progress output of `fit`, `evaluate`, `predict` and `sweep`.

(a) Where a line can be rewritten, on a terminal and in a notebook, there is a live line: a progress bar within an
    epoch, the last finished epoch between two epochs. The line of an epoch is kept if there are few epochs, otherwise
    about one line per second. The line of the last finished epoch is always kept: at the end, on an error, on Ctrl-C,
    and before any other output.
(b) Elsewhere (a file, a pipe, ``TERM=dumb``) and with ``verbose=2`` every epoch gets a line, and nothing is rewritten.
(c) Where the health of the network is measured, the line of an epoch ends with the gradient norm of the first layer
    relative to the last one's, the one number that says whether the first layers learn. It is computed only for lines
    that are written.
(d) No colours and no escape sequences; each line or state of the live line is one call of `write`.
"""

import os
import sys
import threading
import time

from .._base.checks import one_of
from .._base.text import cut, left, width

EVERY = 0.1  # seconds between two states of the live line
EVERY_IN_NOTEBOOK = 0.5  # each is a message to the browser, and is stored in a notebook that is run without one
KEPT_EVERY = 1.0  # seconds between two epochs whose lines are kept
FEW = 20  # up to this number of epochs, all lines are kept
BAR = 20
KERNELS = ("ipykernel", "pyodide_kernel")  # packages whose output streams are shown in a notebook
clock = time.perf_counter


def verbosity(verbose):
    """0: silent, 1: a live line where possible, 2: one line per epoch."""
    verbose = one_of("verbose", verbose, ("auto", 0, 1, 2))
    return 1 if verbose == "auto" else int(verbose)


def screen(stream):
    """The kind of a stream whose lines can be rewritten, "terminal" or "notebook"; None if they cannot."""
    while isinstance(stream, _Guard):
        stream = stream.stream
    if any(c.__module__.partition(".")[0] in KERNELS for c in type(stream).__mro__):
        return "notebook"
    terminal = hasattr(stream, "isatty") and stream.isatty()
    return "terminal" if terminal and os.environ.get("TERM") != "dumb" else None


class Progress:
    """Print the progress of training. As a context manager it ends its line before any other output.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
    """

    def __init__(self, verbose):
        level = verbosity(verbose)
        self.out = sys.stdout if level else None
        self.where = screen(self.out) if level == 1 else None
        self.live = self.where is not None
        self.every = EVERY_IN_NOTEBOOK if self.where == "notebook" else EVERY
        self.shown = 0  # width of the live line
        self.ended = None  # last finished part that is not kept yet: the arguments of `_last`
        self._bar = False  # whether the live line shows unfinished work
        self._drawn = self._kept = float("-inf")
        self._guards, self._lock = {}, threading.RLock()

    def __enter__(self):
        for name in ("stdout", "stderr") if self.live else ():
            stream = getattr(sys, name)
            if stream is not None:
                self._guards[name] = _Guard(stream, self)
                setattr(sys, name, self._guards[name])
        return self

    def __exit__(self, *error):
        self.clear()
        for name, guard in self._guards.items():
            guard.progress = None
            if getattr(sys, name) is guard:
                setattr(sys, name, guard.idle())
        self._guards = {}

    def start(self, title, total):
        """Start a line, of an epoch or an evaluation; `total` is None if unknown."""
        self.title, self.total, self.began = title, total, clock()
        self._part = title, total, self.began
        if self._kept < 0:
            self._kept = self.began

    def part(self, what, total):
        """Continue with a part that is counted separately, such as the validation after an epoch."""
        if self.live:
            self._part = f"{self.title} - {what}", total, clock()

    def update(self, done, logs):
        """Show the number of samples done and the means so far, if it is time for an update."""
        if not self.live:
            return
        (title, total, began), now = self._part, clock()
        seconds = now - began
        if seconds < self.every or now - self._drawn < self.every:
            return
        rate = done / max(seconds, 1e-9)
        parts = [*_texts(logs), *([f"{rate:,.0f}/s"] if done else [])]
        if total is None:
            parts.insert(0, str(done))
        else:
            bar = "=" * (BAR * done // max(total, 1))
            parts.insert(0, f"[{bar:.<{BAR}}] {done}/{total}")
            if done:
                parts.insert(-1, f"{_whole((total - done) / max(rate, 1e-9))} left")
        with self._lock:
            self._rewrite(f"{title} - {' - '.join(parts)}", now)
            self._bar = True

    def finish(self, logs, seconds=None, done=None, keep=True):
        """End the line with the results; the rate is `done` samples (default: all) in `seconds` (default: all).

        Without `keep`, a live line may be replaced by a later one."""
        if self.out is None:
            return
        now = clock()
        took = now - self.began
        rate = (done or self.total or 0) / max(seconds or took, 1e-9)
        with self._lock:
            health = getattr(logs, "health", None)
            self.ended = self.title, took, dict(logs), rate, health, -1 if health is None else len(health) - 1
            if keep or not self.live or now - self._kept >= KEPT_EVERY:
                self._keep(now)
            elif self._bar or now - self._drawn >= self.every:
                self._rewrite(_last(*self.ended), now)

    def clear(self):
        """Leave an empty line for other output: keep the last finished line, clear an unfinished progress bar."""
        with self._lock:
            if self.ended is not None:
                self._keep(clock())
            elif self.shown:
                self._write(self._wiped())

    def _keep(self, now):
        text, self.ended, self._kept = _last(*self.ended), None, now
        self._write(self._wiped() + text + "\n")

    def _wiped(self):
        wipe = "\r" + " " * self.shown + "\r" if self.shown else ""
        self.shown, self._bar = 0, False
        return wipe

    def _rewrite(self, text, now):
        if self.where == "terminal":
            from shutil import get_terminal_size  # slow to import: it knows all archives

            text = cut(text, get_terminal_size().columns - 1)
        line = left(text, self.shown)
        self.shown, self._bar, self._drawn = width(text), False, now
        self._write("\r" + line)

    def _write(self, text):
        self.out.write(text)
        if self.where != "notebook" and hasattr(self.out, "flush"):  # kernels flush themselves; flush() would wait
            self.out.flush()


class _Guard:
    """Replaces a stream while there is a live line: other output starts on an empty line."""

    def __init__(self, stream, progress):
        self.stream, self.progress = stream, progress

    def write(self, text):
        progress = self.progress
        if progress is not None and (progress.shown or progress.ended is not None):
            progress.clear()
        return self.stream.write(text)

    def idle(self):
        """The stream it replaces, without other guards that have ended."""
        stream = self.stream
        while isinstance(stream, _Guard) and stream.progress is None:
            stream = stream.stream
        return stream

    def __getattr__(self, name):
        return getattr(self.stream, name)


def _last(title, seconds, logs, rate, health=None, epoch=-1):
    ratio = None
    if health is not None and epoch >= 0:
        from .health_table import gradient_ratio  # imported once there is something to show

        ratio = gradient_ratio(health, epoch)
    ratio = [] if ratio is None else [f"first/last gradient: {ratio:.2g}"]
    return " - ".join([title, _duration(seconds), *_texts(logs), *ratio, f"{rate:,.0f}/s"])


def _texts(logs):
    return [f"{name}: {_short(value)}" for name, value in logs.items()]


def _short(value):
    if isinstance(value, int):
        return str(value)
    if getattr(value, "ndim", 0):  # a value for each class or threshold
        return f"[{', '.join(map(_short, value.tolist()))}]"
    return (
        f"{value:.4f}"
        if value != value or 1e-3 <= abs(value) < 1e5 or value == 0
        else f"{value:.4g}"
    )


def _duration(seconds):
    """Three digits, in a suitable unit: 0.45ms, 12.3ms, 1.23s, 12.3s, 2m05s, 1h02m."""
    if seconds < 59.95:
        value, unit = (1e3 * seconds, "ms") if seconds < 0.9995 else (seconds, "s")
        return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{unit}"
    return _whole(seconds)


def _whole(seconds):
    """Whole seconds."""
    seconds = round(seconds)
    minutes, hours = seconds // 60, seconds // 3600
    if not minutes:
        return f"{seconds}s"
    return f"{hours}h{minutes % 60:02d}m" if hours else f"{minutes}m{seconds % 60:02d}s"
