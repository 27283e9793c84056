"""``model.summary()``: a table of the layers, as in Keras."""

import re

from .._base.checks import flag, number, suggest
from .._base.text import cut, left
from .._base.text import width as columns_of
from ..layers._block import Block

HEAD = ("Layer (type)", "Output Shape", "Param #", "Trainable")
CONNECTED = "Connected to"  # a column of models that are no stack
GAP = 3
LINE = 80  # characters, if positions are fractions of the line
SHARES = (0.0, 0.52, 0.76, 0.88)  # where columns start, as fractions of a given line length
SHARES_CONNECTED = (0.0, 0.3, 0.55, 0.65, 0.88)


def table(model, line_length=None, show_trainable=False, positions=None, expand_nested=False, layer_range=None):
    """Return the lines of the summary.

    Parameters
    ----------
    model : Sequential
    line_length : int, optional
        Default: as long as the cells need.
    show_trainable : bool
        Add a column that shows which layers are trainable.
    positions : list of float, optional
        Ends of the columns, as fractions of the line length (up to 1), or in characters.
    expand_nested : bool
        Also show rows for nested layers.
    layer_range : (str, str), optional
        Names of the first and the last layer to show, or regular expressions that match them.

    Returns
    -------
    list of str
    """
    show_trainable, nested = flag("show_trainable", show_trainable), flag("expand_nested", expand_nested)
    rows = [HEAD, *(row for layer in _chosen(model.layers, layer_range) for row in _cells_of(layer, nested))]
    rows = [row if show_trainable else row[:3] for row in rows]
    connected = getattr(type(model), "connected_to", None)
    if connected is not None:
        names = {layer.name: connected(model, layer) for layer in model.layers}
        read = (names.get(name.partition(" (")[0], "") for name, *_ in rows[1:])
        rows = [(*row[:3], cell, *row[3:]) for row, cell in zip(rows, (CONNECTED, *read), strict=True)]
    if line_length is None:
        widths = [max(map(columns_of, column)) + GAP for column in zip(*rows, strict=True)]
        starts = [sum(widths[:i]) for i in range(len(widths))]
        width = sum(widths) - GAP
    else:
        shares = SHARES if connected is None else SHARES_CONNECTED
        starts, width = [int(share * line_length) for share in shares], line_length
    if positions is not None:
        starts, width = _columns(positions, line_length or LINE, len(rows[0]))

    def line(row):
        text = ""
        for start, cell in zip(starts, row, strict=False):
            text = left(cut(text, max(0, start - 1)), start) + cell
        return cut(text, width).rstrip()

    body = [line(row) for row in rows]
    lines = [f'Model: "{model.name}"', "_" * width, body[0], "=" * width, *body[1:], "=" * width]
    return [*lines, *totals(model), "_" * width]


def _columns(positions, line_length, n):
    """Starts of the columns and length of a line, from the ends of the columns."""
    if len(positions) < n:
        raise ValueError(f"positions: expected {n} numbers, one for each column, got {positions!r}")
    ends = [number(f"positions[{i}]", p, 0, open_low=True) for i, p in enumerate(positions)]
    if sorted(ends) != ends:
        raise ValueError(f"positions: expected increasing numbers, got {positions!r}")
    ends = [int(p * line_length) if ends[-1] <= 1 else int(p) for p in ends][:n]
    return [0, *ends[:-1]], max(line_length, ends[-1]) if ends[-1] <= 1 else ends[-1]


def _chosen(layers, layer_range):
    """The layers from the first to the last whose names match; all for None."""
    if layer_range is None:
        return layers
    if isinstance(layer_range, str) or len(layer_range) != 2:
        raise ValueError(f"layer_range: expected the names of the first and the last layer, got {layer_range!r}")
    found = []
    for pattern in layer_range:
        fits = [i for i, layer in enumerate(layers) if layer.name == pattern or re.match(pattern, layer.name)]
        if not fits:
            names = [layer.name for layer in layers]
            hint = f"{suggest(pattern, names)} Available: {', '.join(names)}"
            raise ValueError(f"layer_range: expected names of layers, got {pattern!r}.{hint}")
        found.append(fits)
    return layers[min(found[0]) : max(found[1]) + 1]


def _cells_of(layer, nested, depth=0):
    name, *others = cells(layer)
    yield ("  " * depth + name, *others)
    inside = layer.parts if isinstance(layer, Block) else getattr(layer, "layers", ())
    for part in inside if nested else ():
        yield from _cells_of(part, nested, depth + 1)


def cells(layer):
    """The cells of the row of a layer."""
    shape, count = "?", "?"
    if layer.built:
        shape, count = str(layer.output_shape), str(layer.count_params())
    return f"{layer.name} ({type(layer).__name__})", shape, count, "Y" if layer.trainable else "N"


def totals(model):
    """The parameter counts of the whole model."""
    if not model.built:
        return ["Not built yet: give an input shape, or call build or fit"]
    total, trained = model.count_params(), sum(v.size for v in model.trainable_weights)
    return [
        f"Total params: {total:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {total - trained:,}",
    ]
