"""`Model.blend_weights`: weights moved towards those of another model, where they are, in the stores of the engines.

Both locks are taken in the order of their addresses, so that two models that blend each other do not wait forever.
"""

from .._base.checks import number


def blend_weights(target, source, tau):
    """`Model.blend_weights`."""
    tau = number("tau", tau, 0, 1)
    if not hasattr(source, "trainable_weights") or not hasattr(source, "_lock"):
        raise TypeError(f"model: expected a model, got {source!r}")
    for name, model in (("model", source), ("blend_weights", target)):
        if not model.built:
            raise ValueError(f"{name}: expected a built model, got {model.name} without weights")
    ours, theirs = ([tuple(v.shape) for v in model.weights] for model in (target, source))
    if ours != theirs:
        pairs = enumerate(zip([*ours, None], [*theirs, None], strict=False))
        i, a, b = next((i, a, b) for i, (a, b) in pairs if a != b)
        raise ValueError(f"model: expected weights of the same shapes, got {b} for weight {i}, which has {a} here")
    if source is target or tau == 0:
        return
    first, second = sorted((target, source), key=id)
    with first._lock, second._lock:
        into, out_of = target.engine().store, source.engine().store
        into.acquire(), out_of.acquire()
        if _alike(into, out_of, target, source):
            _blend(into.flat["theta"], out_of.flat["theta"], tau)
            into.weights_clock.tick()
            into.load_clock.tick()  # a manual step must not go on with other weights
            return
        for a, b in zip(target.weights, source.weights, strict=True):
            value = a.numpy()
            _blend(value, b.numpy().astype(value.dtype, copy=False), tau)
            a.assign(value)


def _alike(into, out_of, target, source):
    """Whether both stores have all weights at the same places."""
    if into is out_of or set(target.weights) & set(source.weights):
        return False
    if (into.dtype, into.size, into.panel) != (out_of.dtype, out_of.size, out_of.panel):
        return False
    pairs = zip(target.weights, source.weights, strict=True)
    return all(into.places.get(a) == out_of.places.get(b) is not None for a, b in pairs)


def _blend(into, given, tau):
    """``into = (1 - tau) into + tau given``, in place."""
    if tau == 1:
        into[...] = given
        return
    factor = into.dtype.type(tau)
    into *= 1 - factor
    into += factor * given
