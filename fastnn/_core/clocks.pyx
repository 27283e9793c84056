"""Clocks: version counters of all that something kept may depend on. Nothing else in the library marks it as stale.

(a) Whoever changes a thing calls `tick` of its clock, when the change is complete. Whoever keeps something made from it
    keeps the reading `now` too, taken before it was made, and makes it again once the clock has another reading.
    So those who change know nothing of those who keep, and a cache that is added needs no new line elsewhere.
(b) Three clocks are those of the process, as variables and layers may belong to several models:

    ======  ================================================  ========================================================
    clock   ticks when                                        compared by
    ======  ================================================  ========================================================
    VALUES  the newest values of a variable are in another    `Store.acquire`: loads those that are elsewhere;
            place: assigned, or taken over by a store         `Call`: the fast path of small batches
    LAYERS  something was frozen, unfrozen, added or          `Model.engine`: describes the layers again, and plans if
            removed, or an attribute of a layer was set       they differ; `Call`
    NAMES   a layer was renamed                               `Sequential`: its layers by name
    ======  ================================================  ========================================================

(c) The others belong to one object, in an attribute whose name ends in `_clock`:

    =========================  ===========================================  ============================================
    clock                      ticks when                                   compared by
    =========================  ===========================================  ============================================
    `Layer._attribute_clock`   an attribute of a built layer was set, on    `Model.engine`: plans again
                               which plans depend
    `Layer._call_clock`        a NumPy layer was called: it keeps what its  `Engine.backward`: an error, if the layer
                               `backward` needs                             was called for another batch
    `Model._structure_clock`   layers were added, removed or built          `training.planning.Unchanged`: an error in
                                                                            a loop that is under way
    `Model._compile_clock`     `compile` was called                         `Unchanged`; `Model.engine`: plans again
    `Model._target_clock`      loss and metrics were resolved for another   `Model.engine`: plans again
                               kind of targets
    `Store.weights_clock`      a run that may change weights begins, or     `Program.refresh`: folds batch normalisation
                               the store was written to                     and splits weights into bf16 again
    `Store.load_clock`         loading has brought other values than there  `Engine.backward`: an error, as these are
                               were                                         not the weights of `forward`
    =========================  ===========================================  ============================================

(d) Readings are compared for equality only; `Program.refresh` leaves out the tick of its own run. Ticks are atomic, so
    that none is lost among threads without a GIL.
"""


cdef class Clock:
    """A version counter.

    Parameters
    ----------
    start : int
        The first reading.
    """

    def __init__(self, long long start=0):
        self.reading = start

    @property
    def now(self):
        """The reading."""
        return self.reading

    def tick(self):
        """Say that what it counts has changed."""
        fnn_clock_add(&self.reading, 1)

    def __reduce__(self):
        return Clock, (self.reading,)

    def __repr__(self):
        return f"Clock({self.reading})"


VALUES, LAYERS, NAMES = Clock(), Clock(), Clock()
