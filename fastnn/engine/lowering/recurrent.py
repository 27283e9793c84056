"""Recurrent layers: src_c/recurrent/.

A layer is two nodes: a dense one for what it reads, all steps at once, and this one, which makes the gates of its
result in place. So the gradients of the input, the kernel and the bias are those of any dense layer.
"""

from .registry import LOWERINGS, Lowering, lowering

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}  # columns of the kernels, in units
STATES = {"simple_rnn": ("h0",), "lstm": ("h0", "c0"), "gru": ("h0",)}


@lowering("recurrent")
class Recurrent(Lowering):
    """attrs: cell; units; groups, the steps; act and gate, (row, parameters); backwards; sequences; flipped; states,
    how many of the last ones follow the results; initial, how many first ones are inputs; masked; rate and id of the
    dropout of the state; truncate; reset_after. Inputs: what the dense node gives, first states, the mask."""

    shown = True

    def memory(self, lo, node, what, size):
        return lo.pl.buffer(f"{lo.tensors[node.out]}.{what}", size)

    def drops(self, lo, node):
        return lo.pl.training and node.attrs["rate"] > 0

    def sizes(self, node):
        names = ("units", "backwards", "sequences", "flipped", "states", "truncate")
        given = {name: int(node.attrs[name]) for name in names}
        given |= {"steps": node.attrs["groups"], "initial": int(node.attrs["initial"] > 0)}
        return given | ({"reset_after": int(node.attrs["reset_after"])} if node.attrs["cell"] == "gru" else {})

    def formulas(self, node):
        (act, of_act), cell = node.attrs["act"], node.attrs["cell"]
        if cell == "simple_rnn":
            return {"act": act, "s_act": of_act}
        gate, of_gate = node.attrs["gate"]
        return {"act": act, "of_act": of_act, "gate": gate, "of_gate": of_gate}

    def common(self, lo, node):
        """The operands that both passes have."""
        attrs, size = node.attrs, node.inputs[0].size
        reads = [lo.rows[attrs[which][0]] for which in ("act", "gate") if attrs[which]]
        given = {"z": lo.value(node.inputs[0]), "w": self.weights(lo, node), **self.sizes(node), **self.formulas(node)}
        given["pre"] = self.memory(lo, node, "pre", size) if any(reads) and lo.pl.differentiates else None
        given["keep"] = self.memory(lo, node, "keep", attrs["units"]) if self.drops(lo, node) else None
        given["mask"] = lo.value(node.inputs[-1]) if attrs["masked"] else None
        sequence = attrs["units"] * attrs["groups"]
        if attrs["cell"] == "lstm":
            given |= {name: self.memory(lo, node, name, sequence) for name in ("c", "ac")}
        elif attrs["cell"] == "gru":
            given |= {"inner": self.memory(lo, node, "inner", sequence)}
        return given

    def weights(self, lo, node):
        return lo.variables("theta", node, lo.pl.store.places[node.variables["kernel"]].off, ("kernel",))

    def first_states(self, node):
        """{operand: tensor}"""
        return dict(zip(STATES[node.attrs["cell"]], node.inputs[1 : 1 + node.attrs["initial"]], strict=False))

    def forward(self, lo, node):
        attrs, given = node.attrs, self.common(lo, node)
        sequence = attrs["units"] * attrs["groups"]
        given["h"] = self.memory(lo, node, "h", sequence)
        given |= {name: lo.value(tensor) for name, tensor in self.first_states(node).items()}
        if self.drops(lo, node):
            given["hk"] = self.memory(lo, node, "hk", sequence)
            unused = self.memory(lo, node, "ones", attrs["units"])
            lo.emit("dropout", way="samples", y=unused, x=unused, mask=given["keep"], F=attrs["units"], id=attrs["id"],
                    axes=0, across=0, sizes=(), rate=attrs["rate"])  # fmt: skip
        if "biases" in node.variables:
            at = lo.pl.store.places[node.variables["biases"]].off
            given["biases"] = lo.variables("theta", node, at, ("biases",))
        lo.emit(f"{attrs['cell']}_fwd", y=lo.value(node.out), **given)

    def backward(self, lo, node):
        attrs, z = node.attrs, node.inputs[0]
        units, cell = attrs["units"], attrs["cell"]
        given = self.common(lo, node) | {"dy": lo.finished_gradient(node), "dh": self.memory(lo, node, "dh", units)}
        if z in lo.needs:
            dz, done = lo.contribute(z)
        else:
            dz, done = self.memory(lo, node, "dz", z.size), lambda: None
        read = "hk" if self.drops(lo, node) else "h"
        products = [(read, dz)]  # of the recurrent kernel's gradient: factors, to be summed
        if self.drops(lo, node) or cell == "gru" and not attrs["reset_after"]:
            given["back"] = self.memory(lo, node, "back", units)
        if cell != "simple_rnn":
            given["by_input"] = lo.rows[attrs["act"][0]] + 2 * lo.rows[attrs["gate"][0]]  # FNN_ACT_BY_INPUT, ...
        if cell == "lstm":
            given["dc"] = self.memory(lo, node, "dc", units)
            given |= {name: lo.value(t) for name, t in self.first_states(node).items() if name == "c0"}
        elif cell == "gru":
            given["h"] = self.memory(lo, node, "h", units * attrs["groups"])
            given["dinner"] = self.memory(lo, node, "dinner", z.size)
            products = [(read, given["dinner"])]
            if not attrs["reset_after"]:
                given["dc"] = self.memory(lo, node, "dc", z.size)
                products.append(("inner", given["dc"]))
        lo.emit(f"{cell}_bwd", dz=dz, **given)
        done()
        self.give_first_states(lo, node, given)
        lo.emit_postponed()
        if node.trainable:
            if lo.pl.chunked:
                self.parameters(lo, node, dz, products)
            else:
                lo.postponed.append(lambda: self.parameters(lo, node, dz, products))

    def give_first_states(self, lo, node, given):
        for tensor, dx in zip(self.first_states(node).values(), ("dh", "dc"), strict=False):
            if tensor in lo.needs:
                into, done = lo.contribute(tensor)
                lo.emit("affine", way="samples", y=into, x=given[dx], F=tensor.size, scale=1.0, offset=0.0)
                done()

    def parameters(self, lo, node, dz, products):
        """The gradients of the recurrent kernel, and of biases that the dense node does not have."""
        pl, sequence = lo.pl, node.attrs["units"] * node.attrs["groups"]
        adds = lo.adds(node)
        for i, (read, dy) in enumerate(products):
            read = self.memory(lo, node, read, sequence)
            LOWERINGS["dense"].parameters(lo, node, dy, None, read, max(adds, int(i > 0)), fuses=len(products) == 1)
        if "biases" in node.variables:
            biases = node.variables["biases"]
            lo.vectors.add(biases)
            at, half = pl.store.places[biases].off, biases.size // 2
            for i, dy in enumerate((dz, products[0][1])):
                lo.emit("step_sums", grad=lo.slots(node, 0, ("biases",)), dy=dy, count=half, steps=node.attrs["groups"],
                        stride=pl.store.size, offset=at + i * half, adds=adds)  # fmt: skip


@lowering("step_mask")
class StepMask(Lowering):
    """Which steps count; nothing of a gradient goes through it."""

    def forward(self, lo, node):
        x = node.inputs[0]
        steps = node.out.size
        lo.emit("step_mask", y=lo.value(node.out), x=lo.value(x), F=x.size // steps, steps=steps,
                value=node.attrs["value"])  # fmt: skip

    def backward(self, lo, node):
        pass


@lowering("mask_steps")
class MaskSteps(Lowering):
    """0 in the steps that do not count."""

    def masked(self, lo, node, y, x):
        steps = node.inputs[1].size
        lo.emit("mask_steps", y=y, x=x, mask=lo.value(node.inputs[1]), F=node.out.size // steps, steps=steps)

    def forward(self, lo, node):
        self.masked(lo, node, lo.value(node.out), lo.value(node.inputs[0]))

    def backward(self, lo, node):
        x = node.inputs[0]
        if x not in lo.needs:
            return
        dy = lo.finished_gradient(node)
        dx, done = lo.contribute(x)
        self.masked(lo, node, dx, dy)
        done()
