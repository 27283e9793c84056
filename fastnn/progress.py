"""The lines `fit` prints: a live one on a terminal, one an epoch elsewhere."""

import shutil
import sys
import time

from ._checks import one_of
from ._text import cut, left, width

EVERY = 0.1  # seconds between two states of the live line
BAR = 20


def verbosity(verbose):
    """0 silent, 1 a live line if there is a terminal, 2 one line an epoch."""
    verbose = one_of("verbose", verbose, ("auto", 0, 1, 2))
    return 1 if verbose == "auto" else int(verbose)


class Progress:
    """Prints how far training is; never a control character unless to a terminal.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
    """

    def __init__(self, verbose):
        level = verbosity(verbose)
        self.out = sys.stdout if level else None
        terminal = self.out is not None and self.out.isatty()
        self.live = level == 1 and terminal
        self.shown = 0  # width of the live line

    def start(self, title, total):
        """Begin a line: of an epoch, of an evaluation; `total` is None where nobody knows it."""
        self.title, self.total = title, total
        self.began = self.last = time.perf_counter()

    def update(self, done, logs):
        """Show `done` of the samples and the means so far, if it is time."""
        if not self.live or time.perf_counter() - self.last < EVERY:
            return
        self.last = time.perf_counter()
        seconds = self.last - self.began
        rate = done / max(seconds, 1e-9)
        parts = [*_texts(logs), *([f"{rate:,.0f}/s"] if done else [])]
        if self.total is None:
            parts.insert(0, str(done))
        else:
            bar = "=" * (BAR * done // max(self.total, 1))
            left = (self.total - done) / max(rate, 1e-9)
            parts.insert(0, f"[{bar:.<{BAR}}] {done}/{self.total}")
            if done:
                parts.insert(-1, f"{left:.0f}s left")
        self._rewrite(f"{self.title} - {' - '.join(parts)}")

    def finish(self, logs, seconds=None, done=None):
        """End the line with what came out: the rate is that of `done` samples (all) in `seconds` (all)."""
        if self.out is None:
            return
        now = time.perf_counter() - self.began
        rate = f"{(done or self.total or 0) / max(seconds or now, 1e-9):,.0f}/s"
        self.clear()
        print(
            " - ".join([self.title, _duration(now), *_texts(logs), rate]), file=self.out, flush=True
        )

    def clear(self):
        """Wipe a live line that was begun, so that whatever is printed next stands alone."""
        if self.shown:
            self._rewrite("")
            self.out.write("\r")

    def _rewrite(self, text):
        text = cut(text, shutil.get_terminal_size().columns - 1)
        self.out.write("\r" + left(text, self.shown))
        self.out.flush()
        self.shown = width(text)


def _texts(logs):
    return [f"{name}: {_short(value)}" for name, value in logs.items()]


def _short(value):
    if isinstance(value, int):
        return str(value)
    return (
        f"{value:.4f}"
        if value != value or 1e-3 <= abs(value) < 1e5 or value == 0
        else f"{value:.4g}"
    )


def _duration(seconds):
    return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.0f}s"
