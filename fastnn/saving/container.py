"""The container format: safetensors, with a configuration in its metadata and a checksum over the whole file.

(a) Layout: 8 bytes, the length N of the header; N bytes of JSON: for every tensor its dtype, shape
    and offsets, and under ``__metadata__`` strings of fastnn; then the tensors, without gaps.
(b) Everything in the header is checked against the size of the file before it is used: so nothing
    larger than the file is allocated, and the tensors cover the rest of it exactly.
(c) ``sha256`` in the metadata is the hash of the whole file with zeros in its own place. It detects accidental
    corruption; the checks of (b) and of the configuration protect against malicious files.
"""

import errno
import hashlib
import json
import os
import stat

import numpy as np

from . import atomic, foreign

MAX_HEADER = 2**24
FORMAT, VERSION = "fastnn", 1
DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "|u1"}
CODES = {v: k for k, v in DTYPES.items()}
BLANK = "0" * 64
MAX_DIMENSIONS = 32


class FormatError(ValueError):
    """A file that is not a fastnn model, is corrupted, or contains unknown names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     try:
    ...         fastnn.models.load_model(file.name)
    ...     except fastnn.saving.FormatError as error:
    ...         print(str(error).split(": ", 1)[1])
    the file is empty. fastnn reads only models saved by fastnn, with model.save or model.save_weights.
    """


# --- writing ---


