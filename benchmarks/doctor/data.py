"""The data sets of the programs, as a user loads them, and how a user who knows better prepares them."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

import fastnn


@dataclass(frozen=True)
class Data:
    """Training and validation data of a program.

    Attributes
    ----------
    name : str
    task : {"classes", "binary", "labels", "values"}
    x, y, xv, yv : arrays
        What is passed to `fit`; y in the encoding that the program's loss needs.
    truth : array
        Classes (n,) or labels (n, k) of the validation rows, whatever the program makes of yv.
    classes : int
        Number of classes or labels; 1 for binary targets and values.
    raw : tuple of arrays, optional
        (x, xv) before they were scaled.
    """

    name: str
    task: str
    x: np.ndarray
    y: np.ndarray
    xv: np.ndarray
    yv: np.ndarray
    truth: np.ndarray
    classes: int = 1
    raw: tuple = None

    def map(self, x=None, y=None):
        """The same with a function of x, or of y, applied to both parts."""
        x, y = x or (lambda a: a), y or (lambda a: a)
        return replace(self, x=x(self.x), xv=x(self.xv), y=y(self.y), yv=y(self.yv))


def standardised(x, xv):
    mean, std = x.mean(0), x.std(0)
    std[std == 0] = 1
    return ((x - mean) / std).astype("float32"), ((xv - mean) / std).astype("float32")


def divided(name, task, x, y, n, classes=1, scale=None):
    """The first `n` rows for training, the rest for validation; standardised, or divided by `scale`."""
    raw = x[:n], x[n:]
    scaled = standardised(*raw) if scale is None else tuple((a / scale).astype("float32") for a in raw)
    return Data(name, task, scaled[0], y[:n], scaled[1], y[n:], y[n:], classes, raw)


@cache
def digits(seed=0):
    """Handwritten digits, embedded in fastnn: 64 pixels of 0 to 16, ten classes."""
    (x, y), (xv, yv) = fastnn.datasets.digits.load_data()
    x, y = np.concatenate([x, xv]).reshape(-1, 64), np.concatenate([y, yv]).astype("int64")
    order = np.random.default_rng([seed, 1]).permutation(len(x))
    return divided("digits", "classes", x[order], y[order], 1437, 10, scale=16)


@cache
def circles(seed=0):
    """Two rings, as scikit-learn's make_circles: binary, needs a hidden layer."""
    rng = np.random.default_rng([seed, 2])
    y = rng.integers(0, 2, 1000)
    angle, radius = rng.uniform(0, 2 * np.pi, 1000), np.where(y == 1, 0.5, 1.0) + rng.normal(0, 0.1, 1000)
    x = np.c_[radius * np.cos(angle), radius * np.sin(angle)]
    return divided("circles", "binary", x.astype("float32"), y, 700, scale=1)


@cache
def flowers(seed=0):
    """A small table like Fisher's irises: four lengths in centimetres, three species that overlap a little."""
    rng = np.random.default_rng([seed, 3])
    means = np.array([[5.0, 3.4, 1.5, 0.25], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.5, 2.0]])
    stds = np.array([[0.35, 0.38, 0.17, 0.1], [0.5, 0.3, 0.45, 0.2], [0.6, 0.3, 0.5, 0.25]])
    y = rng.integers(0, 3, 700)
    shared = rng.normal(size=(700, 1))
    x = means[y] + stds[y] * (0.7 * shared + 0.7 * rng.normal(size=(700, 4)))
    return divided("flowers", "classes", np.maximum(x, 0.1).round(1), y, 450, 3)


@cache
def houses(seed=0):
    """A table of house prices with columns of very different scales; the target in 100,000s."""
    rng = np.random.default_rng([seed, 4])
    n = 1400
    area, rooms = rng.gamma(9, 12, n), rng.integers(1, 8, n)
    year, income = rng.integers(1900, 2020, n), rng.lognormal(10.5, 0.4, n)
    distance, crime = rng.gamma(2, 4, n), rng.lognormal(-1, 1, n)
    river, school = rng.random(n) < 0.1, rng.normal(15, 2, n)
    x = np.c_[area, rooms, year, income, distance, crime, river, school]
    price = 0.9 + 0.012 * area + 0.08 * rooms + 0.5 * np.tanh((income - 38000) / 15000) - 0.04 * distance
    price += 0.4 * river + 0.3 * np.cos((year - 1900) / 25) - 0.1 * np.minimum(crime, 4) - 0.06 * (school - 15)
    price = np.maximum(price + rng.normal(0, 0.12, n), 0.2)
    return divided("houses", "values", x, price.astype("float32"), 1000)


@cache
def patients(seed=0):
    """A table of eight measurements and a diagnosis, like the Pima data: binary, noisy, a third is ill."""
    rng = np.random.default_rng([seed, 5])
    n = 1100
    x = np.c_[rng.poisson(3.5, n), rng.normal(120, 30, n), rng.normal(70, 12, n), rng.normal(25, 9, n),
              rng.gamma(2, 50, n), rng.normal(32, 7, n), rng.gamma(2, 0.23, n), 21 + rng.gamma(1.5, 9, n)]  # fmt: skip
    z = standardised(x, x)[0]
    y = 1.6 * z[:, 1] + 0.9 * z[:, 5] + 0.7 * z[:, 7] + 0.6 * z[:, 0] * (z[:, 7] > 0) + rng.normal(0, 1, n) > 0.9
    return divided("patients", "binary", x, y.astype("int64"), 768)


@cache
def waves(seed=0):
    """A smooth function of two variables with a little noise: regression."""
    rng = np.random.default_rng([seed, 6])
    x = rng.uniform(-1, 1, (1500, 2))
    y = np.sin(3 * x[:, 0]) * np.cos(2 * x[:, 1]) + rng.normal(0, 0.05, 1500)
    return divided("waves", "values", x.astype("float32"), y.astype("float32"), 1100, scale=1)


@cache
def topics(seed=0):
    """Documents as normalised word counts with several labels each: independent binary targets."""
    rng = np.random.default_rng([seed, 7])
    y = (rng.random((1500, 5)) < 0.35).astype("float32")
    words = rng.gamma(0.3, 1, (5, 60))
    counts = rng.poisson(4 * (y @ words) + 0.5)
    return divided("topics", "labels", np.log1p(counts), y, 1100, 5)


@cache
def clothes(seed=0):
    """A part of Fashion-MNIST, if this machine has it: 784 pixels of 0 to 255, ten classes."""
    try:
        (x, y), _ = fastnn.datasets.fashion_mnist.load_data()
    except FileNotFoundError:
        return None
    rows = np.random.default_rng([seed, 8]).permutation(len(x))[:4000]
    return divided("clothes", "classes", x[rows].reshape(-1, 784), y[rows].astype("int64"), 3000, 10, scale=255)


PLANTED = (digits, circles, flowers, houses)
ALL = (*PLANTED, patients, waves, topics, clothes)
