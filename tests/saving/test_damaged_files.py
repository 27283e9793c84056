"""Damaged and hostile files: a FormatError, no code is run, nothing large is allocated."""

import copy
import hashlib
import json
import os
import random
import sys
import time

import numpy as np
import pytest
from saving_tools import LABELS, SCHEDULE, X, classifier, tiny

import fastnn
from fastnn.models import load_model
from fastnn.saving import FormatError, container


@pytest.fixture
def watched():
    """What happens beside reading one file: other files opened, code compiled, modules imported."""
    events = []
    hook_state["events"] = events
    yield events
    hook_state["events"] = None


hook_state = {"events": None, "installed": False}
WATCHED = {"open", "exec", "compile", "import", "subprocess.Popen", "os.system", "pickle.find_class", "socket.connect"}


def install_hook():
    if not hook_state["installed"]:
        hook_state["installed"] = True

        def hook(event, arguments):
            if hook_state["events"] is not None and event in WATCHED:
                hook_state["events"].append((event, arguments[0]))

        sys.addaudithook(hook)


def others(watched, path):
    """Events that are not the opening of the file, or of its descriptor."""
    return [e for e in watched if e[0] != "open" or not (e[1] == str(path) or isinstance(e[1], int))]


def try_to_load(path, shapes, watched):
    """A FormatError, or a model of the right shapes with finite weights; nothing else is touched. True if it loaded."""
    watched.clear()
    try:
        model = load_model(path)
    except FormatError:
        model = None
    assert not others(watched, path)
    if model is None:
        return False
    assert [w.shape for w in model.get_weights()] == shapes
    assert all(np.isfinite(w).all() for w in model.get_weights())
    return True


@pytest.mark.slow
def test_every_truncation_and_every_flip(tmp_path, watched):
    install_hook()
    path, model = tmp_path / "m", tiny()
    model.save(path)
    raw, shapes = path.read_bytes(), [w.shape for w in model.get_weights()]
    load_model(path)  # imports what is needed
    assert try_to_load(path, shapes, watched)
    for n in range(len(raw)):
        path.write_bytes(raw[:n])
        assert not try_to_load(path, shapes, watched), n
    path.write_bytes(raw + b"x")
    assert not try_to_load(path, shapes, watched)
    rng, loaded = random.Random(1), 0
    for at in range(len(raw)):
        for bits in {1 << rng.randrange(8), rng.randrange(1, 256)}:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :])
            loaded += try_to_load(path, shapes, watched)
    assert loaded == 0  # the checksum sees every one of them


def resigned(header, body):
    """A file with a right checksum, as somebody could make it in bad faith."""
    header = dict(header, __metadata__=dict(header["__metadata__"], sha256=container.BLANK))
    blank = json.dumps(header).encode()
    digest = hashlib.sha256(blank + body).hexdigest()
    return len(blank).to_bytes(8, "little") + blank.replace(container.BLANK.encode(), digest.encode()) + body


def parts(raw):
    n = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + n]), raw[8 + n :]


def mutated(value, rng):
    """A copy of JSON with one place changed."""
    value = copy.deepcopy(value)
    places = []

    def walk(node):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            places.append((node, key))
            walk(child)

    walk(value)
    node, key = rng.choice(places)
    new = [None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, -0.5, "", "x" * 50, "softmax", "Dense", [], {}, [[]],
           {"$float": "nan"}, {"$array": ["<f8", [1, 2]]}, {"$array": ["O", ["a"]]}, {"$function": "eval"},
           {"$tuple": [1]}, {"class_name": "Dense", "config": {"units": 2}},
           {"class_name": "os.system", "config": {}}]  # fmt: skip
    if isinstance(node, dict) and rng.random() < 0.2:
        node.pop(key)
    else:
        node[key] = rng.choice(new)
    return value


@pytest.mark.slow
def test_files_made_in_bad_faith(tmp_path, watched):
    """The header and the configuration changed at random, checksum made right again."""
    install_hook()
    path, model = tmp_path / "m", classifier(fastnn.Adam(SCHEDULE))
    model.fit(X, LABELS, verbose=0)
    model.save(path)
    header, body = parts(path.read_bytes())
    config = json.loads(header["__metadata__"]["config"])
    path.write_bytes(resigned(header, body))
    load_model(path)
    for name in fastnn.__all__:  # the suggestion for a wrong name looks through them: it opens our own modules
        dir(getattr(fastnn, name))
    seed = int(os.environ.get("FASTNN_FUZZ_SEED", "1"))
    rng, errors = random.Random(seed), 0
    for i in range(3000):
        if i % 3:
            text = json.dumps(mutated(config, rng))
            new = dict(header, __metadata__=dict(header["__metadata__"], config=text))
        else:
            new = mutated(header, rng)
            if not isinstance(new.get("__metadata__"), dict):
                continue
        try:
            path.write_bytes(resigned(new, body))
        except (TypeError, ValueError):
            continue
        watched.clear()
        try:
            found = load_model(path)
        except FormatError:
            errors += 1
        else:
            assert all(w.size < 1000 for w in found.get_weights()), (seed, i)
        assert not others(watched, path), (seed, i)
    assert errors > 1000


def test_huge_sizes_allocate_nothing(tmp_path):
    path = tmp_path / "m"
    tiny().save(path)
    header, body = parts(path.read_bytes())
    [name] = [n for n in header if n.startswith("weights/") and n.endswith("/kernel")]

    def tensor(**change):
        return dict(header, **{name: dict(header[name], **change)})

    def configured(units):
        config = json.loads(header["__metadata__"]["config"])
        config["model"]["config"]["layers"][-1]["config"]["units"] = units
        return dict(header, __metadata__=dict(header["__metadata__"], config=json.dumps(config)))

    bad = [tensor(shape=[2**40, 2]), tensor(shape=[2**63]), tensor(shape=[-1, 6]), tensor(shape=[0, 2**62]),
           tensor(data_offsets=[0, 2**50]), tensor(data_offsets=[24, 0]), tensor(dtype="F8_E4M3"), tensor(dtype="O"),
           tensor(shape=[6]), tensor(shape=[[3], 2]), tensor(shape=[1] * 40 + [3, 2]), tensor(shape=[3.0, 2]),
           configured(10**9), configured(2**62), configured(-2), configured(True)]  # fmt: skip
    for new in bad:
        path.write_bytes(resigned(new, body))
        before = time.perf_counter()
        with pytest.raises(FormatError):
            load_model(path)
        assert time.perf_counter() - before < 60  # gigabytes would have to be written for what is asked for
    deep = b'{"__metadata__":' + b"[" * 100000 + b"]" * 100000 + b"}"
    path.write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(FormatError):
        load_model(path)
    for length in (2**63, 2**64 - 1, 2**24 + 1):
        path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
        with pytest.raises(FormatError, match="header"):
            load_model(path)
    twice = json.dumps(header)[:-1] + ', "__metadata__": {}}'
    path.write_bytes(len(twice).to_bytes(8, "little") + twice.encode() + body)
    with pytest.raises(FormatError, match="duplicate key"):
        load_model(path)
