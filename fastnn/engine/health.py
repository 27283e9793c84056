"""What is noted about a training, from operations (lowering/health.py) to figures of layers and epochs.

(a) Units that were active are noted in every step. All else is sums of the steps that are *looked at*: one in `every`,
    and, so that short trainings have some too, steps 8, 32, 128, ... before. `every` follows from shapes alone, so the
    figures do not depend on threads or on the machine.
(b) A step that is looked at is computed twice: by a program that changes nothing, with gradients and activations of the
    whole batch in memory, and then as any other. So what is trained has the same bits with and without.
(c) Sums of several epochs that the core trains in one call are kept apart (`Sums`); a unit's activity has a bit for
    each. A look only adds arrays; what else there is to compute is done once for an epoch, as small networks have
    epochs of a fraction of a millisecond.
"""

import weakref
from math import ceil

import numpy as np

from .lowering.health import ACTIVE, LOOK, NOTHING, activation_of, is_shown, stops_at_zero

AT_ONCE = 64  # epochs of a call, as there are so many bits
FIRST, GROWTH = 8, 4  # step of the first look, and how much later each further one is until there is one in `every`
SHARE = 0.009  # of the time of training that looking may cost; measured, it costs up to twice that (docs/decisions)
COST = 3.5  # of a look in steps: the step again, with all in memory, and caches that are filled again afterwards
OVERHEAD = 600e-6  # seconds of a look besides: calls of the core, threads that wake up again, Python
MOSTLY = 0.95  # share of rows on which a saturated unit is flat

LAYER_QUANTITIES = (
    "gradient_norm", "output_gradient_norm", "update_ratio", "weight_norm", "activation_mean", "activation_std",
    "dead", "saturated", "drift",
)  # fmt: skip


BLOCKS = ("gradient", "weight", "moved")  # sums of squares of parts of the parameters


def interval(seconds):
    """One step in how many is looked at, for a step of so many seconds by estimate: a multiple of `FIRST`."""
    steps = (COST + OVERHEAD / seconds) / SHARE
    return FIRST * ceil(steps / FIRST)


class Sums:
    """Of the steps of one epoch that were looked at."""

    def __init__(self, layers):
        self.looks, self.rows, self.clipped = 0, 0, 0
        self.figures, self.blocks = 0.0, (0.0, 0.0, 0.0)
        self.drift = np.zeros(layers)


def forget(program):
    """All of which units were active."""
    for _, bits in program.seen:
        bits.fill(0)


