"""Initial weights, under Keras' names.

An initializer is called with a shape and a dtype and returns an array; a plain function of the two
works as well. All draw from Philox. With a seed, each call gives the same numbers; without, each
call takes the next seed of the process (`fastnn.set_random_seed`), so that one object may serve
many layers.
"""

from math import prod, sqrt

import numpy as np

from ._base.checks import Registry, integer, module_attributes, number, one_of
from ._base.config import Configurable, float_dtype, is_description, snake_case
from ._base.numbers import cast
from ._base.random import check_seed, generator

# Standard deviation of a standard normal cut at two: what a truncated draw must be divided by.
TRUNCATED_STDDEV = 0.87962566103423978
_registry = Registry("initializer")


class Initializer(Configurable):
    """Base of the initializers; a subclass writes ``draw(shape)`` or ``__call__(shape, dtype)``."""

    def __call__(self, shape, dtype=None):
        """An array of initial values.

        Parameters
        ----------
        shape : tuple of int
        dtype : {"float32", "float64"}, optional

        Returns
        -------
        ndarray of `shape`
        """
        shape = tuple(integer(f"shape[{i}]", n, minimum=0) for i, n in enumerate(shape))
        return cast(type(self).__name__, self.draw(shape), float_dtype(dtype))

    def draw(self, shape):
        raise NotImplementedError(
            f"{type(self).__name__} must write draw(shape) or __call__(shape, dtype)"
        )


class Zeros(Initializer):
    """All 0."""

    aliases = ("zero",)

    def draw(self, shape):
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    aliases = ("one",)

    def draw(self, shape):
        return np.ones(shape)


class Constant(Initializer):
    """All `value`.

    Parameters
    ----------
    value : float or array that broadcasts to the shape
    """

    def __init__(self, value=0.0):
        self.value = value

    def draw(self, shape):
        return np.broadcast_to(cast("value", self.value, np.float64), shape).copy()


class _Random(Initializer):
    def __init__(self, seed=None):
        self.seed = None if seed is None else check_seed("seed", seed)


class RandomNormal(_Random):
    """Normal with `mean` and `stddev`.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
    """

    aliases = ("normal",)

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean, self.stddev = number("mean", mean), number("stddev", stddev, 0)

    def draw(self, shape):
        return self.mean + self.stddev * generator(self.seed).standard_normal(shape)


class RandomUniform(_Random):
    """Uniform from `minval` to `maxval`.

    Parameters
    ----------
    minval, maxval : float
    seed : int, optional
    """

    aliases = ("uniform",)

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        super().__init__(seed)
        self.minval = number("minval", minval)
        self.maxval = number("maxval", maxval, self.minval)

    def draw(self, shape):
        return generator(self.seed).uniform(self.minval, self.maxval, shape)


