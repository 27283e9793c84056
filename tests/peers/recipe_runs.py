"""What the kinds of random recipes share: a run of several, with a report of each that fails, for a test or a command.

A kind is a module with `recipe`, `compare` (with the list `compare.not_finite`) and `describe`, see `keras_recipes`.
"""

import argparse
import os
import time
import warnings


def start_keras():
    """Keras 3, also able to count in float64."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    return keras


def features(fastnn):
    """What of Keras this fastnn has beyond the oldest; recipes use only that."""
    found = {name for name in ("regularizers", "constraints") if hasattr(fastnn, name)}
    found.update(n for n in dir(fastnn.optimizers.schedules) if "Decay" in n)
    for name, value in (("weight_decay", 0.1), ("use_ema", True), ("gradient_accumulation_steps", 2)):
        try:
            fastnn.optimizers.SGD(0.1, **{name: value}).for_core()
        except (TypeError, NotImplementedError):
            continue
        found.add(name)
    return frozenset(found)


class Recipes:
    """A kind of recipes.

    Parameters
    ----------
    file : str
        Name of the module's file, which is a command.
    kind : str
        What one of them is called: "recipes", "functional recipes".
    recipe : function (seed, can)
    compare : function (keras, fastnn, plan) -> list of str
    describe : function (plan) -> str
    """

    def __init__(self, file, kind, recipe, compare, describe):
        self.file, self.kind, self.recipe, self.compare, self.describe = file, kind, recipe, compare, describe

    def report(self, plan, faults):
        """What failed, and how to see it again."""
        lines = [f"recipe {plan['seed']}: FAILED", self.describe(plan), *(f"    {f}" for f in faults[:6])]
        return "\n".join([*lines, f"  again: python tests/peers/{self.file} --count 1 --seed {plan['seed']}"])

    def outcomes(self, keras, seeds):
        """Yield each recipe and what differs."""
        import fastnn

        can = features(fastnn)
        for seed in seeds:
            plan = self.recipe(seed, can)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    faults = self.compare(keras, fastnn, plan)
            except Exception as error:  # one recipe that cannot run must not hide the others
                faults = [f"{type(error).__name__}: {error}"]
            yield plan, faults

    def run_first(self, keras, count):
        """``(number of recipes that ran, reports of those that failed)``, for a test; also prints how many agree."""
        found = list(self.outcomes(keras, range(count)))
        failed = [self.report(plan, faults) for plan, faults in found if faults]
        print(f"{len(found) - len(failed)} of {len(found)} {self.kind} agree with Keras {keras.__version__}")
        return len(found), failed

    def main(self, arguments=None, count=500, contents=None):
        """The command; `contents`: function (plan) -> set of str, whose union is printed. Returns the exit code."""
        parser = argparse.ArgumentParser(description=f"Random {self.kind}, run by Keras and by fastnn.")
        parser.add_argument("--count", type=int, default=count)
        parser.add_argument("--seed", type=int, default=0, help="number of the first recipe")
        parser.add_argument("--show", action="store_true", help="print each recipe")
        options = parser.parse_args(arguments)
        import fastnn

        keras, begun, failed, seen = start_keras(), time.time(), 0, set()
        print(f"Keras {keras.__version__} on {keras.backend.backend()}; fastnn {fastnn.__version__};"
              f" also {', '.join(sorted(features(fastnn)))}", flush=True)  # fmt: skip
        for plan, faults in self.outcomes(keras, range(options.seed, options.seed + options.count)):
            seen |= contents(plan) if contents else set()
            if faults:
                failed += 1
                print(self.report(plan, faults), flush=True)
            elif options.show:
                print(f"recipe {plan['seed']}: passed\n{self.describe(plan)}")
        if seen:
            print(f"contents: {', '.join(sorted(seen))}")
        print(f"not finite in Keras, so compared only in part: {self.compare.not_finite or 'none'}")
        print(f"{options.count - failed} of {options.count} {self.kind} agree, {time.time() - begun:.0f} s")
        return int(failed > 0)


def keras_or_skip(**options):
    """Keras for a test, which is skipped without it, unless FASTNN_REQUIRE_KERAS is set; `options` of `pytest.skip`."""
    import pytest  # the commands do without

    try:
        return start_keras()
    except ImportError:
        assert os.environ.get("FASTNN_REQUIRE_KERAS", "0") == "0", "keras or its back end is missing"
        pytest.skip("keras is not installed", **options)
