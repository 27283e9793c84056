"""Layers that consist of other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.config import is_description
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, ClassVar, Self

    from .._base.types import Config
    from ..variables import Variable


class Block(Layer):
    """Base class of such layers: weights and freezing are those of its `parts`.

    Attributes
    ----------
    contents : tuple of str
        Arguments, and attributes, that are a layer, a list of layers, or None. A layer that makes copies of what it is
        given has none, and overrides `parts`.
    """

    contents: ClassVar[tuple[str, ...]] = ()

    def _freeze_parts(self) -> None:
        """For ``trainable=False``, once the parts are there."""
        if not self._trainable:
            self.trainable = False

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create the block that `get_config` described; each of its layers has its own `trainable`."""
        thawed = {**config, **({"trainable": True} if "trainable" in config else {})}
        block = super().from_config(thawed, custom_objects)
        block._trainable = config.get("trainable", block._trainable)
        return block

    @property
    def parts(self) -> list[Layer]:
        """The layers, in the order of their weights."""
        found: list[Layer] = []
        for part in (getattr(self, name) for name in self.contents):
            found += part if isinstance(part, list) else [] if part is None else [part]
        return found

    @property
    def weights(self) -> list[Variable]:
        """All variables, layer by layer, each once."""
        return list(dict.fromkeys(v for layer in self.parts for v in layer.weights))

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables that training updates."""
        return list(dict.fromkeys(v for layer in self.parts for v in layer.trainable_weights))

    @property
    def trainable(self) -> bool:
        """False freezes every layer of the block; True unfreezes them."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]  # a property, for Python
        for layer in self.parts:
            layer.trainable = value

    def leaves(self) -> Iterator[Layer]:
        """Iterate over the layers of the block, recursively."""
        for layer in self.parts:
            yield from layer.leaves()


def layer_of(name: str, value: Any) -> Layer:
    """A layer, from one or its description."""
    from . import from_description  # not at the top: the registry imports this module

    value = from_description(value) if is_description(value) else value
    if not isinstance(value, Layer):
        raise TypeError(f"{name}: expected a layer, got {value!r} of type {type(value).__name__}")
    return value
