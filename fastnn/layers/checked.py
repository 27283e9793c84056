"""Attributes of layers that are checked wherever they are set: by the constructor, or later on a layer in use."""

from ..variables import note_change


class Checked:
    """An attribute that goes through a check each time; what the check returns is kept.

    Set on a built layer, it counts from the next step on, as freezing does: models plan again.

    Parameters
    ----------
    check : callable
        ``check(name, value, *args, **kwargs)``, of `fastnn._base.checks`.
    for_good : bool
        The shapes of weights or results depend on it: it is an error to change it once the layer is built.
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
                    f" {value!r}; make another layer"
                )
            own[self.name] = value
            layer.revision += 1
            note_change()
        else:
            own[self.name] = value

    def __delete__(self, layer):
        del layer.__dict__[self.name]


def found_by(get):
    """The check of names, descriptions and objects, from a ``get`` of the catalogues."""
    return lambda name, value: get(value)


class Rule(Checked):
    """A regularizer or constraint of a weight, ``kernel_regularizer``: set later, the weight gets it."""

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
    """An activation, initializer, …: whatever the ``get`` of its catalogue takes."""

    def __init__(self, get):
        super().__init__(found_by(get))
