"""What models that are put together from layers show of them: a layer by name, and the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import layers as layer_classes
from .._base import html
from .._base.checks import refuse_keywords, suggest
from .._base.config import is_description
from .._base.signatures import with_custom
from .model import Model
from .summary import HEAD, cells, table, totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Never

    from ..layers.base import Layer


def with_layers(config, custom_objects):
    """A configuration whose layers are layers; `custom_objects` maps names to custom classes."""
    config = with_custom(config, custom_objects) if custom_objects else config
    layers = [layer_classes.from_description(d) if is_description(d) else d for d in config["layers"]]
    return {**config, "layers": layers}


class LayeredModel(Model):
    """A model with a list of layers."""

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or index.

        Raises
        ------
        ValueError
            If there is no such layer; the message suggests the nearest name.
        """
        if (name is None) == (index is None):
            got = "neither" if name is None else "both"
            raise ValueError(f"get_layer: expected either a name or an index, got {got}")
        names = [layer.name for layer in self.layers]
        if index is not None and -len(names) <= index < len(names):
            return self.layers[index]
        if index is not None:
            raise ValueError(f"index: expected 0 to {len(names) - 1}, got {index}")
        if name not in names:
            raise ValueError(
                f"name: expected the name of a layer, got {name!r}.{suggest(name, names)} Available: {', '.join(names)}"
            )
        return self.layers[names.index(name)]

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: tuple[str, str] | None = None,
        **kwargs: Never,
    ) -> None:
        """Print a table of the layers, their shapes and numbers of weights.

        Parameters
        ----------
        line_length : int, optional
        positions : list of float, optional
            Ends of the columns, as fractions of the line length (up to 1), or in characters.
        print_fn : callable, optional
            Called with each line instead of `print`.
        expand_nested : bool
            Also show the layers of nested models and blocks.
        show_trainable : bool
        layer_range : (str, str), optional
            Names of the first and the last layer to show, or regular expressions that match them.
        """
        refuse_keywords(self.summary, kwargs)
        for line in table(self, line_length, show_trainable, positions, expand_nested, layer_range):
            (print_fn or print)(line)

    def _repr_html_(self) -> str:
        rows = [cells(layer)[:3] for layer in self.layers]
        return html.table(f'Model: "{self.name}"', HEAD[:3], rows, foot=totals(self), text=(0, 1))
