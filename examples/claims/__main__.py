"""Run every experiment, print the verdicts and the times; `--docs` also writes them to the page and its figures.

    python -P examples/claims                  everything, in less than five minutes on two cores
    python -P examples/claims --small          few seeds, digits only
    python -P examples/claims softmax elu      some of the scripts
"""

import argparse
import concurrent.futures
import importlib
import inspect
import multiprocessing
import os
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # `python -m examples.claims` has it as a package

import protocol  # noqa: E402

import fastnn  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "claims.md"
ORDER = """vanishing_gradients initialisation zero_initialisation dying_relus bias_001 activation_ranking leaky_relu elu
    selu rrelu_and_prelu maxout_and_sparsity zero_centred activation_costs batch_normalisation batch_norm_noise
    exploding_gradients clipping_direction softmax residuals learning_rate_schedules early_stopping weight_decay
    transfer_and_pretraining gradient_checking""".split()
TIMED = {"activation_costs", "elu", "maxout_and_sparsity", "batch_normalisation", "softmax", "gradient_checking"}
LONG = {"activation_ranking", "rrelu_and_prelu", "transfer_and_pretraining"}


def run_all(names, small):
    """Name, result and seconds of each script: those that time something alone, then the others, one to a core."""
    names, others = [n for n in names if n in TIMED], [n for n in names if n not in TIMED]
    yield from ((name, protocol.run_script(name, small)) for name in names)
    if len(others) < 2:
        yield from ((name, protocol.run_script(name, small)) for name in others)
        return
    # Started as new processes, so that they import what this one imports, wherever it came from. Results do not depend
    # on the thread count. The long ones first: the last core to finish is waited for.
    others.sort(key=lambda name: name not in LONG)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"),
                                                fastnn.set_num_threads, (1,)) as pool:  # fmt: skip
        futures = {pool.submit(protocol.run_script, name, small): name for name in others}
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result()


def heading(script):
    title = inspect.getdoc(script).split("\n")[0].rstrip(".")
    return title, re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def rows(script, found):
    """One line per claim, with the number of settings of each outcome."""
    _, anchor = heading(script)
    for key, (notes, says) in script.CLAIMS.items():
        words = [o.word for o in found[key]]
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        yield f"| {notes} | {says} | **{protocol.verdict(found[key])}** | {counts} | [figures](#{anchor}) |"


def section(script, found):
    title, name = heading(script)[0], script.__name__
    yield f"### {title}\n"
    yield f"`examples/claims/{name}.py`\n\n{inspect.getdoc(script).partition(chr(10) * 2)[2]}\n"
    yield script.MEANING.strip() + "\n"
    yield f"![{title}](claims/{name}.svg)\n"
    for key, (_, says) in script.CLAIMS.items():
        yield f"- {says} **{protocol.verdict(found[key]).capitalize()}.**"
        yield from (f"  - {o.setting}: *{o.word}*, {o.values}" for o in found[key])


def put(text, marker, lines):
    """Replace what stands between two comments of the page."""
    start, end = f"<!-- {marker} -->\n", f"<!-- end of {marker} -->"
    head, found, rest = text.partition(start)
    if not found:
        raise ValueError(f"{PAGE}: expected a line {start.strip()}")
    return head + start + "\n" + "\n".join(lines).strip() + "\n\n" + end + rest.partition(end)[2]


def write_docs(results):
    """Of the experiments that ran; the rest of the page stays as it is."""
    text = PAGE.read_text(encoding="utf-8")
    (PAGE.parent / "claims").mkdir(exist_ok=True)
    table = ["| notes | claim | verdict | settings | experiment |", "|---|---|---|---|---|"]
    for name in ORDER:
        script = importlib.import_module(name)
        if script in results:
            found, values = results[script]
            table += rows(script, found)
            text = put(text, name, section(script, found))
            protocol.write(script.draw(values), PAGE.parent / "claims" / f"{name}.svg")
        else:
            table += [line for line in text.split("\n") if line.endswith(f"(#{heading(script)[1]}) |")]
    PAGE.write_text(put(text, "verdicts", table), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"default: all of {', '.join(ORDER)}")
    parser.add_argument("--small", action="store_true", help="few seeds, and the digits only")
    parser.add_argument("--docs", action="store_true", help="write docs/claims.md and docs/claims/*.svg")
    options = parser.parse_args()
    unknown = sorted(set(options.scripts) - set(ORDER))
    if unknown:
        parser.error(f"SCRIPT: expected some of {', '.join(ORDER)}, got {', '.join(unknown)}")
    if options.docs and options.small:
        parser.error("--docs: expected the full setting, got --small")
    results, start = {}, time.perf_counter()
    for name, (result, seconds) in run_all(options.scripts or ORDER, options.small):
        script = importlib.import_module(name)
        results[script] = result
        print(f"\n{inspect.getdoc(script).splitlines()[0]}  ({name}, {seconds:.1f} s)", flush=True)
        print(*protocol.lines(script.CLAIMS, result[0]), sep="\n", flush=True)
    print("\nVERDICTS")
    for script in sorted(results, key=lambda script: ORDER.index(script.__name__)):
        found = results[script][0]
        for key, (notes, says) in script.CLAIMS.items():
            print(f"{protocol.verdict(found[key]):>14}  [{notes}] {says}")
    print(f"\n{len(results)} experiments, {time.perf_counter() - start:.0f} s")
    if options.docs:
        write_docs(results)


if __name__ == "__main__":
    main()
