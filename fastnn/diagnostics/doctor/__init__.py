"""The doctor: rules that name what keeps a model from learning, before, during and after training.

(a) `facts` collects what can be known: the parts of the model (`parts`), its data (`data_facts`), one step on a copy of
    it (`start`), and the training so far (`training_facts`). Facts are computed when a rule first asks for them.
(b) A rule (`registry`) is a function of the facts that yields findings (`finding`). Rules import no facts, so that
    `compile` can run those that need the parts alone.
(c) `ranking` sorts findings: what explains others comes first. `silence` drops those that are not wanted.
(d) `check` is `Model.check` and `History.findings`.
"""
