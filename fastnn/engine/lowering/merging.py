"""Operations that join tensors, besides `add`: products, quotients, the larger or smaller, tensors side by side."""

from .registry import Lowering, lowering


class OfTwo(Lowering):
    """An elementwise function of two tensors."""

    kernel: str

    def forward(self, lo, node):
        a, b = node.inputs
        lo.emit(self.kernel, y=lo.value(node.out), a=lo.value(a), b=lo.value(b), F=a.size)

    def backward(self, lo, node):
        dy = lo.finished_gradient(node)
        for x, other in (node.inputs, node.inputs[::-1]):
            if x in lo.needs:
                dx, done = lo.contribute(x)
                self.gradient(lo, dx, dy, x, other)
                done()


@lowering("multiply")
class Multiply(OfTwo):
    kernel = "mul"

    def gradient(self, lo, dx, dy, x, other):
        lo.emit("mul", way=lo.way(x, True), y=dx, a=dy, b=lo.value(other), F=x.size)


@lowering("divide")
class Divide(OfTwo):
    kernel = "quotient"

    def backward(self, lo, node):
        dy, (a, b) = lo.finished_gradient(node), node.inputs
        if a in lo.needs:
            da, done = lo.contribute(a)
            lo.emit("quotient", way=lo.way(a, True), y=da, a=dy, b=lo.value(b), F=a.size)
            done()
        if b in lo.needs:
            db, done = lo.contribute(b)
            lo.emit("quotient_bwd", way=lo.way(b, True), db=db, dy=dy, y=lo.value(node.out), b=lo.value(b), F=b.size)
            done()


class Chosen(OfTwo):
    """The larger or the smaller of two values."""

    def gradient(self, lo, dx, dy, x, other):
        lo.emit(f"{self.kernel}_bwd", way=lo.way(x, True), da=dx, dy=dy, a=lo.value(x), b=lo.value(other), F=x.size)


@lowering("maximum")
class Maximum(Chosen):
    kernel = "larger"


@lowering("minimum")
class Minimum(Chosen):
    kernel = "smaller"


@lowering("concatenate")
class Concatenate(Lowering):
    """Of each of `groups` parts of a sample, those of all inputs side by side."""

    def places(self, node):
        """``(input, features of a part, where the first part begins in a group of the result)``."""
        begin = 0
        for x in node.inputs:
            size = x.size // node.attrs["groups"]
            yield x, size, begin
            begin += size

    def copies(self, lo, node, size, begin, joined, part, into_part):
        """Copy the features of one input into the result, or back."""
        groups = node.attrs["groups"]
        wide = node.out.size // groups
        for group in range(groups):
            there = {"width": node.out.size, "first": group * wide + begin}
            here = {"width": size * groups, "first": group * size}
            y, x = (here, there) if into_part else (there, here)
            lo.emit("copy_part", way="samples", y=part if into_part else joined, x=joined if into_part else part,
                    F=size, y_width=y["width"], y_first=y["first"], x_width=x["width"], x_first=x["first"])  # fmt: skip

    def forward(self, lo, node):
        for x, size, begin in self.places(node):
            self.copies(lo, node, size, begin, lo.value(node.out), lo.value(x), into_part=False)

    def backward(self, lo, node):
        dy = lo.finished_gradient(node)
        for x, size, begin in self.places(node):
            if x in lo.needs:
                dx, done = lo.contribute(x)
                self.copies(lo, node, size, begin, dy, dx, into_part=True)
                done()
