"""How often `Model.check` and `history.findings` are right: programs with one planted fault each, and healthy ones.

    python -m benchmarks.doctor            everything, in less than 30 minutes on two cores
    python -m benchmarks.doctor --quick    one seed of a part of the programs, in about a minute
    python -m benchmarks.doctor --repair   `fastnn.repair` on the programs that have a cure

(a) `faults` plants what a label means, and was written without looking at the rules of the doctor. `healthy` has the
    networks on which nothing may be reported.
(b) A mutant that trains as well as its twin is no fault: where a label promises harm, programs without any are left
    out, and counted (`run.harmed`).
(c) `reference` has the thresholds of published tools on the same counters of `history.health`, so that a difference
    comes from the rules.
"""
