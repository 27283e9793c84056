"""python -m fastnn, as a person runs it: in a process of its own, from another folder."""

import os
import re
import signal
import subprocess
import sys

import pytest

from fastnn.datasets import fashion_mnist

FAST = ["--epochs", "1"]


def run(*arguments, cwd, ok=True, **env):
    result = subprocess.run(
        [sys.executable, "-P", "-m", "fastnn", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (result.returncode == 0) == ok, result.stdout + result.stderr
    return result


def accuracy(text):
    found = re.search(
        r"^test accuracy (\d\.\d{4}), test loss (\d+\.\d+), ([\d,]+) samples/s, (\d+\.\d\d) s$",
        text,
        re.M,
    )
    assert found, text
    assert int(found[3].replace(",", "")) > 0
    return float(found[1])


def test_digits_reach_97_percent_and_a_pipe_gets_plain_lines(tmp_path):
    result = run(cwd=tmp_path)
    assert result.stderr == ""
    assert accuracy(result.stdout) >= 0.97
    first = result.stdout.splitlines()[0]
    assert re.fullmatch(
        r"fastnn \d+\.\d+\.\S+ \| (scalar|avx2|avx512|amx) \| \d+ threads? \| BLAS \S.*", first
    )
    assert "Total params" in result.stdout
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f\x9b]", result.stdout) == []
    # One line an epoch.
    assert len(re.findall(r"^.*\bloss: .*\baccuracy: ", result.stdout, re.M)) == 20


def test_same_seed_same_result_for_any_number_of_threads(tmp_path):
    def outcome(*arguments):
        text = run("--epochs", "2", *arguments, cwd=tmp_path).stdout
        return re.search(r"test accuracy .*?, test loss [^,]+", text)[0]

    assert outcome("--threads", "1") == outcome("--threads", "3")
    assert outcome("--seed", "1") != outcome("--seed", "2")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes(tmp_path, dtype):
    assert accuracy(run("--epochs", "4", "--dtype", dtype, cwd=tmp_path).stdout) > 0.8


def test_every_model_trains(tmp_path):
    from fastnn.models import presets

    assert {"bn-elu", "selu-100", "relu", "best"} <= set(presets.names())
    for name in presets.names():
        # A hundred layers make any rounding large, and need their time; chance is 0.1.
        text = run("--model", name, "--epochs", "8" if "100" in name else "3", cwd=tmp_path).stdout
        assert accuracy(text) > (0.3 if "100" in name else 0.7), (name, text)


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    run(*FAST, "--plot", "curves.png", cwd=tmp_path)
    assert (tmp_path / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    run(*FAST, "--plot", "curves.svg", cwd=tmp_path)
    assert "<svg" in (tmp_path / "curves.svg").read_text()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--data", "mnist"], "invalid choice"),
        (["--model", "resnet"], "invalid choice"),
        (["--epochs", "0"], "at least 1"),
        (["--epochs", "many"], "invalid integer value"),
        (["--threads", "0"], "at least 1"),
        (["--threads", "1000000"], "n:"),
        (["--seed", "-1"], "at least 0"),
        (["--dtype", "float16"], "invalid choice"),
        (["--plot", "curves.xyz"], "expected a file name that ends in one of"),
        (["--plot", "nowhere/curves.png"], "cannot write"),
    ],
)
def test_wrong_arguments_end_before_training(tmp_path, arguments, words):
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    result = run(*arguments, cwd=tmp_path, ok=False)
    assert result.returncode == 2 and words in result.stderr
    assert "Traceback" not in result.stderr and "loss:" not in result.stdout


def test_missing_data_says_how_to_get_it(tmp_path):
    if os.path.isdir(fashion_mnist._SYSTEM_FOLDER):
        # A damaged file is the other way to have no data.
        for name in fashion_mnist._FILES:
            (tmp_path / name).write_bytes(b"\0\0\x08")
        words = "expected an IDX file"
    else:
        words = "dataset-fashion-mnist"
    result = run("--data", "fashion-mnist", cwd=tmp_path, ok=False, FASTNN_DATA=str(tmp_path))
    assert result.returncode == 2 and words in result.stderr and "Traceback" not in result.stderr


def test_an_instruction_set_is_forced_or_refused(tmp_path):
    assert "| scalar |" in run(*FAST, cwd=tmp_path, FASTNN_ISA="scalar").stdout
    result = run(*FAST, cwd=tmp_path, ok=False, FASTNN_ISA="sse9")
    assert "sse9" in result.stderr and "scalar" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_soon_without_a_traceback(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "fastnn", "--epochs", "100000"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if "loss:" in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)  # its epochs would take hours
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in errors


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "fastnn"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141 and errors == ""


@pytest.mark.slow
@pytest.mark.parametrize("model, wanted", [("bn-elu", 0.88), ("best", 0.895)])
def test_fashion_mnist_reaches_what_the_readme_says(tmp_path, model, wanted):
    if not os.path.isdir(fashion_mnist._SYSTEM_FOLDER):
        assert os.environ.get("FASTNN_REQUIRE_DATA", "0") == "0", "dataset-fashion-mnist is missing"
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    assert accuracy(run("--data", "fashion-mnist", "--model", model, cwd=tmp_path).stdout) >= wanted
