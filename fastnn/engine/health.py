"""What is noted about a training, from operations (lowering/health.py) to figures of layers and epochs.

(a) Units that were active are noted in every step. All else is sums of the steps that are *looked at*: one in `every`,
    and, so that short trainings have some too, steps 8, 16, 32, ... before. `every` follows from shapes alone, so the
    figures do not depend on threads or on the machine.
(b) A step that is looked at is computed twice: by a program that changes nothing, with gradients and activations of the
    whole batch in memory, and then as any other. So what is trained has the same bits with and without.
(c) Sums of several epochs that the core trains in one call are kept apart (`Sums`); a unit's activity has a bit for
    each.
"""

from math import ceil

import numpy as np

from .lowering.health import ACTIVE, LOOK, NOTHING, activation_of, is_shown, stops_at_zero

AT_ONCE = 64  # epochs of a call, as there are so many bits
FIRST = 8  # step of the first look
SHARE = 0.02  # of the time of training that looking may cost
OVERHEAD = 60e-6  # seconds of a look besides computing the step again
MOSTLY = 0.95  # share of rows on which a saturated unit is flat

LAYER_QUANTITIES = (
    "gradient_norm", "output_gradient_norm", "update_ratio", "weight_norm", "activation_mean", "activation_std",
    "dead", "saturated", "drift",
)  # fmt: skip


def interval(seconds):
    """One step in how many is looked at, for a step of so many seconds by estimate: a multiple of `FIRST`."""
    steps = (1.3 + OVERHEAD / seconds) / SHARE
    return FIRST * ceil(steps / FIRST)


class Sums:
    """Of the steps of one epoch that were looked at."""

    def __init__(self, variables, layers):
        self.looks, self.rows, self.figures, self.clipped, self.total = 0, 0, 0.0, 0, 0.0
        self.gradient, self.weight, self.moved = (np.zeros(variables) for _ in range(3))
        self.drift = np.zeros(layers)


