"""L-BFGS: a quasi-Newton method on all data at once, whose loop is SciPy's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.checks import integer, number
from .optimizer import Optimizer

if TYPE_CHECKING:
    from .._base.types import Config


class LBFGS(Optimizer):
    """Limited-memory BFGS, through `scipy.optimize.minimize`; only for `fit`, on all rows at once.

    An epoch is one iteration: a search along a direction made of the last gradients, with as many evaluations of the
    loss as it needs. `fit` ends early when the tolerances are reached. For small networks and smooth losses it reaches
    far smaller losses than stochastic methods.

    Parameters
    ----------
    history_size : int
        Pairs of steps and gradients from which the direction is made (SciPy's `maxcor`).
    gtol : float
        End when no element of the gradient is larger.
    ftol : float
        End when an iteration reduces the loss by a smaller fraction.
    max_line_search : int
        Evaluations per iteration (SciPy's `maxls`).
    name : str, optional

    Notes
    -----
    The loss and its gradient are those of `Model.loss_and_grad`: dropout and noise are off, and batch normalisation
    uses its moving averages and does not update them; train with another optimizer first, or call
    `Model.recalibrate`. Constraints and learning rates have no part in it. Each call of `fit` begins without history.

    References
    ----------
    Liu & Nocedal 1989; Byrd, Lu, Nocedal & Zhu 1995.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> fastnn.set_random_seed(1)
    >>> model = fastnn.Sequential([fastnn.layers.Dense(8, "tanh", input_shape=(1,)), fastnn.layers.Dense(1)])
    >>> model.compile("lbfgs", "mse")
    >>> history = model.fit(x, x**2, epochs=200, verbose=0)
    >>> history.history["loss"][-1] < 1e-4
    True
    """

    row = None
    aliases = ("l-bfgs", "l_bfgs_b", "l-bfgs-b")

    def __init__(
        self,
        history_size: int = 10,
        gtol: float = 1e-8,
        ftol: float = 1e-12,
        max_line_search: int = 20,
        name: str | None = None,
    ) -> None:
        super().__init__(1.0, name=name)
        self.history_size = integer("history_size", history_size, 1)
        self.gtol, self.ftol = number("gtol", gtol, 0), number("ftol", ftol, 0)
        self.max_line_search = integer("max_line_search", max_line_search, 1)

    def for_core(self) -> None:  # type: ignore[override]  # it makes no steps of its own
        return None

    def get_config(self) -> Config:
        """The constructor's arguments, as plain Python values."""
        names = ("history_size", "gtol", "ftol", "max_line_search", "name")
        return {name: getattr(self, name) for name in names}
