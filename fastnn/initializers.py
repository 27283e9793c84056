"""Initializers of weights, under Keras' names.

An initializer is called with a shape and a dtype and returns an array; a plain function of the two
works as well. All use Philox. With a seed, each call gives the same numbers; without, each
call takes the next seed of the process (`fastnn.set_random_seed`), so that one object can be used for
many layers.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ._base.checks import integer, module_attributes, number, one_of
from ._base.config import Configurable, float_dtype, snake_case
from ._base.numbers import cast
from ._base.random import check_seed, generator
from ._base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal

    from numpy.typing import ArrayLike

    from ._base.types import AnyArray, FloatArray, FloatType, InitializerLike
    from ._declared.initializers import *  # noqa: F403 - what is made below

# Standard deviation of a standard normal truncated at two, by which truncated draws are divided.
TRUNCATED_STDDEV = 0.87962566103423978
_registry = Registry("initializer")


class Initializer(Configurable):
    """Base class of the initializers; subclasses implement ``draw(shape)`` or ``__call__(shape, dtype)``."""

    def __call__(self, shape: Sequence[int], dtype: FloatType | None = None) -> FloatArray:
        """Return an array of initial values.

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

    def draw(self, shape: Sequence[int]) -> AnyArray:
        raise NotImplementedError(
            f"{type(self).__name__} must implement draw(shape) or __call__(shape, dtype)"
        )


class Zeros(Initializer):
    """Initialise with zeros."""

    aliases = ("zero",)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        return np.zeros(shape)


class Ones(Initializer):
    """Initialise with ones."""

    aliases = ("one",)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        return np.ones(shape)


class Constant(Initializer):
    """Initialise with a constant.

    Parameters
    ----------
    value : float or array that broadcasts to the shape
    """

    def __init__(self, value: ArrayLike = 0.0) -> None:
        self.value = value

    def draw(self, shape: Sequence[int]) -> AnyArray:
        return np.broadcast_to(cast("value", self.value, np.float64), shape).copy()


class _Random(Initializer):
    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else check_seed("seed", seed)


class RandomNormal(_Random):
    """Normal distribution with `mean` and `stddev`.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
    """

    aliases = ("normal",)

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = number("mean", mean), number("stddev", stddev, 0)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        return self.mean + self.stddev * generator(self.seed).standard_normal(shape)


class RandomUniform(_Random):
    """Uniform distribution from `minval` to `maxval`.

    Parameters
    ----------
    minval, maxval : float
    seed : int, optional
    """

    aliases = ("uniform",)

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = number("minval", minval)
        self.maxval = number("maxval", maxval, self.minval)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        return generator(self.seed).uniform(self.minval, self.maxval, shape)


