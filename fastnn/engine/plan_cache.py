"""Cache of plans: networks with the same structure are planned once.

(a) A plan follows from the structure of a model and the request: what for, which batch, which kinds of arrays.
    `structure` is all of the first that planning and lowering look at. What it leaves out must not matter to them:
    values of weights, rates, seeds, parameters of the optimizer (they come with the memory or with each call).
(b) A plan that calls Python refers to layers of one model, so it is not kept; nor is one with large arrays in it.
(c) The latest `MOST` plans of the process are kept; later requests for others plan again, with the same bits.
"""

from collections import OrderedDict

from .._base.locks import Lock
from ..regularizers import OrthogonalRegularizer

MOST = 128  # plans; one of ten layers takes 30 KB
LARGEST = 1 << 18  # bytes of arrays of a plan that is kept

_kept = OrderedDict()  # (structure, request) -> Plan, the latest last
_lock = Lock()


def structure(engine):
    """A hashable description of all that an engine's plans depend on; None if there is Python in it.

    It has no reference to the model: variables, nodes and tensors are numbers in it."""
    if engine.python_loss or engine.python_metrics or any(n.kind == "python" for n in engine.nodes):
        return None
    places = engine.store.places
    numbers = {v: i for i, v in enumerate(places)}
    tensors = {node.out: i for i, node in enumerate(engine.nodes)}
    nodes = tuple(
        (n.kind, tuple(map(tensors.get, n.inputs)), n.out.shape, tuple(n.attrs.items()), n.act, n.trainable,
         n.act is not None and n.act_layer != n.layer,
         tuple((role, numbers[v]) for role, v in n.variables.items()))
        for n in engine.nodes
    )  # fmt: skip
    variables = tuple((v.shape, place.off, place.rows, place.role) for v, place in places.items())
    trained = tuple(
        (numbers[v], engine.rules[v], _penalty(engine.regularizers[v]), _constraint(engine.constraints[v], v))
        for v in engine.trainable
    )
    options = engine.update_options.items()
    around = tuple((name, value) for name, value in options if name != "decay_of")  # that is in the rules
    return (
        nodes, tuple(map(tensors.get, engine.inputs)), tuple(map(tensors.get, engine.outputs)), variables, trained,
        tuple(engine.store.flat), engine.store.size, engine.dtype.str, engine.isa,
        tuple((o.row, o.reads_pre, o.reduction, o.weight) for o in engine.objectives), tuple(engine.core_rows),
        tuple(engine.pairs), tuple(sorted({output for *_, output in engine.score_places})),
        engine.optimizer_row and engine.optimizer_row[0], around, tuple(row.label for row in engine.counter_rows),
    )  # fmt: skip


def _penalty(rule):
    """What of a regularizer is not in the numbers of `Engine.rules`."""
    return (rule.mode, rule.factor) if isinstance(rule, OrthogonalRegularizer) else None


def _constraint(rule, variable):
    return rule and (rule.numbers, rule.numbers and rule.axes(len(variable.shape)))


def find(structure, request):
    """The plan, or None."""
    with _lock:
        found = _kept.get((structure, request))
        if found is not None:
            _kept.move_to_end((structure, request))
        return found


def add(structure, request, plan):
    """Cache a plan for later models, if possible."""
    if structure is None or sum(image.nbytes for _, image in plan.images) > LARGEST:
        return
    with _lock:
        _kept[structure, request] = plan
        while len(_kept) > MOST:
            _kept.popitem(last=False)
