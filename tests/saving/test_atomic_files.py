"""A file is the old one or the new one, whatever fails while it is written."""

import gc
import os
import random
import signal
import time

import numpy as np
import pytest
from saving_tools import same, tiny

import fastnn
from fastnn.layers import Dense
from fastnn.models import Sequential, load_model
from fastnn.saving import atomic


@pytest.mark.parametrize("broken", ["write", "fsync", "replace", "short"])
def test_a_failing_disk_leaves_the_old_file(broken, tmp_path, monkeypatch):
    path = tmp_path / "m"
    tiny(1).save(path)
    old, calls = path.read_bytes(), {"n": 0}

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    for n in range(1, 9):
        calls["n"] = 0
        with monkeypatch.context() as patch:
            if broken in ("write", "short"):

                def write(descriptor, data, n=n):
                    calls["n"] += 1
                    if broken == "write" and calls["n"] == n:
                        fail()
                    return os.write(descriptor, data[:5] if broken == "short" else data)

                patch.setattr(atomic, "_write", write)
            else:
                patch.setattr(os, broken, fail)
            if broken == "short" or (broken == "write" and n > 7):  # 2 of the header, 4 arrays and the history
                tiny(1).save(path)
            else:
                with pytest.raises(OSError, match="No space left"):
                    tiny(2).save(path)
        assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["m"]
    tiny(2).save(path)
    assert load_model(path).get_weights()[0][0, 0] == 2


@pytest.mark.slow
def test_a_kill_leaves_the_old_or_the_new_file(tmp_path):
    """200 times: a process that saves one of two models in turn is killed at a random moment of a random save."""
    fastnn.set_random_seed(0)
    path, rng, seen = tmp_path / "m", random.Random(0), set()
    models = []
    for value in (1.0, 2.0):
        model = Sequential([Dense(100, input_shape=(300,))])
        model.set_weights([np.full_like(w, value) for w in model.get_weights()])
        models.append(model)
    start = time.perf_counter()
    models[0].save(path)
    seconds = time.perf_counter() - start
    gc.disable()  # a collection in the child would only slow it
    try:
        for _ in range(200):
            saved, says = os.pipe()
            child = os.fork()
            if child == 0:
                while True:
                    models.reverse()
                    models[0].save(path)
                    os.write(says, b".")
            models.reverse()
            for _ in range(rng.randrange(3)):  # however slow this machine is
                os.read(saved, 1)
            time.sleep(rng.uniform(0, 2 * seconds))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(saved), os.close(says)
            found = {float(v) for w in load_model(path).get_weights() for v in np.unique(w)}
            assert len(found) == 1, found
            seen |= found
    finally:
        gc.enable()
    assert seen == {1.0, 2.0}


def test_what_a_kill_leaves_behind_is_no_hindrance(tmp_path):
    (tmp_path / ".m.0123456789ab.tmp").write_bytes(b"half")
    tiny().save(tmp_path / "m")
    assert same(load_model(tmp_path / "m"), tiny())
