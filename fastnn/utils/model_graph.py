"""A picture of the layers of a model and of what they read, by Graphviz."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._base.checks import flag, number, one_of, refuse_keywords

if TYPE_CHECKING:
    from typing import Any, Literal, Never

    from .._base.types import Path

TEXT = (".dot", ".gv")  # files that are written without Graphviz


def plot_model(
    model: Any,
    to_file: Path = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: Literal["TB", "LR", "BT", "RL"] = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: Literal["ortho", "spline", "polyline", "line", "curved"] = "ortho",
    **kwargs: Never,
) -> str:
    """Draw the layers of a model, and which of them reads which, into a file.

    Parameters
    ----------
    model : Sequential or Functional
        A built model.
    to_file : str or path-like
        Its suffix is the format: ".svg", ".png", ".pdf" or another one that Graphviz knows; or ".dot", the description
        that Graphviz reads, for which nothing has to be installed.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool
        What is written in the box of a layer besides its class.
    rankdir : {"TB", "LR", "BT", "RL"}
        Direction of the picture: from top to bottom, from left to right, and so on.
    expand_nested : bool
        Also draw the layers of models that are layers.
    dpi : float
        Resolution of bitmaps.
    splines : {"ortho", "spline", "polyline", "line", "curved"}
        How arrows are drawn.

    Returns
    -------
    str
        The path of the file.

    Raises
    ------
    ImportError
        If pydot, or the program ``dot`` of Graphviz, is missing.
    ValueError
        For a model that is not built, and for an unknown direction.

    Examples
    --------
    >>> import tempfile
    >>> from fastnn.layers import Dense
    >>> model = fastnn.Sequential([Dense(4, "relu", input_shape=(3,), name="hidden"), Dense(1, name="out")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = fastnn.utils.plot_model(model, folder + "/model.dot", show_layer_names=True)
    ...     text = open(path).read()
    >>> "hidden (Dense)" in text
    True
    """
    refuse_keywords(plot_model, kwargs)
    shown = {
        "shapes": flag("show_shapes", show_shapes), "dtype": flag("show_dtype", show_dtype),
        "names": flag("show_layer_names", show_layer_names), "trainable": flag("show_trainable", show_trainable),
        "activations": flag("show_layer_activations", show_layer_activations),
        "nested": flag("expand_nested", expand_nested),
    }  # fmt: skip
    rankdir = one_of("rankdir", rankdir, ("TB", "LR", "BT", "RL"))
    splines = one_of("splines", splines, ("ortho", "spline", "polyline", "line", "curved"))
    if not hasattr(model, "_calls_of_layers"):
        raise TypeError(f"model: expected a Sequential or functional model, got {model!r}")
    if not model.built:
        raise ValueError(f"model: expected a built model, got {model.name}; give an input shape, or call build")
    path = os.fspath(to_file)
    dpi = number("dpi", dpi, 0, open_low=True)
    lines = [f'rankdir="{rankdir}";', f"splines={splines};", f"dpi={dpi:g};", "node [shape=box];"]
    picture = _Picture(shown)
    picture.draw(model)
    text = "\n".join(["digraph model {", *lines, *picture.lines, "}", ""])
    if path.endswith(TEXT):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        _render(text, path)
    return path


def _render(text, path):
    """Write a file of the format of its suffix."""
    need = "plot_model: expected pydot and Graphviz for {}, {}; pip install fastnn-cpu[graph], and install Graphviz"
    suffix = os.path.splitext(path)[1][1:] or "png"
    try:
        import pydot
    except ImportError as error:
        raise ImportError(need.format(f"a .{suffix} file", "got no module pydot")) from error
    (graph,) = pydot.graph_from_dot_data(text)
    try:
        graph.write(path, format=suffix)
    except FileNotFoundError as error:
        raise ImportError(need.format(f"a .{suffix} file", "got no program dot")) from error


class _Picture:
    """The lines that describe the boxes and arrows."""

    def __init__(self, shown):
        self.shown, self.lines, self.count = shown, [], 0

    def draw(self, model):
        """The boxes of a model and the arrows between them: the boxes of its inputs and outputs."""
        inputs, steps, outputs = model._calls_of_layers()
        first = [self.box(layer) for layer in inputs]
        makers, boxes = list(first), {}  # box of each value; what reads and what makes, of each layer
        for layer, given, made in steps:
            if layer not in boxes:
                boxes[layer] = self.inside(layer)
            into, outof = boxes[layer]
            for place, value in enumerate(given):
                self.arrow(makers[value], into[min(place, len(into) - 1)])
            makers += [outof[min(i, len(outof) - 1)] for i in range(len(made))]
        return first, [makers[i] for i in outputs]

    def inside(self, layer):
        """Boxes that read what a layer reads, and that make what it makes."""
        if not (self.shown["nested"] and hasattr(layer, "_calls_of_layers")):
            box = self.box(layer)
            return [box], [box]
        self.lines += [f"subgraph cluster_{self.count} {{", f"label={_quoted(layer.name)};"]
        found = self.draw(layer)
        self.lines.append("}")
        return found

    def box(self, layer):
        """A new box with what is shown of a layer."""
        shown, kind = self.shown, type(layer).__name__
        rows = [f"{layer.name} ({kind})" if shown["names"] else kind]
        activation = layer.__dict__.get("activation")
        if shown["activations"] and activation is not None:
            rows.append(f"activation: {getattr(activation, '__name__', type(activation).__name__)}")
        if shown["shapes"]:
            rows += [f"input: {layer.input_shape}", f"output: {layer.output_shape}"]
        if shown["dtype"]:
            rows.append(f"dtype: {layer.dtype}")
        if shown["trainable"]:
            rows.append("trainable" if layer.trainable else "not trainable")
        self.count += 1
        self.lines.append(f"n{self.count} [label={_quoted(chr(10).join(rows))}];")
        return f"n{self.count}"

    def arrow(self, a, b):
        line = f"{a} -> {b};"
        if line not in self.lines:
            self.lines.append(line)


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
