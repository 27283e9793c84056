"""Text in columns: its width on a terminal, where a Korean letter takes two columns."""

from unicodedata import category, east_asian_width


def width(text):
    """Number of columns of a text."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char):
    if category(char) in ("Mn", "Me", "Cf") or 0x1160 <= ord(char) <= 0x11FF:  # the latter: inner parts of a syllable
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def left(text, columns):
    """`text`, padded with spaces on the right."""
    return text + " " * (columns - width(text))


def right(text, columns):
    """`text`, padded with spaces on the left."""
    return " " * (columns - width(text)) + text


def cut(text, columns):
    """A text truncated to a number of columns."""
    if width(text) <= columns:
        return text
    taken, used = [], 0
    for char in text:
        used += _columns(char)
        if used > columns:
            break
        taken.append(char)
    return "".join(taken)
