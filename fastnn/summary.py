"""``model.summary()``: the table Keras users know."""

HEAD = ("Layer (type)", "Output Shape", "Param #", "Trainable")
GAP = 3
SHARES = (0.0, 0.52, 0.76, 0.88)  # where columns start in a line of a given length


def table(model, line_length=None, show_trainable=False):
    """The lines of the summary.

    Parameters
    ----------
    model : Sequential
    line_length : int, optional
        Default: as long as the cells need.
    show_trainable : bool
        A column that says which layers are frozen.

    Returns
    -------
    list of str
    """
    rows = [HEAD, *(cells(layer) for layer in model.layers)]
    rows = [row if show_trainable else row[:3] for row in rows]
    if line_length is None:
        widths = [max(map(len, column)) + GAP for column in zip(*rows, strict=True)]
        starts = [sum(widths[:i]) for i in range(len(widths))]
        width = sum(widths) - GAP
    else:
        starts, width = [int(share * line_length) for share in SHARES], line_length

    def line(row):
        text = ""
        for start, cell in zip(starts, row, strict=False):
            text = text[: max(0, start - 1)].ljust(start) + cell
        return text[:width].rstrip()

    body = [line(row) for row in rows]
    lines = [f'Model: "{model.name}"', "_" * width, body[0], "=" * width, *body[1:], "=" * width]
    return [*lines, *totals(model), "_" * width]


def cells(layer):
    """What a row says about a layer."""
    shape, count = "?", "?"
    if layer.built:
        shape, count = str(layer.output_shape), str(layer.count_params())
    return f"{layer.name} ({type(layer).__name__})", shape, count, "Y" if layer.trainable else "N"


def totals(model):
    """The numbers of weights of the whole model."""
    if not model.built:
        return ["Not built yet: give an input shape, or call build or fit"]
    total, trained = model.count_params(), sum(v.size for v in model.trainable_weights)
    return [
        f"Total params: {total:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {total - trained:,}",
    ]
