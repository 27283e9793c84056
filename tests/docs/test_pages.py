"""The pages for readers: links lead somewhere, the changelog keeps its format, and the glossary's words are used."""

import re

import pytest
from places import ROOT

NAMES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
NAMES += [str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md"))]
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]  # of Keep a Changelog
INSTEAD = {  # what no page says: what it says instead (the table in CONTRIBUTING.md)
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(short|long) ways?\b": "fast path, slow path",
    r"\bsteps? by hand\b": "manual step",
    r"\bclass numbers?\b": "class label",
    r"\b(layer|loss|metric|loop|step)(s|es)? of (your|one's) own\b": "custom",
    r"\banew\b": "again",
    r"\bnumber of threads\b": "thread count",
    r"\b(an?|layer|dense|normali[sz]ation) behind\b": "after",
    r"\bbeside (an?|the|it|them|one|those|busy)\b": "next to, compared with",
    r"\bleast of\b": "minimum of",
}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def without_code(page):
    return re.sub(r"^(```.*?^```|    .*?)$", "", page, flags=re.M | re.S)


def anchors(page):
    """Those that a page's headings get: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", page, re.M)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\((?!https?://)([^)\s#]*)(?:#([^)\s]+))?\)", without_code(text(name)))
    lost = []
    for path, anchor in links:
        target = (ROOT / name).parent / path if path else ROOT / name
        if path.startswith("reference/"):  # written by docs/conf.py
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            lost.append(f"{path}#{anchor}")
    assert not lost
    assert links or name != "README.md"


def test_documents_named_in_text_exist():
    path = r"`((?:docs|tests|benchmarks|examples|fastnn|src_c)/[\w./-]+\.\w+)`"
    named = {(name, found) for name in NAMES for found in re.findall(path, text(name))}
    assert len(named) > 20
    assert not [each for each in sorted(named) if not (ROOT / each[1]).exists()]


def test_changelog_keeps_its_format():
    """Each version has the sections of Keep a Changelog, each once and in order, and all items are in one of them."""
    versions = re.split(r"^## ", text("CHANGELOG.md"), flags=re.M)[1:]
    assert versions
    for version in versions:
        title, *sections = re.split(r"^### ", version, flags=re.M)
        found = [section.split("\n")[0] for section in sections]
        assert found == [s for s in SECTIONS if s in found], title
        assert "\n- " not in title, "an item before the first section"
        for section in sections:
            items = re.findall(r"^- (.*)$", section, re.M)
            assert items and not [i for i in items if re.match(r"(Added|Changed|Fixed|Mended)\b", i)]


@pytest.mark.parametrize("name", NAMES)
def test_words_of_the_glossary(name):
    """Of all pages but the glossary itself, what stands in its column "not"."""
    page = text(name)
    if name == "CONTRIBUTING.md":
        page = page[: page.index("| write | not |")]
    wrong = [(line, INSTEAD[word]) for line in page.split("\n") for word in INSTEAD if re.search(word, line, re.I)]
    assert not wrong