class TruncatedNormal(_Random):
    """Truncated normal distribution: values more than two standard deviations from `mean` are drawn again.

    As in Keras, `stddev` is the standard deviation before truncation; that of the result is 0.8796 times as large.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = number("mean", mean), number("stddev", stddev, 0)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        return self.mean + self.stddev * standard_truncated_normal(shape, generator(self.seed))


def standard_truncated_normal(shape: Sequence[int], rng: np.random.Generator) -> AnyArray:
    """Standard normal numbers, drawn again until they are within ±2 (one in 22 is not)."""
    z = rng.standard_normal(prod(shape))
    out = np.flatnonzero(np.abs(z) > 2)
    while out.size:
        z[out] = rng.standard_normal(out.size)
        out = out[np.abs(z[out]) > 2]
    return z.reshape(shape)


class VarianceScaling(_Random):
    r"""Variance adapted to the size of the layer: :math:`\sigma^2 = scale / n`.

    n is the number of inputs of a unit (`fan_in`), of outputs of an input (`fan_out`) or their mean
    (`fan_avg`). All three distributions have this variance: the uniform distribution has limits
    :math:`\pm \sqrt{3\sigma^2}`; the truncated normal is scaled by 1 / 0.8796, because truncation at two
    standard deviations reduces the variance.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        "normal" is an alias of "truncated_normal".
    seed : int, optional
    input_axes, output_axes : list of int, optional
        The axes of the weights whose sizes determine fan_in and fan_out. Default: the last two; axes before them
        are a receptive field.

    Raises
    ------
    ValueError
        For an unknown mode or distribution, or a scale that is not above 0.

    References
    ----------
    Glorot & Bengio 2010, eq. 12 and 16; He et al. 2015, eq. 10; LeCun et al. 1998, section 4.6.

    Examples
    --------
    He initialisation by the mean of both fans, as in the notes:

    >>> from fastnn.initializers import VarianceScaling
    >>> he_avg = VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform", seed=0)
    >>> w = he_avg((784, 300))
    >>> bool(abs(w).max() <= (3 * 2 / 542) ** 0.5)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in",
        distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
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

    def draw(self, shape: Sequence[int]) -> AnyArray:
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
    """Orthogonal matrix: the Q factor of a normal matrix, with uniform signs; its shorter side is orthonormal.

    Parameters
    ----------
    gain : float
        Factor of the matrix.
    seed : int, optional

    Raises
    ------
    ValueError
        If called for a shape with fewer than two axes. All axes but the last are rows.

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

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = number("gain", gain)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape with at least two axes, got {shape}")
        rows, columns = prod(shape[:-1]), shape[-1]
        tall = generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


class Identity(Initializer):
    """Identity matrix times `gain`.

    Parameters
    ----------
    gain : float
        Value on the diagonal.

    Raises
    ------
    ValueError
        If called for a shape that is not a matrix.
    """

    aliases = ("IdentityInitializer",)

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number("gain", gain)

    def draw(self, shape: Sequence[int]) -> AnyArray:
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape with two axes, got {shape}")
        return self.gain * np.eye(shape[0], shape[1])


def _axes(name, axes):
    return None if axes is None else [integer(f"{name}[{i}]", a) for i, a in enumerate(axes)]


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)``: rows and columns of a matrix, the length of a vector for both.

    Axes before the last two are a receptive field, which multiplies both. With `input_axes` and `output_axes`: the
    products of the sizes of those axes.
    """
    if input_axes is not None and output_axes is not None:
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
    def __init__(
        self: VarianceScaling,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    law = "Truncated normal" if distribution == "truncated_normal" else "Uniform"
    doc = f"""{law} distribution with variance {scale:g} / {mode}.

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
    __init__.__qualname__ = f"{name}.__init__"
    space = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    return type(VarianceScaling)(name, (VarianceScaling,), space)


if not TYPE_CHECKING:
    GlorotNormal = _named("GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Glorot & Bengio 2010, eq. 12")
    GlorotUniform = _named("GlorotUniform", 1.0, "fan_avg", "uniform", "Glorot & Bengio 2010, eq. 16")
    HeNormal = _named("HeNormal", 2.0, "fan_in", "truncated_normal", "He et al. 2015, eq. 10")
    HeUniform = _named("HeUniform", 2.0, "fan_in", "uniform", "He et al. 2015, eq. 10")
    LecunNormal = _named("LecunNormal", 1.0, "fan_in", "truncated_normal", "LeCun et al. 1998, eq. 16")
    LecunUniform = _named("LecunUniform", 1.0, "fan_in", "uniform", "LeCun et al. 1998, eq. 16")


def get(identifier: InitializerLike | None) -> Callable[..., Any] | None:
    """Return the initializer for a name (in any case), a description, an object, a class or a function.

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
    found = identifier() if isinstance(identifier, type) else _registry.made(identifier)
    if found is not None and not callable(found):
        raise TypeError(f"initializer: expected a name, an Initializer or a function, got {found!r}")
    return found


def names() -> list[str]:
    """Return the class names of the initializers; lookups ignore case and underscores."""
    return _registry.names()


_registry.add_classes(globals(), Initializer)
globals().update({snake_case(_name): globals()[_name] for _name in names()})  # as Keras has both
__all__ = ["Initializer", "get", "names"]
__all__.extend([*names(), *map(snake_case, names())])
if not TYPE_CHECKING:  # for type checkers, an unknown name is an error
    __getattr__, __dir__ = module_attributes(__name__, __all__)
