"""Sphinx: ``pip install '.[docs]'``, then ``sphinx-build -W --keep-going -b html docs docs/_build``."""

import contextlib
import inspect
import os
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import api_pages  # noqa: E402

import fastnn  # noqa: E402

for name, module in api_pages.public_modules().items():
    sys.modules.setdefault(name, module)  # autodoc imports what it describes, under its public name

PUBLIC_CLASSES = api_pages.public_classes()
SHORT_NAMES = api_pages.short_names()

project = "fastnn"
author = "the fastnn developers"
copyright = author
version = release = fastnn.__version__
language = "en"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"fastnn {version}"
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

default_role = "py:obj"
add_module_names = False
toc_object_entries = False
autodoc_typehints = "none"  # numpydoc's Parameters say them
autosummary_generate = False  # api_pages writes the pages, autosummary the tables on them
numpydoc_show_class_members = False
numpydoc_use_plots = False
myst_heading_anchors = 3
html_math_renderer = "mathml"

# The site has these files of the repository as pages, and links to them lead there.
ELSEWHERE = {
    "README.md": "index.md",
    "README.md#keras-code": "keras-code.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.M)
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)(#[^)]*)?\)")


def read_page(app, docname, source):
    """Put in what a page includes, and point links to files of the repository at their pages."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    root = HERE.parent

    def point(match, folder):
        target = (folder / match[1]).resolve()
        name = target.relative_to(root).as_posix() if target.is_relative_to(root) else ""
        anchor = match[2] or ""
        if name + anchor in ELSEWHERE:
            target, anchor = HERE / ELSEWHERE[name + anchor], ""
        elif name in ELSEWHERE:
            target = HERE / ELSEWHERE[name]
        if not target.exists():
            return match[0]
        return f"]({os.path.relpath(target, page.parent)}{anchor})"

    def include(match):
        name, _, anchor = match[1].partition("#")
        path = (page.parent / name).resolve()
        app.env.note_dependency(str(path))
        text = path.read_text(encoding="utf-8")
        if anchor:
            text = section(text, anchor)
        return LINK.sub(lambda m: point(m, path.parent), text)

    text = LINK.sub(lambda m: point(m, page.parent), source[0])
    source[0] = INCLUDE.sub(include, text)


def section(text, anchor):
    """The section of a page that a link with `anchor` leads to, as a page."""
    sections = re.split(r"^## (?=.*$)", text, flags=re.M)[1:]
    found = [s for s in sections if s.split("\n")[0].lower().replace(" ", "-") == anchor]
    return f"# {found[0]}"


def constructor_signature(app, what, name, obj, options, signature, returned):
    """Python's own answer: Sphinx asks a metaclass first, which takes anything."""
    with contextlib.suppress(ValueError):  # exceptions have none
        if what in ("class", "exception"):
            signature = inspect.signature(obj)
            bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
            return str(inspect.Signature(bare)), None
    return None


def public_bases(app, name, obj, options, bases):
    """The nearest bases that have a page."""
    bases[:] = [base for base in obj.__mro__[1:] if base in PUBLIC_CLASSES][:1]


def find_reference(app, env, node, contnode):
    """What a docstring names in short, and Sphinx does not find from where it stands."""
    full = SHORT_NAMES.get(node["reftarget"]) if node.get("refdomain") == "py" else None
    if full is None or full == node["reftarget"]:
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, contnode)


LITERAL = re.compile(r"(``.*?``|`.*?`)")


def plain_stars(app, what, name, obj, options, lines):
    """``array (B, *shape)`` and ``|e|`` in docstrings are meant as they stand, not as markup."""
    # What a constant says of itself is what its type says.
    if what == "data" and lines and lines[0] == inspect.getdoc(type(obj)).split("\n")[0]:
        lines.clear()
    literal_below = None  # the indentation of a line that ends with ::
    doctest = False
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            doctest = False
            continue
        doctest = doctest or line.lstrip().startswith(">>>")
        if literal_below is not None and indent <= literal_below:
            literal_below = None
        if not doctest and literal_below is None:
            lines[i] = "".join(p if p.startswith("`") else escape(p) for p in LITERAL.split(line))
            if line.rstrip().endswith("::"):
                literal_below = indent


def escape(text):
    text = text.replace("|", r"\|")
    emphasis = re.search(r"\*\w[^*]*\w\*(?!\w)", text)
    return text if emphasis else re.sub(r"(?<![\w*\\])(\*+)(?=\w)", lambda m: m[1].replace("*", r"\*"), text)


def visit_math(translator, node):
    """MathML, which browsers show by themselves: no script, nothing to load."""
    block = node.tagname == "math_block"
    if block:
        translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(tex2mathml(node.astext(), as_block=block))
    if block:
        translator.body.append("</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("missing-reference", find_reference)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-process-signature", constructor_signature)
    app.connect("autodoc-process-docstring", plain_stars, priority=400)  # before numpydoc, at 500
    api_pages.write(HERE / "reference")
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
