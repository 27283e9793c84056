"""Repair: a faulty model is rebuilt with the fixes that findings propose; what helps on validation data is kept.

(a) The user's model and arrays are never touched: a model is read once into a `Blueprint`, and every candidate is
    built from a changed copy of it.
(b) Models with different losses or encodings cannot be compared by their loss. `Task` derives from the targets what
    a model is for, and measures accuracy or explained variance, and one loss for all candidates.
(c) Comparisons are paired: same seed, same order of samples, same number of epochs. A kept candidate is not trained
    again: its training continues.
"""

from .run import repair as repair
