"""Packages whose names are listed in their type stub and imported when they are first used.

``__init__.pyi`` next to ``__init__.py`` is the list of the public names of a package, for type checkers and editors as
for Python (as in SPEC 1 of Scientific Python): each line ``from .dense import Dense as Dense`` or
``from . import losses as losses`` is a public name. Other lines of the stub are for type checkers alone.
"""

import os
import sys
from importlib import import_module

from .checks import module_attributes


def public_names(package):
    """The public names of a package by its stub: {name: (module, whether the name is the module itself)}."""
    folder = sys.modules[package].__path__[0]
    path = os.path.join(folder, "__init__.pyi")
    try:
        text = sys.modules[package].__spec__.loader.get_data(path).decode()
    except OSError as error:
        raise ImportError(f"{path}, the list of the names of {package}, is missing: install fastnn again") from error
    return dict(filter(None, (_name_in(line, package) for line in text.splitlines())))


def _name_in(line, package):
    """(name, (module, whether it is a module)) of a line of a stub, or None if it has no public name."""
    words = line.split()
    if len(words) != 6 or words[::2] != ["from", "import", "as"] or words[3] != words[5] or words[1][0] != ".":
        return None
    dots = len(words[1]) - len(words[1].lstrip("."))
    parent = package.rsplit(".", dots - 1)[0] if dots > 1 else package
    inside = words[1][dots:]
    module = f"{parent}.{inside}" if inside else f"{parent}.{words[3]}"
    return words[3], (module, not inside)


def attach(package, also=(), imported=import_module):
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package with the names of its stub.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    also : sequence of str
        Names that ``__init__.py`` defines itself.
    imported : function, optional
        Imports a module by name.
    """
    places = public_names(package)

    def find(name):
        module, whole = places[name]
        found = imported(module)
        return found if whole else getattr(found, name)

    names = [*also, *places]
    getattribute, directory = module_attributes(package, names, find)
    return getattribute, directory, names
