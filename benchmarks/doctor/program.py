"""A program: data, a network, what it is compiled with and how it is trained. Faults are changes of its fields."""

from __future__ import annotations

import copy
import time
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

import fastnn
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout, Input

from .data import Data


@dataclass(frozen=True)
class Hidden:
    units: int
    activation: str | None = "relu"
    init: object = "glorot_uniform"
    bias_init: object = "zeros"
    bias: bool = True
    bn: bool = False
    dropout: float = 0.0
    penalty: object = None

    def layers(self):
        options = {"kernel_initializer": _new(self.init), "bias_initializer": _new(self.bias_init)}
        options |= {"use_bias": self.bias, "kernel_regularizer": self.penalty}
        if self.bn:
            yield Dense(self.units, **options)
            yield BatchNormalization()
            yield Activation(self.activation or "linear")
        else:
            yield Dense(self.units, self.activation, **options)
        if self.dropout:
            yield Dropout(self.dropout)


@dataclass(frozen=True)
class Program:
    """A Keras script as data.

    Attributes
    ----------
    name : str
    data : Data
    hidden : tuple of Hidden
    units, last : the last layer
    loss : str or callable
        A callable returns a new loss.
    optimizer : str
        Name of a class, with the arguments `rate`, `options`.
    before : callable, optional
        Returns layers that come first.
    after : callable, optional
        Returns layers that come last.
    spoil : callable, optional
        Called with the built model.
    seed : int
    """

    name: str
    data: Data
    hidden: tuple[Hidden, ...]
    units: int
    last: str | None
    loss: object
    optimizer: str = "Adam"
    rate: float = 3e-3
    options: dict = field(default_factory=dict)
    metrics: tuple = ()
    batch_size: int = 32
    epochs: int = 30
    last_init: object = "glorot_uniform"
    features: int | None = None
    before: object = None
    after: object = None
    spoil: object = None
    seed: int = 0

    def build(self):
        """A new compiled model."""
        fastnn.set_random_seed(self.seed)
        x = np.asarray(self.data.x)
        layers = [Input((self.features or x.shape[1],)), *(self.before() if self.before else ())]
        for hidden in self.hidden:
            layers += hidden.layers()
        layers.append(Dense(self.units, self.last, kernel_initializer=_new(self.last_init)))
        layers += self.after() if self.after else ()
        model = fastnn.Sequential(layers)
        if self.spoil:
            self.spoil(model)
        optimizer = getattr(fastnn, self.optimizer)(self.rate, **self.options)
        loss = self.loss() if callable(self.loss) else self.loss
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.compile(optimizer, loss, metrics=list(self.metrics) or None)
        return model

    def each_hidden(self, **changes):
        return replace(self, hidden=tuple(replace(h, **changes) for h in self.hidden))

    def fit(self, model):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            d = self.data
            return model.fit(
                d.x, d.y, batch_size=self.batch_size, epochs=self.epochs, validation_data=(d.xv, d.yv), verbose=0
            )


def _new(initializer):
    return copy.deepcopy(initializer)  # an instance with a seed draws the same again, in each layer


@dataclass
class Outcome:
    """What one run of a program gave."""

    model: object
    history: object = None
    error: BaseException | None = None
    score: float | None = None
    findings: list = field(default_factory=list)
    check_seconds: float = 0.0
    fit_seconds: float = 0.0


def run(program, check=True):
    """Check, train and score a program, through the public interface only."""
    model = program.build()
    out, d = Outcome(model), program.data
    if check and hasattr(model, "check"):
        began = time.perf_counter()
        out.findings += model.check(d.x, d.y, validation_data=(d.xv, d.yv))
        out.check_seconds = time.perf_counter() - began
    began = time.perf_counter()
    try:
        out.history = program.fit(model)
    except Exception as error:
        out.error = error
        found = getattr(error, "finding", None)
        if found is not None:
            out.findings.append(found)
    out.fit_seconds = time.perf_counter() - began
    if out.history is None:
        out.history = getattr(model, "history", None)
    out.findings += getattr(out.history, "findings", None) or []
    out.findings = ranked(out.findings)
    if out.error is None:
        out.score = score(model, d)
    return out


ORDER = {"error": 0, "warning": 1, "note": 2}


def ranked(findings):
    """Findings by severity, each kind once; those of `check` before those of training, in the order they came."""
    seen, kept = set(), []
    for f in sorted(findings, key=lambda f: ORDER[str(f.severity)]):
        if f.fault not in seen:
            seen.add(f.fault)
            kept.append(f)
    return kept


def score(model, data):
    """Of the validation rows, against the truth: accuracy, or R² of values; 0 for the best constant, at least."""
    prediction = np.asarray(model.predict(data.xv, verbose=0), float)
    if not np.isfinite(prediction).all():
        return 0.0
    if data.task == "values":
        truth = np.asarray(data.yv, float).ravel()  # in the unit of the program
        if prediction.size != truth.size or np.ptp(truth) == 0:
            return 0.0
        return max(0.0, 1 - np.mean((prediction.ravel() - truth) ** 2) / np.var(truth))
    if data.task == "labels":
        return float(np.mean((prediction > 0.5) == data.truth))
    if prediction.shape[-1] == 1:
        return float(np.mean((prediction.ravel() > threshold(model)) == data.truth))
    return float(np.mean(prediction.reshape(len(prediction), -1).argmax(1) == data.truth))


def threshold(model):
    """Between the two classes of one output: 0 of logits, margins and tanh, else 0.5."""
    activation = getattr(model.layers[-1].get_config().get("activation"), "__name__", None)
    activation = activation or model.layers[-1].get_config().get("activation")
    signed = activation == "tanh" or getattr(model.loss, "from_logits", False)
    return 0.0 if signed or "hinge" in str(getattr(model.loss, "row", "")) else 0.5
