"""The networks of the benchmarks, by the names that `peers.py`, the asv suite, the README and the pictures share."""

from itertools import groupby
from typing import NamedTuple


class Row(NamedTuple):
    sizes: list  # inputs, units of each dense layer
    activation: str  # of the hidden layers
    batch: int
    loss: str  # "mse", or "ce": softmax and cross-entropy with class labels
    steps: int  # of a block of peers.py: about 50 ms and more
    bn: bool = False  # batch normalisation of the inputs and of every hidden layer

    @property
    def flops(self):
        """Multiplications and additions of one step in matrix products; the first layer needs no dX."""
        pairs = [i * o for i, o in zip(self.sizes, self.sizes[1:], strict=False)]
        return 6 * self.batch * sum(pairs) - 2 * self.batch * pairs[0]

    @property
    def shape(self):
        """ "784-300-(99×100)-10 selu, batch 32, cross-entropy" """
        runs = [(size, len(list(group))) for size, group in groupby(self.sizes)]
        sizes = "-".join(f"({n}×{size})" if n > 2 else "-".join([str(size)] * n) for size, n in runs)
        bn = ", batch normalisation" if self.bn else ""
        loss = "cross-entropy" if self.loss == "ce" else "MSE"
        return f"{sizes} {self.activation}{bn}, batch {self.batch}, {loss}"


ROWS = {
    "rl": Row([20, 64, 64, 4], "tanh", 64, "mse", 2000),
    "tiny": Row([4, 32, 16, 1], "tanh", 2000, "mse", 400),
    "tiny10k": Row([4, 32, 16, 4], "tanh", 10000, "mse", 80),
    "fmnist": Row([784, 300, 100, 10], "relu", 32, "ce", 200),
    "fmnist128": Row([784, 300, 100, 10], "relu", 128, "ce", 80),
    "fmnist-bn": Row([784, 300, 100, 10], "elu", 32, "ce", 150, True),
    "deep": Row([784, 300, *[100] * 99, 10], "selu", 32, "ce", 30),
    "wide": Row([1024, 2048, 2048, 2048, 1000], "relu", 512, "ce", 2),
}
