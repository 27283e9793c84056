"""Streams that remember what they were given, and what stays on the screen."""

import io
import re

import numpy as np

import fastnn

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ np.ones((3, 1))


class Stream(io.StringIO):
    """Text as a whole, and call by call."""

    terminal = False

    def __init__(self):
        super().__init__()
        self.calls, self.flushed = [], 0

    def write(self, text):
        self.calls.append(text)
        return super().write(text)

    def flush(self):
        self.flushed += 1

    def isatty(self):
        return self.terminal


class Terminal(Stream):
    terminal = True


class OutStream(Stream):
    """As ipykernel's, which is no terminal."""


OutStream.__module__ = "ipykernel.iostream"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def screen(text):
    """What a terminal shows of a text with carriage returns."""
    lines, at = [""], 0
    for part in re.split(r"([\r\n])", text):
        if part == "\r":
            at = 0
        elif part == "\n":
            lines.append("")
            at = 0
        else:
            lines[-1] = lines[-1][:at] + part + lines[-1][at + len(part) :]
            at += len(part)
    return [line.rstrip() for line in lines]


def model():
    fastnn.set_random_seed(0)
    m = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    m.compile("sgd", "mse")
    return m


def kept(stream):
    """The epochs whose lines are on the screen."""
    lines = screen(stream.getvalue())
    assert lines[-1] == ""  # the cursor is in an empty line
    return [int(re.match(r"Epoch (\d+)/", line)[1]) for line in lines[:-1]]