class TruncatedNormal(_Random):
    """Normal with `mean` and `stddev`, values beyond two deviations drawn again.

    As in Keras, `stddev` is that of the normal before it is cut; what comes out has 0.8796 of it.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean, self.stddev = number("mean", mean), number("stddev", stddev, 0)

    def draw(self, shape):
        return self.mean + self.stddev * standard_truncated_normal(shape, generator(self.seed))


def standard_truncated_normal(shape, rng):
    """Standard normal numbers, each drawn again until it is within ±2 (one in 22 is not)."""
    z = rng.standard_normal(prod(shape))
    out = np.flatnonzero(np.abs(z) > 2)
    while out.size:
        z[out] = rng.standard_normal(out.size)
        out = out[np.abs(z[out]) > 2]
    return z.reshape(shape)


class VarianceScaling(_Random):
    r"""Variance fitted to the size of the layer: :math:`\sigma^2 = scale / n`.

    n is the number of inputs of a unit (`fan_in`), of outputs of an input (`fan_out`) or their mean
    (`fan_avg`). All three distributions have this variance: uniform reaches :math:`r =
    \sqrt{3\sigma^2}`; the truncated normal is drawn wider by 1 / 0.8796, because cutting it at two
    deviations makes it narrower.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        "normal" means "truncated_normal".
    seed : int, optional
    input_axes, output_axes : list of int, optional
        The axes of the weights whose sizes make up fan_in and fan_out. Default: the last two, axes before them
        being a receptive field.

    Raises
    ------
    ValueError
        For another mode or distribution, or a scale that is not above 0.

    References
    ----------
    Glorot & Bengio 2010, eq. 12 and 16; He et al. 2015, eq. 10; LeCun et al. 1998, section 4.6.

    Examples
    --------
    The notes' He initialisation by the mean of both fans:

    >>> from fastnn.initializers import VarianceScaling
    >>> he_avg = VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform", seed=0)
    >>> w = he_avg((784, 300))
    >>> bool(abs(w).max() <= (3 * 2 / 542) ** 0.5)
    True
    """

    def __init__(
        self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None,
        input_axes=None, output_axes=None,
    ):  # fmt: skip
        super().__init__(seed)
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                f"input_axes, output_axes: expected both or neither, got {input_axes!r} and {output_axes!r}"
            )
        self.input_axes, self.output_axes = _axes("input_axes", input_axes), _axes("output_axes", output_axes)
        self.scale = number("scale", scale, 0, open_low=True)
        self.mode = one_of("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        distributions = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        self.distribution = one_of("distribution", distribution, distributions)
        if self.distribution == "normal":
            self.distribution = "truncated_normal"

    def draw(self, shape):
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        sigma = sqrt(self.scale / max(1.0, n))
        rng = generator(self.seed)
        if self.distribution == "uniform":
            return rng.uniform(-sqrt(3) * sigma, sqrt(3) * sigma, shape)
        if self.distribution == "untruncated_normal":
            return sigma * rng.standard_normal(shape)
        return sigma / TRUNCATED_STDDEV * standard_truncated_normal(shape, rng)


class Orthogonal(_Random):
    """A matrix whose shorter side is orthonormal: the Q of a normal matrix, signs made uniform.

    Parameters
    ----------
    gain : float
        Factor on the whole matrix.
    seed : int, optional

    Raises
    ------
    ValueError
        When called for a shape of fewer than two axes. All axes but the last count as rows.

    References
    ----------
    Saxe, McClelland & Ganguli 2014, section 3; Mezzadri 2007 for the signs.

    Examples
    --------
    >>> w = fastnn.initializers.Orthogonal(seed=1)((5, 3), "float64")
    >>> bool(abs(w.T @ w - np.eye(3)).max() < 1e-14)
    True
    """

    aliases = ("OrthogonalInitializer",)

    def __init__(self, gain=1.0, seed=None):
        super().__init__(seed)
        self.gain = number("gain", gain)

    def draw(self, shape):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of two axes or more, got {shape}")
        rows, columns = prod(shape[:-1]), shape[-1]
        tall = generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


class Identity(Initializer):
    """Ones on the diagonal of a matrix, zeros beside it.

    Parameters
    ----------
    gain : float
        What stands on the diagonal.

    Raises
    ------
    ValueError
        When called for a shape that is not a matrix.
    """

    aliases = ("IdentityInitializer",)

    def __init__(self, gain=1.0):
        self.gain = number("gain", gain)

    def draw(self, shape):
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape of two axes, got {shape}")
        return self.gain * np.eye(*shape)


def _axes(name, axes):
    return None if axes is None else [integer(f"{name}[{i}]", a) for i, a in enumerate(axes)]


def compute_fans(shape, input_axes=None, output_axes=None):
    """``(fan_in, fan_out)``: of a matrix its rows and columns, of a vector its length twice.

    Axes before the last two are a receptive field, which multiplies both. With `input_axes` and `output_axes`: the
    products of those axes.
    """
    if input_axes is not None:
        for name, axes in (("input_axes", input_axes), ("output_axes", output_axes)):
            if not all(-len(shape) <= axis < len(shape) for axis in axes):
                raise ValueError(f"{name}: expected axes of weights of shape {tuple(shape)}, got {axes}")
        return prod(shape[a] for a in input_axes), prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        n = prod(shape)
        return n, n
    field = prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _named(name, scale, mode, distribution, reference):
    def __init__(self, seed=None, input_axes=None, output_axes=None):
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    law = "A truncated normal" if distribution == "truncated_normal" else "Uniform"
    doc = f"""{law} of variance {scale:g} / {mode}.

    ``VarianceScaling({scale}, {mode!r}, {distribution!r})``.

    Parameters
    ----------
    seed : int, optional
    input_axes, output_axes : list of int, optional
        As for `VarianceScaling`.

    References
    ----------
    {reference}
    """
    space = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    return type(VarianceScaling)(name, (VarianceScaling,), space)


GlorotNormal = _named(
    "GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Glorot & Bengio 2010, eq. 12"
)
GlorotUniform = _named("GlorotUniform", 1.0, "fan_avg", "uniform", "Glorot & Bengio 2010, eq. 16")
HeNormal = _named("HeNormal", 2.0, "fan_in", "truncated_normal", "He et al. 2015, eq. 10")
HeUniform = _named("HeUniform", 2.0, "fan_in", "uniform", "He et al. 2015, eq. 10")
LecunNormal = _named("LecunNormal", 1.0, "fan_in", "truncated_normal", "LeCun et al. 1998, eq. 16")
LecunUniform = _named("LecunUniform", 1.0, "fan_in", "uniform", "LeCun et al. 1998, eq. 16")


def get(identifier):
    """The initializer for a name in any case, a description, an object, a class or a function.

    Parameters
    ----------
    identifier : str, dict, callable or None
        None gives None. A function is called with (shape, dtype).

    Returns
    -------
    callable or None

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.initializers.get("he_normal")
    HeNormal()
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return _registry.find(identifier)()
    if is_description(identifier):
        return _registry.find(identifier["class_name"]).from_config(identifier["config"])
    if isinstance(identifier, type):
        identifier = identifier()
    if not callable(identifier):
        raise TypeError(
            f"initializer: expected a name, an Initializer or a function, got {identifier!r}"
        )
    return identifier


def names():
    """Names of the initializers, as classes; any case, with or without underscores, is found."""
    return _registry.names()


_registry.add_classes(globals(), Initializer)
globals().update({snake_case(_name): globals()[_name] for _name in names()})  # as Keras has both
__all__ = ["Initializer", "get", "names"]
__all__.extend([*names(), *map(snake_case, names())])
__getattr__, __dir__ = module_attributes(__name__, __all__)
