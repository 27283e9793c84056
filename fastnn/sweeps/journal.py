"""The journal of a sweep: networks in it are not trained again.

(a) A line of JSON for each network that has ended, written and synchronised before its result is used; a line
    for each round of halving; a line for each network that waits between rounds. The first line describes the sweep.
(b) A kill leaves at most an incomplete last line, which is dropped. An incomplete line elsewhere is an error.
(c) Models that are kept are in a directory beside it, one file each with weights and optimizer state, written before
    the line that refers to them. A model whose file is missing is trained again, with the same bits.
(d) A network that waited (halving) is trained again if it continues; its history must then be the same.
"""

import errno
import fcntl
import hashlib
import json
import os
import sys
from functools import partial

import numpy as np

from .._base.config import Configurable
from .._base.files import naming, warn
from .._base.numbers import CHUNK
from ..saving import atomic, configuration, state
from ..saving.container import FormatError, parse_json

VERSION = 1
BEGINNING = b'{"fastnn_sweep":'


# --- what a sweep is ---


def digest(value):
    """A hash of a value: of numbers, strings, arrays, fastnn's objects, functions."""
    sha = hashlib.sha256()
    _feed(sha, value)
    return sha.hexdigest()[:32]


def _feed(sha, value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Configurable):
        value = value.describe()
    sha.update(f"\0{type(value).__name__}:".encode())
    if isinstance(value, np.ndarray):
        sha.update(f"{value.dtype.str}{value.shape}".encode())
        rows = max(1, CHUNK // max(1, value[0].size)) if value.ndim and len(value) else 1
        for start in range(0, len(value) if value.ndim else 0, rows):  # for a memory map, one slice at a time
            sha.update(np.ascontiguousarray(value[start : start + rows]))
        if not value.ndim:
            sha.update(value.tobytes())
    elif isinstance(value, dict):
        for key in value:
            _feed(sha, key)
            _feed(sha, value[key])
    elif isinstance(value, (list, tuple)):
        for each in value:
            _feed(sha, each)
    elif isinstance(value, partial):
        _feed(sha, [value.func, value.args, value.keywords])
    elif hasattr(value, "__code__"):
        _feed_code(sha, value.__code__)
        _feed(sha, [value.__defaults__, value.__kwdefaults__])
    elif value is None or isinstance(value, (bool, int, float, str, bytes)):
        sha.update(repr(value).encode())
    else:  # only its type is known to be the same in another process
        sha.update(f"{type(value).__module__}.{type(value).__qualname__}".encode())


def _feed_code(sha, code):
    sha.update(code.co_code)
    _feed(sha, code.co_names)
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            _feed_code(sha, const)
        elif not isinstance(const, frozenset):  # its order is not the same in another process
            _feed(sha, const)


def environment():
    """The environment that the bits of a network depend on."""
    from .._core import kernels

    python = ".".join(map(str, sys.version_info[:2]))
    return {"fastnn": sys.modules["fastnn"].__version__, "instruction set": kernels.isa(), "Python": python}


# --- the file ---


class Journal:
    """An open journal, locked against other processes.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    head : dict or None
        The first line of an existing journal.
    networks : dict of dict
        Index of a network to its last entry.
    rounds : dict of list
        Epochs of a round of halving to the networks that were stopped in it.
    """

    def __init__(self, path):
        self.path = os.fsdecode(path)
        self.folder = f"{self.path}.models"
        self.head, self.networks, self.rounds, self.same_bits = None, {}, {}, True
        with naming(self.path):
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                self._lock()
                self._read()
            except BaseException:
                os.close(self._descriptor)
                raise

    def close(self):
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            if self.head is None:  # the arguments were invalid: leave no file
                os.unlink(self.path)
            os.close(descriptor)

    def _lock(self):
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(errno.EAGAIN, "another sweep is writing to this journal", self.path) from None

    def _read(self):
        with open(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            raw = file.read()
        good = 0
        lines = raw.split(b"\n")
        for i, line in enumerate(lines[:-1]):
            try:
                self._take(i, configuration.decode(parse_json(line), {}))
            except (FormatError, TypeError, KeyError) as error:
                if i and not any(lines[i + 1 :]):  # the last one may be incomplete, or blocks that were never written
                    break
                raise FormatError(f"{self.path}, line {i + 1}: {self._damage(i)} ({error})") from None
            good += len(line) + 1
        if not good and raw[: len(BEGINNING)] != BEGINNING[: len(raw)]:
            raise FormatError(f"{self.path}: {self._damage(0)}")  # do not overwrite it
        if good < len(raw):  # incomplete, as its process was killed
            os.ftruncate(self._descriptor, good)
        self._size = good

    def _damage(self, i):
        return "the journal is corrupted" if i else "expected the journal of a sweep or a new file, got another file"

    def _take(self, i, line):
        if i == 0:
            if line["fastnn_sweep"] != VERSION:
                raise KeyError(f"expected version {VERSION} of the format, got {line['fastnn_sweep']!r}")
            self.head = line
        elif "round" in line:
            self.rounds[line["round"]] = list(line["stopped"])
        else:
            kept = {n: line[n] for n in ("status", "epochs", "seconds", "best_epoch", "rising", "history", "model")}
            self.networks[line["network"]] = kept

    def write(self, line):
        """Append a line, and wait until it is on disk."""
        text = json.dumps(configuration.encode(line, "journal"), separators=(",", ":"), allow_nan=False)
        left = memoryview(text.encode() + b"\n")
        size = self._size + len(left)
        with naming(self.path):
            try:
                while left:
                    left = left[os.write(self._descriptor, left) :]
                os.fsync(self._descriptor)
            except BaseException:
                os.ftruncate(self._descriptor, self._size)
                raise
        self._size = size

    # --- the definition ---

    @property
    def seed(self):
        """The seed of the sweep; None for a new journal."""
        return None if self.head is None else self.head["seed"]

    def check(self, seed, definition):
        """Start the journal; ValueError if it belongs to another sweep."""
        now = environment()
        if self.head is None:
            head = {"fastnn_sweep": VERSION, "seed": seed, "environment": now, "definition": definition}
            self.write(head)
            self.head = head
            with naming(self.path):
                atomic.sync_folder(os.path.dirname(os.path.realpath(self.path)))
            return
        before, then = self.head["definition"], self.head["environment"]
        if seed != self.seed:
            raise ValueError(f"journal: expected seed={self.seed}, as in {self.path}, got {seed}")
        skipped = ("build", "callbacks") if now["Python"] != then["Python"] else ()
        for name in definition:
            if name not in skipped and definition[name] != before.get(name):
                raise ValueError(
                    f"journal: {self.path} belongs to another sweep: {_difference(name, before, definition)}"
                )
        self.same_bits = all(now[n] == then[n] for n in ("fastnn", "instruction set"))
        if not self.same_bits:
            changed = ", ".join(f"{n} {then[n]}, now {now[n]}" for n in now if now[n] != then[n])
            warn(
                f"journal: {self.path} was started with {changed}: results of remaining networks may differ"
            )

    # --- what happens ---

    def ended(self, network, rising, model):
        """Record that a network has ended, or waits for the next round."""
        if model:
            with naming(self.folder):
                os.makedirs(self.folder, exist_ok=True)
            state.write(self.model_path(network), network.model)
        self.write({
            "network": network.index, "status": network.status, "epochs": network.done, "seconds": network.seconds,
            "best_epoch": network.best_epoch, "rising": rising, "history": network.history, "model": model,
        })  # fmt: skip

    def round(self, until, stopped):
        """Record the networks that are stopped in a round."""
        self.rounds[until] = [n.index for n in stopped]
        self.write({"round": until, "stopped": self.rounds[until]})

    def model_path(self, network):
        return os.path.join(self.folder, f"{network.index}.fastnn")

    def drop(self, network):
        """Delete a model that is no longer among the best."""
        with naming(self.model_path(network)):
            try:
                os.unlink(self.model_path(network))
            except FileNotFoundError:
                pass


def _difference(name, before, now):
    if name == "params":
        k = next((i for i, (a, b) in enumerate(zip(before[name], now[name], strict=False)) if a != b), None)
        if k is None or len(before[name]) != len(now[name]):
            return f"expected {len(before[name])} networks, got {len(now[name])}"
        return f"params[{k}] has changed"
    if isinstance(now[name], str) and len(now[name]) == 32:
        return f"{name} has changed"
    return f"{name}: expected {before.get(name)!r}, got {now[name]!r}"