class Places:
    """Which sums of programs that look are whose: what layers put out, and the gradients of that.

    A layer that has several nodes is shown by the last of them."""

    def __init__(self, plan, health):
        outputs, gradients = {}, {}
        for entry in plan.figures:
            node = health.nodes[entry.node]
            layer = node.layer if entry.what.startswith("inner") else health._puts_out(node)
            at = health._owner(layer)
            if at is None:
                continue
            if not entry.what.endswith("gradient"):
                outputs[at] = entry
            else:
                gradients.setdefault(at, entry)  # backwards: the first is that of the last node
        self.outputs, self.gradients = list(outputs), list(gradients)
        self.sizes = np.array([entry.size for entry in outputs.values()], float)
        pieces = [(e.sum, e.size) for e in outputs.values()] + [(e.square, e.size) for e in outputs.values()]
        pieces += [(e.square, e.size) for e in gradients.values()]
        self.ends = np.array([(first, first + size) for first, size in pieces], np.intp).reshape(-1)
        self.flat = [(at, entry.flat, entry.size) for at, entry in outputs.items() if entry.flat >= 0]

    def fill(self, sums, into):
        """Write the figures of activations and their gradients."""
        if not len(self.ends):
            return
        n = len(self.outputs)
        each = np.add.reduceat(sums.figures, self.ends)[::2]
        count = sums.rows * self.sizes
        mean = each[:n] / count
        into["activation_mean"][self.outputs] = mean
        into["activation_std"][self.outputs] = np.sqrt(np.maximum(each[n : 2 * n] / count - mean**2, 0))
        into["output_gradient_norm"][self.gradients] = np.sqrt(each[2 * n :] / sums.looks)
        for at, first, size in self.flat:
            into["saturated"][at] = np.mean(sums.figures[first : first + size] > MOSTLY * sums.rows)


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
        self.engine, self.nodes, self.every = weakref.proxy(engine), engine.nodes, every  # weak: the engine keeps it
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
        self.trained = np.bincount(self.layer_of[self.layer_of >= 0], minlength=len(self.owners)) > 0
        self.places = self.plan = None  # of the figures of each layer, in programs that look
        self.sums, self.programs, self.carried, self.views, self.dead = {}, {}, {}, {}, None
        self.accumulate = engine.update_options.get("gradient_accumulation_steps") or 1
        self.start_over()

    def _kinds(self):
        rows = {}
        for node in self.nodes:
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
            early = FIRST
            while early < update:
                early *= GROWTH
            update = min(early, self.every)
        else:
            update = -(-update // self.every) * self.every
        return update * self.accumulate - 1 - step

    @property
    def clips(self):
        """Whether gradients are clipped at all."""
        return any(self.engine.update_options.get(name) for name in ("clipvalue", "clipnorm", "global_clipnorm"))

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
        sums = self.sums.get(epoch)
        if sums is None:
            sums = self.sums[epoch] = Sums(len(self.owners))
        figures, blocks, moments = self._views(program)
        sums.figures = sums.figures + figures
        figures[:] = 0
        sums.looks, sums.rows = sums.looks + 1, sums.rows + rows
        if blocks:
            sums.blocks = [total + blocks[name] for total, name in zip(sums.blocks, BLOCKS, strict=True)]
            if self.clips:
                sums.clipped += self._clipped(self._by_variable(blocks["gradient"]), blocks["largest"])
        for (at, mean, deviation, _, _, epsilon), moved in zip(moments, self.moving, strict=True):
            moving = np.sqrt(moved[1] + epsilon)
            shift = (mean - moved[0]) / moving
            ratio = -np.log(deviation * moving)
            sums.drift[at] += np.mean(shift**2 + ratio**2)

    def _by_variable(self, blocks):
        return np.bincount(self.plan.numbers, blocks, len(self.engine.trainable))

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
            if self.plan is None:
                self.plan, self.places = plan, Places(plan, self)
            # one more than there are, so that sums may end at the last
            figures = kept[plan.figures_at : plan.figures_at + 8 * (plan.doubles + 1)].view(np.float64)
            blocks = {name: kept[at : at + 8 * n].view(np.float64) for name, (at, n) in plan.blocks.items()}
            moments, item, theta = [], engine.dtype.itemsize, engine.store.flat["theta"].view(engine.dtype)
            for number, mean, deviation in plan.moments:
                node = self.nodes[number]
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

    # -- figures ----------------------------------------------------------------------------------------------
    def figures(self, epoch=0, epochs=1):
        """``(looks, array (quantities, layers), norm of the whole gradient, share of steps that were clipped)``.

        Of one of the epochs of a call, of which there are `epochs`."""
        sums, nan = self.sums.get(epoch), float("nan")
        found = np.full((len(LAYER_QUANTITIES), len(self.owners)), nan)
        into = dict(zip(LAYER_QUANTITIES, found, strict=True))  # views of the rows
        if self.dead is None:
            self.dead = self._dead(epochs)
        for at, dead in self.dead.items():
            into["dead"][at] = dead[epoch]
        if sums is None:
            return 0, found, nan, nan
        total = self._of_parameters(sums, into) if np.ndim(sums.blocks[0]) else 0.0
        self.places.fill(sums, into)
        for at in {at for _, _, moments in self.views.values() for at, *_ in moments}:
            into["drift"][at] = np.sqrt(sums.drift[at] / sums.looks)
        rate = sums.clipped / sums.looks if self.clips and self.accumulate == 1 else nan
        return sums.looks, found, float(np.sqrt(total / sums.looks)), rate

    def _of_parameters(self, sums, into):
        """Norms of the layers' gradients, weights and updates; returns the squared norm of the whole gradient."""
        variables = [self._by_variable(blocks) for blocks in sums.blocks]
        gradient, weight, moved = (
            np.bincount(self.layer_of + 1, squares, len(self.owners) + 1)[1:] for squares in variables
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            for name, squares in (
                ("gradient_norm", gradient / sums.looks), ("weight_norm", weight / sums.looks),
                ("update_ratio", moved / weight),
            ):  # fmt: skip
                into[name][self.trained] = np.sqrt(squares[self.trained])
        return variables[0].sum()

    # -- units that are never active ---------------------------------------------------------------------------
    def active(self):
        """{number of a layer: bits of each of its units}."""
        found = dict(self.carried)
        for program in self.programs.values():
            for number, bits in program.seen:
                at = self._owner(self._puts_out(self.nodes[number]))
                if at is not None:
                    bits = np.bitwise_or.reduce(bits, axis=0)
                    found[at] = found[at] | bits if at in found else bits
        return found

    def _dead(self, epochs):
        """{number of a layer: fraction of units that were not active, by epoch of the call}."""
        bits = np.uint64(1) << np.arange(epochs, dtype=np.uint64)
        return {
            at: np.count_nonzero(of_units[:, None] & bits == 0, axis=0) / len(of_units)
            for at, of_units in self.active().items()
        }

    def clear(self):
        """Begin again, after the figures of all epochs of a call were read."""
        self.sums, self.carried, self.dead = {}, {}, None
        for program in self.programs.values():
            forget(program)

    def start_over(self):
        """For a call of `fit`."""
        self.sums, self.carried, self.dead = {}, {}, None
        for program in self.engine._programs.values():  # also those that another Health has used
            forget(program)

    def keep(self):
        """Keep which units were active, as another Health of the engine forgets it."""
        self.carried = self.active()

    def rest(self):
        """Until the next call: what belongs to programs that the engine has dropped is dropped too."""
        there = {id(program) for program in self.engine._programs.values()}
        self.programs = {key: program for key, program in self.programs.items() if key in there}
        self.views = {key: views for key, views in self.views.items() if key in there}

    def take_over(self, other):
        """Go on with what another engine of the same model has noted in this epoch."""
        if other.owners == self.owners:
            self.carried = other.active()
