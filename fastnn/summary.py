"""``model.summary()``: the table Keras users know."""

LINE = 80


def table(model, line_length=None, show_trainable=False):
    """The lines of the summary.

    Parameters
    ----------
    model : Sequential
    line_length : int, optional
    show_trainable : bool
        A column that says which layers are frozen.

    Returns
    -------
    list of str
    """
    width = line_length or LINE
    starts = [0, int(0.56 * width), int(0.80 * width)] + (
        [int(0.92 * width)] if show_trainable else []
    )

    def row(*cells):
        line = ""
        for start, cell in zip(starts, cells, strict=False):
            line = line[: start - 1].ljust(start) + cell
        return line[:width].rstrip()

    lines = [f'Model: "{model.name}"', "_" * width]
    lines += [row("Layer (type)", "Output Shape", "Param #", "Trainable"), "=" * width]
    for layer in model.layers:
        count = str(layer.count_params()) if layer.built else "?"
        shape = str(layer.output_shape) if layer.built else "?"
        frozen = "Y" if layer.trainable else "N"
        lines.append(row(f"{layer.name} ({type(layer).__name__})", shape, count, frozen))
    lines.append("=" * width)
    if model.built:
        trained = sum(v.size for v in model.trainable_weights)
        total = model.count_params()
        lines += [
            f"Total params: {total:,}",
            f"Trainable params: {trained:,}",
            f"Non-trainable params: {total - trained:,}",
        ]
    else:
        lines.append("Not built yet: give an input shape, or call build or fit")
    return [*lines, "_" * width]
