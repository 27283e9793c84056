"""The pages of the API reference: what is public is asked from the package, so no list has to be kept.

(a) Public is what ``dir()`` shows: the names of ``fastnn``, and of every module that is among them.
(b) An object with several names (``fastnn.Adam`` is ``fastnn.optimizers.Adam``) is described under one of them, the one
    nearest to where it is defined; the others are entries that lead there.
(c) No Sphinx here: `conf.py` writes the pages, and a test reads them without it.
"""

import importlib
import inspect
import sys
import types
import zlib
from pathlib import Path

# Without an underscore, because other modules of the package call them; not for users.
PLUMBING = {
    "as_read", "at_batch", "builds_itself", "data", "decay_of", "declare", "describe", "emit", "engine",
    "ensure_built", "for_core", "forget_targets", "keep_feature_names", "kernel_row", "leaves", "logits_row",
    "means", "measure", "need_compile", "need_loss", "over_a_row", "params", "resolve_targets", "revision", "row",
    "rows", "sample_shape", "shares", "target", "through", "use_row", "variants", "weighted", "without_effect",
}  # fmt: skip


def public_modules(name="fastnn", module=None):
    """``{full name: module}`` of the public modules, ``fastnn`` first, each before those inside it."""
    module = module or importlib.import_module(name)
    found = {name: module}
    for key in public_names(module):
        value = getattr(module, key)
        if isinstance(value, types.ModuleType):
            found |= public_modules(f"{name}.{key}", value)
    return found


def public_names(module):
    return sorted(key for key in dir(module) if not key.startswith("_"))


def entries():
    """``{full name: object}`` of everything public but modules."""
    found = {}
    for name, module in public_modules().items():
        for key in public_names(module):
            value = getattr(module, key)
            if not isinstance(value, types.ModuleType):
                found[f"{name}.{key}"] = value
    return found


def public_classes():
    return {value for value in entries().values() if inspect.isclass(value)}


def canonical_names(found):
    """``{full name: the name it is described under}``."""
    names_of = {}
    for name, value in found.items():
        names_of.setdefault(id(value), []).append(name)
    return {name: min(names_of[id(value)], key=lambda n: _distance(n, value)) for name, value in found.items()}


def _distance(name, value):
    module, _, key = name.rpartition(".")
    home = (getattr(value, "__module__", None) or "").split(".")
    common = 0
    for ours, theirs in zip(module.split("."), home, strict=False):
        if ours != theirs:
            break
        common += 1
    return -common, key != getattr(value, "__name__", key), -module.count("."), name


def kind(value):
    return "class" if inspect.isclass(value) else "function" if callable(value) else "data"


def members(cls, public_classes):
    """Names of the documented methods and properties of a class, but for those on the page of a public base class.

    A model's page is complete.
    """
    bases = [b for b in cls.__mro__[1:] if b in public_classes]
    chosen = []
    complete = hasattr(cls, "fit")
    for key in dir(cls):
        owner = next((b for b in cls.__mro__ if key in vars(b)), None)
        if key.startswith("_") or key in PLUMBING or owner is None or owner.__module__.partition(".")[0] != "fastnn":
            continue
        value = vars(owner)[key]
        plain = getattr(value, "__func__", value)
        documented = inspect.getdoc(getattr(cls, key)) if complete else plain.__doc__
        if not isinstance(plain, types.FunctionType | property) or not documented:
            continue
        inherited = owner is not cls and any(hasattr(b, key) and getattr(b, key) is getattr(cls, key) for b in bases)
        if complete or not (owner in bases or inherited):
            chosen.append(key)
    return chosen


def pages():
    """``{file name: reStructuredText}``: an index, a page a module, and a page a name."""
    found = entries()
    canonical = canonical_names(found)
    modules = public_modules()
    classes = public_classes()
    tree = "".join(f"   {name}\n" for name in modules)
    index = f"{_title('API reference')}\nEvery public name, by module.\n\n.. toctree::\n   :maxdepth: 1\n\n{tree}"
    made = {"index.rst": index}
    for module in modules:
        mine = {n: v for n, v in found.items() if n.rpartition(".")[0] == module}
        made[f"{module}.rst"] = _module_page(module, mine, canonical)
    taken = set()
    for name in sorted(n for n in found if canonical[n] == n):
        # Hinge and hinge: there are file systems that take them for one.
        file = f"names/{name}{'-function' if name.lower() in taken else ''}.rst"
        taken.add(name.lower())
        made[file] = _name_page(name, found[name], classes)
    return made


