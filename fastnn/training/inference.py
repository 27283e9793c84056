"""What evaluate, predict and validation share: the size of batches, and how much one call of the core may do."""

from .._base.checks import integer

INFERENCE_BATCH = 1024  # default of validation, evaluate and predict; results do not depend on it
FLOPS_PER_CALL = 4e9  # well under the 0.2 s within which Ctrl-C is handled


def inference_batch(size, name="batch_size"):
    """The checked size of batches in inference mode."""
    return INFERENCE_BATCH if size is None else integer(name, size, 1)


def no_more(batch_size, n):
    """Limit the batch size for n samples: memory is planned for it, so it should not be much larger than n."""
    return min(batch_size, max(n, 1 << 16))


def first_batches(data, steps, batch_size):
    """The first `steps` batches of data, as views."""
    return data if steps is None else data.part(0, min(data.n, integer("steps", steps, 1) * batch_size))


def parts(model, data, batch_size, single):
    """Slices for one call of the core each: short enough for Ctrl-C, or single batches."""
    work = 2 * max(1, sum(v.size for v in model.weights))
    batches = 1 if single else max(1, int(FLOPS_PER_CALL / work / batch_size))
    for start in range(0, data.n, batches * batch_size):
        part = data.part(start, min(data.n, start + batches * batch_size))
        part.start, part.stop = start, start + part.n
        yield part
