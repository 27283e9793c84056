"""A team of threads that one real thread plays, in the order a test chooses: a door for tests, which finds races.

(a) Between two barriers, the threads of a team may come in any order, so the virtual ones have their turns there one
    after the other. Of two threads, either comes first in some order and its reverse; a barrier that is missing between
    what they do shows as other bits than those of one thread.
(b) Shares, chunks, and the sums at the end of a step, which the first thread adds up when others may be in the next one
    already, are those of `work` in executor.pyx, from team.pxd. Each thread has scratch and activations as there.
(c) Activations and scratch are not-a-number before each step that begins with the first segment, so what is read before
    it is written shows as well.
(d) Nothing is derived from what operations say they read and write: the checker would repeat the planner's errors.
"""
from libc.string cimport memset

from numpy cimport PyArray_DATA, PyArray_NBYTES, ndarray

from . cimport kernels as k
from . cimport scratch
from .executor cimport Executor
from .team cimport (
    MAX_THREADS, Job, Member, Segment, begin_step, ceil_div, chunked, finish_step, fnn_float_enter, fnn_float_leave,
    join, layered, operations_of)


cdef class VirtualTeam(Executor):
    """An executor whose threads are virtual; made from the arguments of any other.

    It runs as many steps as it is asked for: no deadline and no Ctrl-C ends it earlier.

    Attributes
    ----------
    order : tuple of int
        The threads, in the order of their turns, whatever number of threads is asked for.
    """
    cdef readonly tuple order
    cdef Member members[MAX_THREADS]
    cdef void *blocks[MAX_THREADS]
    cdef ptrdiff_t unfinished  # the step whose sums are still to be added up, of
    cdef ptrdiff_t samples

    def __init__(self, *args):
        self.order = (0,)

    def play(self, *order):
        """Set the order of the turns: 0, 1, ..., each once."""
        if sorted(order) != list(range(len(order))) or not 0 < len(order) <= MAX_THREADS:
            raise ValueError(f"order: expected each of 0, 1, ... once, at most {MAX_THREADS}, got {order}")
        self.order = order

    cpdef int prepare(self, int threads) except -1:
        return Executor.prepare(self, len(self.order))

    cdef int start(self, int threads) noexcept nogil:
        with gil:
            return self.with_scratch()

    cdef int with_scratch(self) noexcept:
        cdef int i, taken = 0, team = len(self.order)
        self.job.scratch, self.job.disturbed, self.job.deadline, self.job.pieces = self.blocks, 0, 0, 0
        while taken < team:
            self.blocks[taken] = scratch.take(self.scratch_bytes)
            if self.blocks[taken] == NULL:
                break
            taken += 1
        if taken == team:
            self.run_steps(team)
        for i in range(taken):
            scratch.give(self.blocks[i])
        return 0 if taken == team else -1

    cdef void run_steps(self, int team) noexcept:
        cdef Job *job = &self.job
        cdef const Segment *seg
        cdef ptrdiff_t step
        cdef int i, j, lo, hi, tid
        cdef unsigned csr = fnn_float_enter()
        self.unfinished = -1
        for tid in range(team):
            join(job, &self.members[tid], tid)
        for step in range(job.start, job.steps):
            for tid in range(team):
                begin_step(job, &self.members[tid], step)
            if job.first_segment == 0:
                self.poison(team)
            lo = hi = job.segments[job.first_segment].lo
            for j in range(job.first_segment, job.last_segment):
                seg = &job.segments[j]
                if seg.chunked:
                    self.turns(lo, seg.lo, NULL, team)
                    self.turns(0, 0, seg, team)
                    lo = seg.hi
                else:
                    for i in range(seg.lo, seg.hi):
                        if job.plan[i].barrier:
                            self.turns(lo, i, NULL, team)
                            lo = i
                hi = seg.hi
            self.turns(lo, hi, NULL, team)
            self.unfinished, self.samples = step, self.members[0].run.n
        self.turns(0, 0, NULL, team)
        fnn_float_leave(csr)

    cdef void turns(self, int lo, int hi, const Segment *seg, int team) noexcept:
        """What lies between two barriers, thread by thread: operations [lo, hi), or the chunks of a segment."""
        cdef Job *job = &self.job
        cdef const k.fnn_op *ops
        cdef Member *me
        cdef int i, tid
        for tid in self.order:
            me, ops = &self.members[tid], operations_of(job, tid)
            if tid == 0 and self.unfinished >= 0:
                finish_step(job, self.unfinished, self.samples, 1)  # alone: the barrier has never waited for anyone
                self.unfinished = -1
            if seg != NULL:
                chunked(job, ops, seg, &me.run, tid, team)
            for i in range(lo, hi):
                layered(job, &ops[i], &job.plan[i], &me.run, ceil_div(me.run.n, job.panel), tid, team)

    cdef void poison(self, int team) noexcept:
        cdef int tid
        for arena in self.arenas:
            memset(PyArray_DATA(<ndarray>arena), 0xff, PyArray_NBYTES(<ndarray>arena))
        for tid in range(team):
            memset(self.job.scratch[tid], 0xff, self.scratch_bytes)
