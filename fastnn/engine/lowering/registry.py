"""The kinds of nodes: what each becomes, by name."""


class Lowerings(dict):
    """{kind: Lowering}"""

    def __missing__(self, kind):
        raise KeyError(f"kind of node: expected one with a file in engine/lowering ({', '.join(self)}), got {kind!r}")


LOWERINGS = Lowerings()


def lowering(kind):
    """Decorator: the class says how nodes of a kind become operations."""

    def register(cls):
        if kind in LOWERINGS:
            raise ValueError(f"kind: expected a new one, got {kind!r}, which {type(LOWERINGS[kind]).__name__} has")
        LOWERINGS[kind] = cls()
        return LOWERINGS[kind]

    return register


class Lowering:
    """How one kind of node becomes operations; registered by the decorator `lowering`.

    Attributes
    ----------
    shown : bool
        Whether health shows the layer even if it has no weights: one that computes something, as an activation does,
        and does not only pass on, join or disturb what it reads.
    """

    shown = False

    def forward(self, lo, node):
        raise NotImplementedError(node.kind)

    def backward(self, lo, node):
        raise NotImplementedError(node.kind)
