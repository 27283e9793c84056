"""Plots, one per file; methods like ``history.plot()`` draw them.

All draw on the given axes (``ax=``) or on pyplot's current axes, so that notebooks show them and
``plt.savefig`` writes them, and return the axes. matplotlib is only imported when a plot is drawn.
"""

from .._base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
