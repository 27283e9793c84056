"""Attributes of layers that are checked whenever they are set, by the constructor or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, overload

from .._core.clocks import LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

T = TypeVar("T")


class Checked(Generic[T]):
    """An attribute that is checked on every assignment; the return value of the check is stored.

    A change on a built layer takes effect at the next step, as freezing does: models plan again.

    Parameters
    ----------
    check : callable
        ``check(name, value, *args, **kwargs)``, of `fastnn._base.checks`.
    for_good : bool
        Shapes of weights or results depend on it, so that it cannot be changed after the layer is built.
    """

    def __init__(self, check: Callable[..., T], *args: Any, for_good: bool = False, **kwargs: Any) -> None:
        self.check, self.args, self.kwargs, self.for_good = check, args, kwargs, for_good

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # no __get__: reading finds the layer's own dict, at the speed of any attribute

        @overload
        def __get__(self, layer: None, owner: type) -> Self: ...
        @overload
        def __get__(self, layer: object, owner: type) -> T: ...
        def __get__(self, layer: object, owner: type) -> Any: ...

    def __set__(self, layer: Any, value: Any) -> None:
        value = self.check(self.name, value, *self.args, **self.kwargs)
        own = layer.__dict__
        if own.get("built") and self.name in own:
            if self.for_good and value != own[self.name]:
                raise ValueError(
                    f"{self.name} of {layer.name}: expected {own[self.name]!r}, for which the layer was built, got"
                    f" {value!r}; create a new layer"
                )
            own[self.name] = value
            layer._attribute_clock.tick()
            LAYERS.tick()
        else:
            own[self.name] = value

    def __delete__(self, layer: Any) -> None:
        del layer.__dict__[self.name]


def found_by(get: Callable[[Any], T]) -> Callable[..., T]:
    """The check of names, descriptions and objects by the ``get`` of a catalogue."""
    return lambda name, value: get(value)


class Rule(Checked["Any"]):
    """A regularizer or constraint of a weight, such as ``kernel_regularizer``; assignment updates the weight too.

    Parameters
    ----------
    get : callable
        Of a catalogue.
    weight : str, optional
        The attribute that is the weight; default: as the name of this one says.
    """

    def __init__(self, get: Callable[[Any], T], weight: str | None = None) -> None:
        super().__init__(found_by(get))
        self.weight = weight

    def __set__(self, layer: Any, value: Any) -> None:
        weight, _, kind = self.name.rpartition("_")
        weight = self.weight or weight
        variable, rule = layer.__dict__.get(weight), self.check(self.name, value)
        if variable is not None and rule is not None:
            rule.check(f"{kind} of {variable.name}", variable.shape)
        super().__set__(layer, rule)
        if variable is not None:
            setattr(variable, kind, rule)


class Chosen(Checked[T]):
    """An activation, initializer, …: anything that the ``get`` of its catalogue accepts."""

    def __init__(self, get: Callable[[Any], T]) -> None:
        super().__init__(found_by(get))
