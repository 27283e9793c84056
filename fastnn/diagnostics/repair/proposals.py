"""Which edits each fault proposes, and in which order they are tried."""

from __future__ import annotations

from math import ceil

from . import edits

ORDER = ("shape", "end", "metrics", "frozen", "reduction", "scale of x", "scale of y", "batch size", "epochs", "init",
         "activation", "batch normalisation", "depth", "width", "rate", "optimizer", "clipping", "regularisation",
         "stopping")  # fmt: skip

END = ("end", "shape", "scale of y")
SIGNAL = ("init", "activation", "batch normalisation", "depth", "optimizer")
FAMILIES = {
    **dict.fromkeys(("wrong_loss", "wrong_last_activation", "double_softmax", "label_encoding"), ("end",)),
    "missing_activation": ("end", "activation"),
    "target_out_of_range": END, "shape_mismatch": ("shape", "end"), "wrong_metric": ("metrics",),
    "unscaled_data": ("scale of x",), "double_scaling": ("scale of x",), "constant_feature": ("scale of x",),
    "unscaled_target": ("scale of y", "scale of x"), "no_nonlinearity": ("activation",),
    **dict.fromkeys(("vanishing_gradient", "too_deep", "missing_bn", "activation_mismatch"), SIGNAL),
    "exploding_gradient": ("scale of x", "init", "batch normalisation", "rate", "clipping"),
    "dying_relu": ("scale of x", "init", "rate", "width", "depth", "activation"),
    "saturated": ("scale of x", "init", "activation", "batch normalisation"),
    **dict.fromkeys(("bad_init", "zero_init", "symmetric_units"), ("init",)),
    "nan_source": ("scale of x", "init", "activation", "rate", "clipping"),
    "lr_too_high": ("scale of x", "scale of y", "rate", "clipping", "optimizer"),
    "lr_too_low": ("rate", "optimizer", "epochs"), "lr_invalid": ("rate",), "wrong_optimizer": ("optimizer",),
    "low_adam_epsilon": ("optimizer",), "loss_reduction": ("reduction",),
    "oscillating_loss": ("rate", "batch size", "optimizer"), "batch_size": ("batch size", "epochs"),
    "too_few_epochs": ("batch size", "epochs", "rate"), "too_few_units": ("width",),
    "over_regularised": ("regularisation",), "dropout_too_high": ("regularisation",),
    "overfitting": ("stopping",),
    "no_learning": ("end", "frozen", "scale of x", "init", "rate", "optimizer", "regularisation"),
}  # fmt: skip


def of(task, data, blueprint):
    """{family: edits}, the mildest first."""
    steps = data.steps_per_epoch

    return {
        "shape": [edits.right_shape(data.x.shape[1:])], "end": [edits.right_end(task)],
        "metrics": [edits.right_metrics(task)], "frozen": [edits.thaw()], "reduction": [edits.mean_loss()],
        "scale of x": [edits.scale_data(data.x)], "scale of y": [edits.scale_target(task)],
        "batch size": [edits.batches(32)] if not 8 <= blueprint.batch_size <= max(64, ceil(data.n / 20)) else [],
        "epochs": [edits.longer(4, steps)], "init": [edits.right_init()],
        "activation": [edits.activate("relu", linear_only=_some_linear(blueprint))],
        "batch normalisation": [edits.normalise()], "depth": [edits.shallower(3)], "width": [edits.wider(32)],
        "rate": _rates(blueprint), "optimizer": [edits.adam()], "clipping": [edits.clip()],
        "regularisation": [edits.milder()], "stopping": [edits.early_stop()],
    }  # fmt: skip


def _some_linear(b):
    return any(b.activation_after(at)[1] == "linear" for at in b.hidden())


def _rates(b):
    """The usual rate if it is far, otherwise a step in either direction."""
    rate = b.rate
    if not rate:
        return [edits.usual_rate()]
    usual = edits.usual(b.optimizer.name)
    if rate > 3 * usual:
        return [edits.usual_rate(), edits.scaled_rate(0.1)]
    if rate < usual / 3:
        return [edits.usual_rate(), edits.usual_rate(3.0)]
    return [edits.scaled_rate(0.2), edits.scaled_rate(5.0)]


def proposed(findings, available, tried, kept):
    """[(edit, finding)] in the order to try; not of families of which one was kept, nor what was tried."""
    asked = {}
    for finding in findings:
        if finding.severity == "note" and finding.fault not in ("too_few_epochs", "batch_size", "overfitting"):
            continue
        for rank, family in enumerate(FAMILIES.get(finding.fault, ())):
            asked.setdefault(family, (finding, rank))
    for family in ORDER:
        if family in asked and family not in kept:
            for edit in available[family]:
                if edit.what not in tried:
                    yield edit, asked[family][0]
