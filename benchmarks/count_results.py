"""python count_results.py RESULTS_DIR MINIMUM - fails unless so many benchmarks ran, all of them to the end."""

import json
import math
import sys
from pathlib import Path


def main(folder, minimum):
    ran, failed, cases = set(), set(), 0
    for path in Path(folder).glob("*/*.json"):
        if path.name == "machine.json":
            continue
        content = json.loads(path.read_text())
        column = content["result_columns"].index("result")
        for name, row in content["results"].items():
            values = row[column] if isinstance(row[column], list) else [row[column]]
            if any(value is None for value in values):
                failed.add(name)
            measured = [v for v in values if v is not None and not math.isnan(v)]
            cases += len(measured)
            if measured:
                ran.add(name)
    print(f"benchmarks: {len(ran)} ran with {cases} cases, {len(failed)} failed")
    for name in sorted(failed):
        print(f"    failed: {name}")
    if failed or len(ran) < int(minimum):
        sys.exit(f"expected at least {minimum} benchmarks and no failure")


if __name__ == "__main__":
    main(*sys.argv[1:])
