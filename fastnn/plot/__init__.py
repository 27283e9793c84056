"""Pictures, one a file; methods like ``history.plot()`` draw them.

All draw on the axes they are given (``ax=``) or else on pyplot's current ones, so that notebooks show them and
``plt.savefig`` writes them, and return the axes. matplotlib is imported when a picture is asked for.
"""
