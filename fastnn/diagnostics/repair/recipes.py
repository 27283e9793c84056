"""Changes that no finding asks for: what is usual for small networks as a whole, and neighbours for a search."""

from __future__ import annotations

from . import edits
from .task import VALUES, logits, regression

FITTING = ("relu", "elu", "selu", "gelu", "leaky_relu", "tanh", "silu", "swish", "mish")


def usual(b, task, data):
    """The blueprint with the usual settings where it has others; and what was changed."""
    if not b.dense():
        return b, []
    chosen = [edits.right_shape(data.x.shape[1:])]
    if not _fits(b, task):
        chosen.append(edits.right_end(task))
    chosen += [edits.thaw(), edits.mean_loss()]
    if _badly_scaled(b, data):
        chosen.append(edits.scale_data(data.x))
    if task.kind == VALUES and (max(task.std) > 10 or min(task.std) < 0.05 or max(abs(task.mean)) > 10 * max(task.std)):
        chosen.append(edits.scale_target(task))
    hidden = b.hidden()
    if len(hidden) > 4:
        chosen.append(edits.shallower(3))
    if hidden and min(b.parts[at].config["units"] for at in hidden) < 16:
        chosen.append(edits.wider(32))
    if any(b.activation_after(at)[1] not in FITTING for at in hidden):
        chosen.append(edits.activate("relu"))
    if any(_initializer(b.parts[at]) in ("RandomNormal", "RandomUniform", "Constant", "Zeros", "Ones")
           for at in b.dense()):  # fmt: skip
        chosen.append(edits.right_init())
    chosen.append(edits.milder())
    if not 8 <= b.batch_size <= max(64, data.n // 10):
        chosen.append(edits.batches(32))
    name, rate = b.optimizer.name, b.rate
    typical = edits.usual(name)
    if name not in ("Adam", "RMSprop", "Nadam", "AdamW", "SGD") or not rate or not 0.3 <= rate / typical <= 4:
        chosen.append(edits.adam())
    if b.epochs * data.steps_per_epoch(b) < 300:
        chosen.append(edits.longer(4, data.steps_per_epoch))
    what = []
    for edit in chosen:
        made = edit.applied(b)
        if made is not None:
            b = made
            what.append(edit.what)
    return b, what


def _initializer(part):
    found = part.config.get("kernel_initializer")
    return found.get("class_name") if isinstance(found, dict) else found


def _fits(b, task):
    """Whether last activation and loss go together and with the targets."""
    end, loss = b.parts[-1], b.loss
    if task.kind == VALUES:
        return regression(loss) and end.activation in (None, "linear")
    if isinstance(loss, str) and "crossentropy" not in loss:
        return False
    model = type("Model", (), {"loss": loss})
    if not isinstance(loss, str) and logits(model):
        return b.parts[b.last].activation == "linear" and b.last == len(b.parts) - 1
    return end.activation == edits.ENDS[task.kind] and edits._same_loss(loss, edits.LOSSES[task.kind])


def _badly_scaled(b, data):
    if b.parts[0].name in ("Normalization", "BatchNormalization", "Rescaling"):
        return False
    x = data.x.reshape(data.n, -1)
    std, mean = x.std(axis=0), abs(x.mean(axis=0))
    varies = std > 0
    if not varies.any():
        return False
    return bool(std.max() > 5 or std[varies].max() < 0.1 or (mean[varies] > 5 * std[varies]).any() and mean.max() > 3)


def neighbours(b):
    """Variants in rate, width, initial weights and optimizer for a search."""
    trials = [[edits.adam(r)] for r in (1e-2, 1e-3)]
    trials += [[edits.adam(3e-3), edits.right_init(), edits.wider(64)]]
    trials += [[edits.adam(3e-3), edits.activate("relu"), edits.right_init()], [edits.adam(3e-3), edits.normalise()]]
    trials += [[edits.scaled_rate(5.0)], [edits.scaled_rate(0.2)]]
    seen = set()
    for chosen in trials:
        made, what = b, []
        for edit in chosen:
            changed = edit.applied(made)
            if changed is not None:
                made = changed
                what.append(edit.what)
        if what and tuple(what) not in seen:
            seen.add(tuple(what))
            yield made, what
