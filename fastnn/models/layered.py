"""What models that are put together from layers show of them: a layer by name, and the summary."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from .. import layers as layer_classes
from .._base import html
from .._base.checks import refuse_keywords, suggest
from .._base.config import is_description
from .._base.signatures import with_custom
from ..layers import symbolic
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for layer in self.layers:
            symbolic.belongs(layer, self)

    def _calls_of_layers(self) -> tuple[list[Any], list[tuple[Layer, tuple[int, ...], tuple[int, ...]]], list[int]]:
        """Inputs (`InputLayer`); of each call the layer and the numbers of the values that it reads and makes, those of
        the inputs being the first; and the numbers of the outputs."""
        raise NotImplementedError

    def symbolic_calls(self) -> list[symbolic.Call]:
        """The calls of the layers, those of the inputs first.

        They are made when they are asked for, and live as long as somebody holds a result of theirs."""
        inputs, steps, _ = self._calls_of_layers()
        kept: list[Any] = [ref() for ref in self.__dict__.get("_symbols", ())]
        kept = (kept + [None] * len(steps))[: len(steps)]
        kept = [c if c is not None and c.layer is s[0] else None for c, s in zip(kept, steps, strict=True)]
        calls, values = [layer.tensor_of().call for layer in inputs], [layer.tensor_of() for layer in inputs]
        for at, (layer, given, _) in enumerate(steps):
            if kept[at] is None:
                read = [values[i] for i in given]
                kept[at] = symbolic.Call(layer, read, layer.result_shapes([t.sample_shape for t in read]))
            values += kept[at].outputs
        self._symbols = [weakref.ref(call) for call in kept]
        return calls + kept

    @property
    def inputs(self) -> list[symbolic.SymbolicTensor]:
        """The symbolic tensors of the inputs."""
        return self._symbolic()[0]

    @property
    def outputs(self) -> list[symbolic.SymbolicTensor]:
        """The symbolic tensors of the outputs."""
        return self._symbolic()[1]

    @property
    def input(self) -> Any:
        """The symbolic tensor of the input, or a list of several."""
        found = self.inputs
        return found[0] if len(found) == 1 else found

    @property
    def output(self) -> Any:
        """The symbolic tensor of the output, or a list of several."""
        found = self.outputs
        return found[0] if len(found) == 1 else found

    def _symbolic(self):
        if not self.built:
            raise ValueError(f"{self.name}: expected a built model, got one without an input shape; call build first")
        inputs, _, outputs = self._calls_of_layers()
        values = [tensor for call in self.symbolic_calls() for tensor in call.outputs]
        return values[: len(inputs)], [values[i] for i in outputs]

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
