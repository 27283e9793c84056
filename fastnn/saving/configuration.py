"""Conversion of configurations to JSON and back.

(a) Values that JSON does not support are objects with a single key that begins with ``$``.
(b) When decoding, class names are looked up in `custom_objects` here, and otherwise in
    the registries, by the code that takes the description: of a layer, an initializer, …. No name is ever
    imported or taken from a module.
"""

from math import isfinite

import numpy as np

from .._base.checks import suggest
from .._base.config import Configurable, is_description
from .container import FormatError

ADVICE = "use save_weights, which needs no configuration"


def encode(value, where):
    """Convert `value` to types that JSON supports.

    Parameters
    ----------
    value : object
    where : str
        Its name in errors.

    Raises
    ------
    TypeError
        For values that cannot be saved.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        return encode(value.item(), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, Configurable):
        return encode(value.describe(), where)
    if isinstance(value, list):
        return [encode(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": [encode(v, f"{where}[{i}]") for i, v in enumerate(value)]}
    if isinstance(value, dict):
        if not all(isinstance(k, str) and k[:1] != "$" for k in value):
            raise TypeError(f"{where}: expected names as keys, got {list(value)!r}; {ADVICE}")
        return {k: encode(v, _inside(where, value, k)) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            raise TypeError(f"{where}: expected a numeric array to save, got one of dtype {value.dtype}; {ADVICE}")
        return {"$array": [value.dtype.str, encode(value.tolist(), where)]}
    if callable(value):
        return {"$function": function_name(value, where)}
    raise TypeError(f"{where}: expected a value that can be saved, got {value!r}; {ADVICE}")


def _inside(where, value, key):
    if is_description(value):
        return where if key == "config" else f"{where}'s class"
    return f"{where}.{key}"


def function_name(function, where):
    """The name of a function, as needed in `custom_objects` for loading."""
    name = getattr(function, "__name__", "<lambda>")
    if not name.isidentifier():
        raise TypeError(
            f"{where}: expected a function with a name to save, got {function!r}; define it with def and pass it"
            f" to load_model in custom_objects, or {ADVICE}"
        )
    return name


def decode(value, custom):
    """Inverse of `encode`; creates objects of `custom` classes, leaves other descriptions unchanged."""
    if isinstance(value, list):
        return [decode(v, custom) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (tag := next(iter(value)))[:1] == "$":
        return _tagged(tag, value[tag], custom)
    value = {k: decode(v, custom) for k, v in value.items()}
    if is_description(value) and value["class_name"] in custom:
        return custom[value["class_name"]].from_config(value["config"])
    return value


def _tagged(tag, value, custom):
    if tag == "$tuple" and isinstance(value, list):
        return tuple(decode(v, custom) for v in value)
    if tag == "$float" and value in ("inf", "-inf", "nan"):
        return float(value)
    if tag == "$array" and isinstance(value, list) and len(value) == 2:
        dtype = np.dtype(value[0]) if isinstance(value[0], str) else None
        # At most 32 nested one-element lists: larger than its text only by a small factor.
        if dtype is not None and dtype.kind in "fiub" and dtype.itemsize <= 8:
            return np.array(decode(value[1], {}), dtype)
    if tag == "$function" and isinstance(value, str):
        if value not in custom:
            raise unknown("function", value, custom)
        return custom[value]
    raise FormatError(f"the file is corrupted: unexpected {tag[:20]!r} in the configuration")


def unknown(kind, name, custom):
    """FormatError for a name that is only in `custom_objects`."""
    return FormatError(
        f"the model uses the custom {kind} {name!r}; pass custom_objects={{{name!r}: ...}}."
        f"{suggest(name, custom)}"
    )


def check_custom(custom):
    """`custom_objects` as a checked dict."""
    custom = {} if custom is None else custom
    if not isinstance(custom, dict) or not all(
        isinstance(k, str) and callable(v) for k, v in custom.items()
    ):
        raise TypeError(
            f"custom_objects: expected a dict from names to classes and functions, got {custom!r}"
        )
    return custom