def _module_page(module, mine, canonical):
    parts = [_title(module), f".. automodule:: {module}\n   :no-members:\n"]
    for title, wanted in (("Classes", "class"), ("Functions", "function"), ("Values", "data")):
        names = [n.rpartition(".")[2] for n, v in mine.items() if kind(v) == wanted and canonical[n] == n]
        if names:
            lines = "".join(f"   {n}\n" for n in names)
            parts.append(f".. rubric:: {title}\n\n.. currentmodule:: {module}\n")
            parts.append(f".. autosummary::\n   :nosignatures:\n\n{lines}")
    others = [(n, v) for n, v in mine.items() if canonical[n] != n]
    if others:
        parts.append(".. rubric:: Other names\n\n.. currentmodule:: None\n")  # full names below
    for name, value in others:
        # The signature is on the page it leads to.
        call = "(...)" if kind(value) == "function" else ""
        parts.append(f".. py:{kind(value)}:: {name}{call}\n\n   The same as :py:obj:`{canonical[name]}`.\n")
    return "\n".join(parts)


def _name_page(name, value, classes):
    """Not in any toctree (``:orphan:``): a menu of four hundred names would be on every page."""
    module, _, key = name.rpartition(".")
    lines = [":orphan:", "", _title(key), f":py:mod:`{module}`", "", f".. currentmodule:: {module}", ""]
    # An activation is an object that can be called: its page is that of a function.
    lines += [f".. auto{kind(value)}:: {name}"]
    if inspect.isclass(value):
        if classes.intersection(value.__mro__[1:]):
            lines += ["   :show-inheritance:"]
        chosen = members(value, classes)
        if chosen:
            lines += [f"   :members: {', '.join(chosen)}", "   :inherited-members:"]
    return "\n".join(lines) + "\n"


def _title(text):
    return f"{text}\n{'=' * len(text)}\n"


def short_names():
    """``{what docstrings call it: full name}``: `Dense`, `losses.NLLLoss`, `Model.fit`, `fit`; each has one meaning.

    One lower-case word is mostly an argument, so of these only what models do is here.
    """
    found = entries()
    canonical = canonical_names(found)
    meanings = {}

    def add(short, full):
        meanings.setdefault(short, set()).add(full)

    for name, value in found.items():
        parts = name.split(".")
        for i in range(1, len(parts)):
            if i < len(parts) - 1 or inspect.isclass(value) and parts[-1][0].isupper():
                add(".".join(parts[i:]), canonical[name])
    models = {canonical[n]: v for n, v in found.items() if inspect.isclass(v) and hasattr(v, "fit")}
    for name, model in models.items():
        if any(base in models.values() for base in model.__mro__[1:]):
            continue
        for key in members(model, ()):
            add(f"Model.{key}", f"{name}.{key}")
            if isinstance(inspect.getattr_static(model, key), types.FunctionType):
                add(key, f"{name}.{key}")
    return {short: full for short, [full] in ((s, [*f]) for s, f in meanings.items() if len(f) == 1)}


def write(folder):
    """Write the pages; files that would not change are left alone, so that they are not read again."""
    folder = Path(folder)
    made = pages()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.rglob("*.rst"):
        if path.relative_to(folder).as_posix() not in made:
            path.unlink()


def missing_from(inventory):
    """Public names without an entry in the ``objects.inv`` of a site."""
    compressed = Path(inventory).read_bytes().split(b"\n", 4)[4]
    listed = {line.split(" ")[0] for line in zlib.decompress(compressed).decode().splitlines()}
    return sorted({*entries(), *public_modules()} - listed)


if __name__ == "__main__":
    missing = missing_from(sys.argv[1])
    print(f"{len(entries())} public names, {len(missing)} without an entry", *missing, sep="\n")
    sys.exit(bool(missing))
