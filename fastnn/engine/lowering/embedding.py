"""Embedding: rows of a table, src_c/loops/embedding.inl.h."""

from .registry import Lowering, lowering


@lowering("embedding")
class Embedding(Lowering):
    def forward(self, lo, node):
        x, table = node.inputs[0], node.variables["embeddings"]
        rows, width = table.shape
        place = lo.pl.store.places[table]
        lo.emit("embedding_fwd", y=lo.value(node.out), x=lo.value(x), table=lo.variables("theta", node, place.off),
                F=x.size, rows=rows, D=width)  # fmt: skip

    def backward(self, lo, node):
        x, table = node.inputs[0], node.variables["embeddings"]
        dy = lo.finished_gradient(node)
        if node.trainable:
            lo.vectors.add(table)
            lo.emit("embedding_params", grad=lo.slots(node), dy=dy, x=lo.value(x), F=x.size, D=table.shape[1],
                    count=table.size, stride=lo.pl.store.size, offset=lo.pl.store.places[table].off,
                    adds=lo.adds(node))  # fmt: skip
        if x in lo.needs:  # an index has no gradient
            dx, done = lo.contribute(x)
            lo.emit("affine", way=lo.way(x, True), y=dx, x=lo.value(x), F=x.size, scale=0.0, offset=0.0)
            done()
