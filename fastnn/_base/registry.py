"""Names of losses, optimizers, layers, …: one registry for each kind, and objects for names and descriptions."""

from .checks import plain_name, suggest
from .config import is_description
from .signatures import with_custom

CAN_PASS_OBJECT = "For a custom object, pass the object itself, not its name."


class Registry:
    """Registry of names of one kind; lookups ignore case and underscores.

    Parameters
    ----------
    kind : str
        Its name in errors: "initializer", "loss".
    hint : str
        End of the error for an unknown name.

    Notes
    -----
    A class may have `aliases`, further names, and `by_name`, the arguments of an object that is given by its name.
    """

    def __init__(self, kind, hint=CAN_PASS_OBJECT):
        self.kind, self.hint = kind, hint
        self._found, self._names = {}, []

    def add(self, thing, name, *aliases, listed=True):
        """Register a thing under its names; listed=False: `names` does not have it."""
        if listed:
            self._names.append(name)
        for each in (name, *aliases):
            self._found[plain_name(each)] = thing

    def add_classes(self, namespace, base):
        """Register the public subclasses of `base` in a module, under their names and `aliases`."""
        for name, thing in list(namespace.items()):
            if not isinstance(thing, type) or not issubclass(thing, base) or thing is base:
                continue
            if name[0] != "_" and getattr(thing, "row", True):
                self.add(thing, name, *thing.__dict__.get("aliases", ()))

    def names(self):
        return sorted(self._names)

    def __contains__(self, name):
        return plain_name(name) in self._found

    def find(self, name):
        """The object called `name`; ValueError with the list of names if there is none."""
        try:
            return self._found[plain_name(name)]
        except KeyError:
            raise ValueError(
                f"unknown {self.kind} {name!r}.{suggest(name, self._names)}"
                f" Known: {', '.join(self.names())}. {self.hint}".rstrip()
            ) from None

    def made(self, identifier):
        """The object for a name or for the description of an object; anything else unchanged."""
        if isinstance(identifier, str):
            cls = self.find(identifier)
            return cls(**getattr(cls, "by_name", {}))
        if is_description(identifier):
            return self.find(identifier["class_name"]).from_config(identifier["config"])
        return identifier


def deserialized(get, config, custom_objects):
    """The object for a description or a name; `custom_objects` maps names to custom classes and functions."""
    if custom_objects:
        config = with_custom(config, custom_objects)
        if isinstance(config, str) and config in custom_objects:
            config = custom_objects[config]
    return get(config)