class Health:
    """The health of the training of one engine.

    Parameters
    ----------
    engine : Engine
    every : int, optional
        Default: see `interval`.

    Attributes
    ----------
    layers : tuple of str
        Layers with weights or an activation.
    kinds : tuple of str
    """

    def __init__(self, engine, every=None):
        self.engine, self.every = engine, every
        shown = [node for node in engine.nodes if is_shown(node) and node.layer]
        owners = [owner for node in shown for owner in (node.layer, node.act and node.act_layer) if owner]
        self.owners = tuple(dict.fromkeys(owners))
        self.number = {owner: i for i, owner in enumerate(self.owners)}
        self.layers, self.kinds = tuple(name for name, _ in self.owners), self._kinds()
        self.stops = any(a is not None and stops_at_zero(*a) for a in map(activation_of, engine.nodes))
        layer_of = {
            variable: self.number.get(node.layer, -1)
            for node in engine.nodes if node.trainable for variable in node.variables.values()
        }  # fmt: skip
        self.layer_of = np.array([layer_of[variable] for variable in engine.trainable], np.intp)
        self.places = None  # of the figures of each layer
        self.sums, self.programs, self.carried, self.views = {}, {}, {}, {}
        self.accumulate = engine.update_options.get("gradient_accumulation_steps") or 1
        for program in engine._programs.values():
            self._forget(program)

    def _kinds(self):
        rows = {}
        for node in self.engine.nodes:
            row = activation_of(node)[0].removesuffix("_general") if activation_of(node) else node.kind
            if activation_of(node) or row == "softmax":
                rows[self._puts_out(node)] = row
        return tuple(f"{owner[1]} {rows.get(owner, '')}".rstrip() for owner in self.owners)

    def _puts_out(self, node):
        """The layer whose output is the node's."""
        return node.act_layer if node.act is not None else node.layer

    # -- which steps, which programs --------------------------------------------------------------------------
    def level(self):
        """What a usual training program is to note."""
        return ACTIVE if self.stops else NOTHING

    def steps_before(self, step, program):
        """How many steps come before one that is looked at, beginning with `step` steps done."""
        if self.every is None:
            self.every = interval(program.plan.seconds)
        if self.every == 1:
            return 0
        done = step // self.accumulate  # updates of the weights; what is looked at is a step that makes one
        update = done + 1
        if update <= self.every:
            power = max(FIRST, 1 << (update - 1).bit_length())
            update = power if power < self.every else self.every
        else:
            update = -(-update // self.every) * self.every
        return update * self.accumulate - 1 - step

    def register(self, program):
        """Remember that a program notes which units are active."""
        self.programs[id(program)] = program

    # -- looking ----------------------------------------------------------------------------------------------
    def before(self, live, codes, batch, rows, index, row0, rates, threads):
        """Compute the next step, for its figures."""
        engine = self.engine
        program = engine.program("observe", batch, *codes, LOOK)
        self.begin(program)
        program.core.run(
            live, rows, batch, index=index, row0=row0, lrs=rates, step0=engine.step, seed=engine.seed,
            threads=threads, last=program.plan.after or -1,
        )  # fmt: skip
        return program

    def after(self, program, live, rows, rates, threads, epoch=0):
        """After the step itself: how far it went; all figures are added to those of the epoch."""
        if program.plan.after:
            program.core.run(
                live, rows, rows, lrs=rates, seed=self.engine.seed, threads=threads, first=program.plan.after
            )
        self.add(program, rows, epoch)

    def begin(self, program):
        """Keep what the step will change and its figures need: the moving averages."""
        moments = self._views(program)[2]
        self.moving = [(mean.astype(float), variance.astype(float)) for *_, mean, variance, _ in moments]

    def add(self, program, rows, epoch=0):
        """Add the figures of a program that has just done a step; `begin` came before."""
        plan, engine = program.plan, self.engine
        sums = self.sums.get(epoch)
        if sums is None:
            sums = self.sums[epoch] = Sums(len(engine.trainable), len(self.owners))
        if self.places is None:
            self.places = self._layout(plan)
        figures, blocks, moments = self._views(program)
        sums.figures = sums.figures + figures
        figures[:] = 0
        sums.looks, sums.rows = sums.looks + 1, sums.rows + rows
        if blocks:
            squares = {name: np.bincount(plan.numbers, blocks[name], len(engine.trainable)) for name in blocks}
            sums.gradient += squares["gradient"]
            sums.weight += squares["weight"]
            sums.moved += squares["moved"]
            sums.total += squares["gradient"].sum()
            sums.clipped += self._clipped(squares["gradient"], blocks["largest"])
        for (at, mean, deviation, _, _, epsilon), moved in zip(moments, self.moving, strict=True):
            moving = np.sqrt(moved[1] + epsilon)
            shift = (mean - moved[0]) / moving
            ratio = -np.log(deviation * moving)
            sums.drift[at] += np.mean(shift**2 + ratio**2)

    def _clipped(self, squares, largest):
        """Whether clipping changes gradients of such squared norms."""
        options, norms = self.engine.update_options, np.sqrt(squares)
        value, each, whole = (options.get(n) or 0 for n in ("clipvalue", "clipnorm", "global_clipnorm"))
        return bool(
            value and largest.max() > value
            or each and norms.max() > each
            or whole and np.sqrt(squares.sum()) > whole
        )

    def _views(self, program):
        """What a program notes, as arrays that share its memory."""
        found = self.views.get(id(program))
        if found is None:
            plan, kept, engine = program.plan, program.kept, self.engine
            figures = kept[plan.figures_at : plan.figures_at + 8 * plan.doubles].view(np.float64)
            blocks = {name: kept[at : at + 8 * n].view(np.float64) for name, (at, n) in plan.blocks.items()}
            moments, item, theta = [], engine.dtype.itemsize, engine.store.flat["theta"].view(engine.dtype)
            for number, mean, deviation in plan.moments:
                node = engine.nodes[number]
                if self._owner(node.layer) is None:
                    continue
                n = node.out.size
                batch = [kept[at : at + n * item].view(engine.dtype) for at in (mean, deviation)]
                places = [engine.store.places[node.variables[role]].off for role in ("mean", "variance")]
                moving = [theta[at : at + n] for at in places]
                moments.append((self._owner(node.layer), *batch, *moving, node.attrs["epsilon"]))
            found = self.views[id(program)] = figures, blocks, moments
            self.register(program)
        return found

    def _owner(self, layer):
        return self.number.get(layer)

    def _layout(self, plan):
        """For each layer, which sums are its output's, and which its gradient's; of several uses the last."""
        outputs, gradients = [None] * len(self.owners), [None] * len(self.owners)
        for entry in plan.figures:
            node = self.engine.nodes[entry.node]
            layer = node.layer if entry.what.startswith("inner") else self._puts_out(node)
            at = self._owner(layer)
            if at is None:
                continue
            if not entry.what.endswith("gradient"):
                outputs[at] = entry
            elif gradients[at] is None:  # backwards: the first is that of the last node
                gradients[at] = entry
        return outputs, gradients

    # -- figures ----------------------------------------------------------------------------------------------
    def figures(self, epoch=0):
        """``(looks, {quantity: [of each layer]}, norm of the whole gradient, share of steps that were clipped)``."""
        sums, nan = self.sums.get(epoch), float("nan")
        found = {name: np.full(len(self.owners), nan) for name in LAYER_QUANTITIES}
        self._dead(found["dead"], epoch)
        if sums is None:
            return 0, found, nan, nan
        trained = np.zeros(len(self.owners), bool)
        trained[self.layer_of[self.layer_of >= 0]] = True
        with np.errstate(divide="ignore", invalid="ignore"):
            gradient, weight, moved = map(self._by_layer, (sums.gradient, sums.weight, sums.moved))
            for name, values in (
                ("gradient_norm", np.sqrt(gradient / sums.looks)),
                ("weight_norm", np.sqrt(weight / sums.looks)),
                ("update_ratio", np.sqrt(moved / weight)),
            ):
                found[name][trained] = values[trained]
        for at, (output, gradient) in enumerate(zip(*self.places, strict=True)):
            if gradient is not None:
                square = self._sum(sums, gradient.square, gradient.size)
                found["output_gradient_norm"][at] = np.sqrt(square / sums.looks)
            if output is None:
                continue
            count = sums.rows * output.size
            mean = self._sum(sums, output.sum, output.size) / count
            variance = self._sum(sums, output.square, output.size) / count - mean**2
            found["activation_mean"][at], found["activation_std"][at] = mean, np.sqrt(np.maximum(variance, 0))
            if output.flat >= 0:
                flat = sums.figures[output.flat : output.flat + output.size]
                found["saturated"][at] = np.mean(flat > MOSTLY * sums.rows)
        for at in {at for _, _, moments in self.views.values() for at, *_ in moments}:
            found["drift"][at] = np.sqrt(sums.drift[at] / sums.looks)
        clips = any(self.engine.update_options.get(n) for n in ("clipvalue", "clipnorm", "global_clipnorm"))
        rate = sums.clipped / sums.looks if clips and self.accumulate == 1 else nan
        return sums.looks, found, float(np.sqrt(sums.total / sums.looks)), rate

    def _by_layer(self, squares):
        found = np.zeros(len(self.owners) + 1)
        np.add.at(found, self.layer_of, squares)
        return found[:-1]

    def _sum(self, sums, first, size):
        return sums.figures[first : first + size].sum()

    # -- units that are never active ---------------------------------------------------------------------------
    def _seen(self, program):
        """For each noted node of a program (number, array (sample panels, features))."""
        for number, at, panels, size in program.plan.seen:
            yield number, program.kept[at : at + 8 * panels * size].view(np.uint64).reshape(panels, size)

    def active(self):
        """{number of a layer: bits of each of its units}."""
        found = dict(self.carried)
        for program in self.programs.values():
            for number, bits in self._seen(program):
                at = self._owner(self._puts_out(self.engine.nodes[number]))
                if at is not None:
                    bits = np.bitwise_or.reduce(bits, axis=0)
                    found[at] = found[at] | bits if at in found else bits
        return found

    def _dead(self, into, epoch):
        bit = np.uint64(1 << epoch % AT_ONCE)
        for at, bits in self.active().items():
            into[at] = np.mean((bits & bit) == 0)

    def _forget(self, program):
        for _, bits in self._seen(program):
            bits[:] = 0

    def clear(self):
        """Begin again, after the figures of all epochs of a call were read."""
        self.sums, self.carried = {}, {}
        for program in self.programs.values():
            self._forget(program)

    def take_over(self, other):
        """Go on with what another engine of the same model has noted in this epoch."""
        if other.owners == self.owners:
            self.carried = other.active()
