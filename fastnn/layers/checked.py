"""Attributes of layers that are checked whenever they are set, by the constructor or later."""

from .._core.clocks import LAYERS


class Checked:
    """An attribute that is checked on every assignment; the return value of the check is stored.

    A change on a built layer takes effect at the next step, as freezing does: models plan again.

    Parameters
    ----------
    check : callable
        ``check(name, value, *args, **kwargs)``, of `fastnn._base.checks`.
    for_good : bool
        Shapes of weights or results depend on it, so that it cannot be changed after the layer is built.
    """

    def __init__(self, check, *args, for_good=False, **kwargs):
        self.check, self.args, self.kwargs, self.for_good = check, args, kwargs, for_good

    def __set_name__(self, owner, name):
        self.name = name

    # No __get__: reading finds the layer's own dict, at the speed of any attribute.
    def __set__(self, layer, value):
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

    def __delete__(self, layer):
        del layer.__dict__[self.name]


def found_by(get):
    """The check of names, descriptions and objects by the ``get`` of a catalogue."""
    return lambda name, value: get(value)


class Rule(Checked):
    """A regularizer or constraint of a weight, such as ``kernel_regularizer``; assignment updates the weight too."""

    def __init__(self, get):
        super().__init__(found_by(get))

    def __set__(self, layer, value):
        weight, _, kind = self.name.rpartition("_")
        variable, rule = layer.__dict__.get(weight), self.check(self.name, value)
        if variable is not None and rule is not None:
            rule.check(f"{kind} of {variable.name}", variable.shape)
        super().__set__(layer, rule)
        if variable is not None:
            setattr(variable, kind, rule)


class Chosen(Checked):
    """An activation, initializer, …: anything that the ``get`` of its catalogue accepts."""

    def __init__(self, get):
        super().__init__(found_by(get))
