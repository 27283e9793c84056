"""Column names of data frames: later data frames must have the names of the first training.

Arrays have no names and are not checked. Frames with default names (0, 1, 2, …) are only checked for their order.
"""

import numpy as np

SHOWN = 8  # names of each kind in an error


def names_of(x):
    """The names of the columns of a data frame (pandas, polars, Arrow), or None."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__array__"):
        return None
    columns = getattr(x, "columns", None)
    if isinstance(columns, list) and columns and not isinstance(columns[0], str):
        columns = getattr(x, "column_names", None)  # of an Arrow table, whose `columns` are the data
    if columns is None or isinstance(columns, str) or not hasattr(columns, "__iter__"):
        return None
    return [_name(each) for each in columns]


def _name(given):
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        return int(given)
    return str(given)


def refuse_others(name, expected, found):
    """ValueError unless `found` are the columns `expected`; either may be None."""
    if expected is None or found is None or found == expected:
        return
    same = sorted(map(repr, found)) == sorted(map(repr, expected))
    if not same and (_unnamed(found) or _unnamed(expected)):
        return
    if same:
        at = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
        found, expected = found[at:], expected[at:]
        where = f" from column {at} on" if at else ""
        raise ValueError(
            f"{name}: expected columns in the order of the first training,{where} {_shown(expected)}, got"
            f" {_shown(found)}; use frame[model.feature_names]"
        )
    missing, unknown = ([n for n in a if n not in b] for a, b in ((expected, found), (found, expected)))
    what = [f"{label} {_shown(names)}" for label, names in (("missing", missing), ("unknown", unknown)) if names]
    raise ValueError(
        f"{name}: expected the columns of the first training, {_shown(expected)}, got {_shown(found)}"
        + (f" ({'; '.join(what)})" if what else "")
    )


def _unnamed(names):
    return names == list(range(len(names)))


def _shown(names):
    more = len(names) - SHOWN
    return str(names) if more <= 1 else f"{str(names[:SHOWN])[:-1]}, … {more} more]"


def checked(value):
    """Checked names set by a user or read from a file."""
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"feature_names: expected a list of names or None, got {value!r}")
    value = list(value)
    for i, name in enumerate(value):
        if not isinstance(name, (str, int, np.integer)) or isinstance(name, bool):
            raise TypeError(f"feature_names[{i}]: expected a name, got {name!r}")
    return [_name(each) for each in value]
