"""Models of thousands of layers: does the time for building, saving and loading them grow with the number, or faster?

    python benchmarks/many_layers.py                                   # this checkout
    python benchmarks/many_layers.py before=../before after=. --layers 1000,2000,8000

Each folder is a checkout built in place. Each model is made in a process of its own, the checkouts in turn; the table
has the least of the rounds, in seconds, and how many times that of half the layers it is: 2 is linear, 4 quadratic.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

WORK = """
import json, os, sys, tempfile, time
import fastnn
from fastnn.layers import Activation, Dense
n, took = int(sys.argv[1]), {}
def timed(name, run):
    began = time.perf_counter()
    value = run()
    took[name] = time.perf_counter() - began
    return value
rest = [Activation("relu") for _ in range(n - 1)]
model = timed("build", lambda: fastnn.Sequential([Dense(1, input_shape=(1,)), *rest]))
model.compile("sgd", "mse")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model")
    timed("save", lambda: model.save(path))
    timed("load", lambda: fastnn.models.load_model(path))
print(json.dumps(took))
"""


def measure(folder, n):
    """Seconds of each part, with the fastnn of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(Path(folder).resolve())}
    command = [sys.executable, "-P", "-c", WORK, str(n)]  # -P: not the fastnn of the folder that it is started in
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(found.stdout)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = f"here={Path(__file__).resolve().parents[1]}"
    parser.add_argument("checkouts", nargs="*", default=[here], metavar="NAME=FOLDER")
    parser.add_argument("--layers", default="8000", metavar="N,M")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    trees = [tuple(text.split("=", 1)) for text in options.checkouts]
    print("| layers | checkout | build s | save s | load s | load: times half the layers |")
    print("|---:|---|---:|---:|---:|---:|")
    for n in map(int, options.layers.split(",")):
        times = {label: [] for label, _ in trees}
        halves = {label: [] for label, _ in trees}
        for _ in range(options.repeats):
            for label, folder in trees:
                halves[label].append(measure(folder, n // 2)["load"])
                times[label].append(measure(folder, n))
        for label, rounds in times.items():
            least = {name: min(each[name] for each in rounds) for name in ("build", "save", "load")}
            figures = " | ".join(f"{seconds:.3f}" for seconds in least.values())
            print(f"| {n} | {label} | {figures} | {least['load'] / min(halves[label]):.1f} |", flush=True)


if __name__ == "__main__":
    main()
