"""Tables for notebooks, returned by `_repr_html_` of models, histories and sweeps."""


def table(caption, head, rows, *, foot=(), text=(0,)):
    """A table that screen readers can navigate, with the colours of the page, light or dark.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : iterable of sequences of str
        Their first cell is the head of the row. A row of one cell spans all columns.
    foot : iterable of str
        Lines below.
    text : collection of int
        Columns of text; the others are of numbers, aligned at the right.

    Returns
    -------
    str
        All cells are escaped.
    """

    from html import escape  # its table of entities takes a millisecond to import

    def cell(kind, column, value, scope=None, span=1):
        side = "left" if column in text or span > 1 else "right"
        scope = f' scope="{scope}"' if scope else ""
        span = f' colspan="{span}"' if span > 1 else ""
        return f'<{kind}{scope}{span} style="text-align: {side}">{escape(str(value))}</{kind}>'

    def line(row):
        if len(row) < len(head):
            return cell("td", 0, row[0], span=len(head))
        first, *others = row
        return cell("th", 0, first, "row") + "".join(cell("td", i, v) for i, v in enumerate(others, 1))

    names = "".join(cell("th", i, name, "col") for i, name in enumerate(head))
    parts = [
        '<table style="border-collapse: collapse; color: inherit; background: transparent">',
        f'<caption style="caption-side: top; text-align: left; color: inherit">{escape(caption)}</caption>',
        f'<thead style="border-bottom: 1px solid currentColor"><tr>{names}</tr></thead>',
        "<tbody>",
        *(f"<tr>{line(row)}</tr>" for row in rows),
        "</tbody>",
    ]
    foot = [f"<tr>{cell('td', 0, each, span=len(head))}</tr>" for each in foot]
    if foot:
        parts += ['<tfoot style="border-top: 1px solid currentColor">', *foot, "</tfoot>"]
    return "\n".join([*parts, "</table>"])


def number(value):
    """A number as in the tables; everything else as by `str`."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


SHOWN = 20  # maximum number of epochs in the table of a history


def history(history):
    """The table of a `History`: every epoch, of many the first and the last ones."""
    names = list(history.history)
    columns = [dict(zip(history.epochs_of(n), history.history[n], strict=True)) for n in names]
    rows = [[e + 1, *(number(column.get(e, "")) for column in columns)] for e in history.epoch]
    more = len(rows) - SHOWN
    if more > 0:
        rows = [*rows[:5], [f"… {more} more"], *rows[5 + more :]]
    epochs = len(history.epoch)
    return table(f"History of {epochs} epoch{'s' * (epochs != 1)}", ["epoch", *names], rows, text=())
