"""`fastnn.repair` on the programs that have a known cure: how near to the cured twin, how many worse, at what cost."""


def repair_all(seeds, options):
    return []


def repair_table(results):
    return list(results)
