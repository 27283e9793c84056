"""What is planned: numbers that follow from shapes, the same on every run of one instruction set."""

from . import common


def barriers(model):
    """How often the threads wait for each other in a step of the last `fit` of a model, one thread or many.

    Before each operation that reads what others wrote, at both ends of a chunked segment, and twice at the end of the
    step (`steps` in _core/executor.pyx)."""
    from fastnn.engine import (
        lowering,  # here: the suite is also run on commits where these are elsewhere
    )
    from fastnn.engine.program import Planner

    engine = model._engine
    request = next(key for key in reversed(engine._programs) if key[0] == "train")
    planner = Planner(engine, *request[:5], engine.schedule, *request[5:])
    lowering.lower(planner)
    planner.finish()
    chunked = sum(kind > 0 for kind, _, _ in planner.segments)
    return sum(barrier for *_, barrier in planner.ops) + 2 * chunked + 2


class Step:
    """A training step with Adam of the rows of `peers.py`."""

    params = [common.nets()]
    param_names = ["net"]

    def setup(self, net):
        batch = common.ROWS[net].batch
        self.model = common.build(net)
        x, y = common.data(net, batch)
        self.model.fit(x, y, batch_size=batch, verbose=0)

    def track_barriers(self, net):
        return barriers(self.model)

    track_barriers.unit = "barriers a step"

    def track_operations(self, net):
        return len(list(self.model._engine._programs.values())[-1].plan.ops)

    track_operations.unit = "operations a step"