def write(path, config, tensors):
    """Write a configuration and named arrays atomically.

    Parameters
    ----------
    path : str or path-like
    config : str
    tensors : dict of ndarray
    """
    foreign.warn_of_suffix(path)
    arrays = {n: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for n, a in tensors.items()}
    entries, at = {}, 0
    for name, array in arrays.items():
        entries[name] = {
            "dtype": CODES[array.dtype.newbyteorder("<").str],
            "shape": list(np.shape(tensors[name])),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes

    def header(digest):
        own = {"format": FORMAT, "version": str(VERSION), "config": config, "sha256": digest}
        text = json.dumps({"__metadata__": own, **entries}, separators=(",", ":"), allow_nan=False)
        return text.encode() + b" " * (-len(text) % 8)

    blank = header(BLANK)
    if len(blank) > MAX_HEADER:
        raise ValueError(f"model: expected a header of at most {MAX_HEADER} bytes, got {len(blank)} bytes")
    chunks = [memoryview(a.reshape(-1)).cast("B") for a in arrays.values() if a.size]
    digest = _digest(blank, chunks)
    atomic.replace(path, [len(blank).to_bytes(8, "little"), header(digest), *chunks])


def _digest(header, chunks):
    sha = hashlib.sha256(header)
    for chunk in chunks:
        sha.update(chunk)
    return sha.hexdigest()


# --- reading ---


def read(path):
    """Read the configuration and the arrays of a file.

    Returns
    -------
    str, dict of ndarray

    Raises
    ------
    FormatError
        For a file that was not written by `write`.
    OSError
        If there is no such file, or it cannot be read.
    """
    # Non-blocking, so as not to wait for the writer of a pipe, which is an error below.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise FormatError(foreign.folder(path))
        if not stat.S_ISREG(found.st_mode):
            raise FormatError("expected a file, got a pipe, socket or device")
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return _read(file, found.st_size)
    finally:
        os.close(descriptor)


def _fill(file, view):
    view, at = memoryview(view).cast("B"), 0
    while at < len(view):
        try:
            n = file.readinto(view[at:])
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            raise
        if not n:
            raise FormatError("the file ended while it was read: another process is writing to it")
        at += n


def _read(file, size):
    head = bytearray(min(size, foreign.LOOK_AT))
    _fill(file, head)
    length = int.from_bytes(head[:8], "little")
    if len(head) < 10 or head[8:9] != b"{" or foreign.HDF5 in bytes(head[:8]):
        raise FormatError(foreign.recognise(bytes(head), size))
    if length > min(size - 8, MAX_HEADER):
        raise FormatError(
            f"the file is truncated or corrupted: expected a header of at most {min(size - 8, MAX_HEADER)} bytes, got"
            f" {length}"
        )
    raw = bytearray(length)
    file.seek(8)
    _fill(file, raw)
    raw = bytes(raw)
    metadata, places = parse_header(raw, size - 8 - length)
    arrays, chunks = {}, []
    for name, dtype, shape in places:
        arrays[name] = np.empty(shape, dtype)
        if arrays[name].size:
            chunks.append(memoryview(arrays[name].reshape(-1)).cast("B"))
            _fill(file, chunks[-1])
    digest = metadata["sha256"].encode()
    if raw.count(digest) != 1 or len(digest) != 64:
        raise FormatError("the file is corrupted: invalid checksum field")
    if _digest(raw.replace(digest, BLANK.encode()), chunks).encode() != digest:
        raise FormatError("the file is corrupted, or was modified by another program: wrong checksum")
    native = {n: a.astype(a.dtype.newbyteorder("="), copy=False) for n, a in arrays.items()}
    return metadata["config"], native


def parse_header(raw, data_size):
    """Check a header against the size of the following data.

    Returns
    -------
    dict of str
        The metadata: "format", "version", "config", "sha256".
    list of (name, dtype, shape)
        In the order of the tensors in the file, without gaps.
    """
    header = parse_json(raw)
    if not isinstance(header, dict):
        raise FormatError("the file is corrupted: expected an object in the header")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise FormatError(
            f"this is a safetensors file that was not written by fastnn. {foreign.TEXT}."
            " Read its arrays with safetensors.numpy.load_file and pass them to set_weights"
        )
    if not isinstance(metadata.get("version"), str) or not metadata["version"].isdecimal():
        raise FormatError("the file is corrupted: missing version")
    if metadata["version"] != str(VERSION):
        raise FormatError(
            f"expected version {VERSION} of the format, got {metadata['version'][:20]}; update fastnn to read it"
        )
    if set(metadata) != {"format", "version", "config", "sha256"}:
        raise FormatError("the file is corrupted: unexpected metadata")
    if not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError("the file is corrupted: expected strings in the metadata")
    places = sorted((_place(n, e) for n, e in header.items()), key=lambda p: (p[0], p[1]))
    end = 0
    for begin, stop, name, _, _ in places:
        if begin != end:
            raise FormatError(f"the file is corrupted: a gap or an overlap before tensor {name!r}")
        end = stop
    if end != data_size:
        raise FormatError(f"the file is truncated or corrupted: expected {end} bytes of tensors, got {data_size}")
    return metadata, [(name, dtype, shape) for _, _, name, dtype, shape in places]


def _place(name, entry):
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"the file is corrupted: tensor {name!r} without dtype, shape and offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise FormatError(f"tensor {name!r}: expected dtype {', '.join(DTYPES)}, got {str(entry['dtype'])[:20]!r}")
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        whole = isinstance(numbers, list) and all(type(n) is int and 0 <= n for n in numbers)
        if not whole or len(numbers) > MAX_DIMENSIONS or any(n >= 2**62 for n in numbers):
            raise FormatError(f"the file is corrupted: invalid {what} of tensor {name!r}")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    size = dtype.itemsize
    for n in shape:
        size *= n
    # NumPy multiplies the other dimensions even if one is 0.
    if np.prod([max(n, 1) for n in shape], dtype=object) >= 2**60:
        raise FormatError(f"the file is corrupted: invalid shape of tensor {name!r}")
    if len(offsets) != 2 or offsets[1] - offsets[0] != size:
        raise FormatError(f"the file is corrupted: shape and data_offsets of tensor {name!r} do not match")
    return offsets[0], offsets[1], name, dtype, tuple(shape)


def parse_json(text):
    """Parse strict JSON: no NaN, no duplicate keys; FormatError for any error."""
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the file is corrupted: {error}") from None


def _object(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse(name):
    raise ValueError(f"{name} is not valid JSON")
