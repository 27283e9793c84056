"""The tables of kernel rows and their parameters for users of the C-level functions: docs/capi.md, fastnn/capi.pxd.

`stubs` writes them with all other text that comes from registries.
"""

from textwrap import fill

from fastnn._core import kernels

KINDS = (
    ("Activations", "`activation_row`", None),
    ("Optimizers", "`optimizer_row`", "state vectors"),
    ("Losses", "`loss_row(name, 0)`", "target"),
    ("Further metrics", "`loss_row(name, 1)`", "target"),
)
TITLES = {"Losses": "Losses (`loss_row(name, 0)`), also as metrics (`loss_row(name, 1)`)"}
OF_PXD = {
    "Activations": "Activations that have parameters, in their order, and the defaults",
    "Losses": "Losses, which are metrics too",
}


def rows():
    """{kind: [(name, {parameter: default}, what the kind's last column says)]} of all rows that users can call."""
    losses = kernels.loss_rows()
    metrics = [row for row in kernels.metric_rows() if row not in losses]
    single = [row for row in metrics if kernels.metric_pairs(row[0], row[1].values(), 1) == 1]
    found = (
        [(name, defaults, None) for name, defaults, _ in kernels.activation_rows()],
        [(name, defaults, ", ".join(states)) for name, defaults, states in kernels.optimizer_rows()],
        losses,
        single,
    )
    return dict(zip((kind for kind, _, _ in KINDS), found, strict=True))


def parameters(defaults):
    return ", ".join(f"{name}={value:g}" for name, value in defaults.items())


def of_page():
    """Lines of docs/capi.md."""
    lines, found = [], rows()
    for kind, function, column in KINDS:
        extra = "" if column is None else f" {column} |"
        lines += ["", f"### {TITLES.get(kind, f'{kind} ({function})')}", ""]
        lines += [f"| name | parameters and their defaults |{extra}", "|---|---|" + "---|" * bool(extra)]
        for name, defaults, last in found[kind]:
            shown = f"`{parameters(defaults)}`" if defaults else ""
            lines.append(f"| `{name}` | {shown} |" + ("" if column is None else f" {last} |"))
    return [*lines, ""]


def of_declarations():
    """Lines of comments in fastnn/capi.pxd: only rows that have parameters."""
    lines = []
    for kind, found in rows().items():
        lines.append(f"# {OF_PXD.get(kind, kind)}:")
        lines += [
            fill(f"{name}: {parameters(defaults)}", 120, initial_indent="#     ", subsequent_indent="#         ")
            for name, defaults, _ in found
            if defaults
        ]
    return lines
