"""Recognition of files in other formats by their first bytes."""

import os

from .._base.files import warn_once

LOOK_AT = 2056  # HDF5 may start at 0, 512, 1024, 2048, …
HDF5 = b"\x89HDF\r\n\x1a\n"
TEXT = "fastnn reads only models saved by fastnn, with model.save or model.save_weights"
KERAS = "use get_weights() in Keras and set_weights() here to transfer the weights"

BEGINNINGS = [  # longer ones first
    (b"\x93NUMPY", "a NumPy array file (.npy)", "load it with numpy.load and use set_weights"),
    (b"\x89PNG", "a PNG image", None),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"\x78\x9c", "compressed with zlib (possibly a joblib pickle)", None),
]

# Contents that other programs expect in files with these suffixes.
SUFFIXES = {
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), "HDF5, as Keras 2 writes"),
    ".keras": "a zip file of Keras 3",
    ".onnx": "an ONNX model",
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".torchscript"), "a PyTorch file"),
    **dict.fromkeys((".pb", ".tf"), "a TensorFlow model"),
    ".tflite": "a TensorFlow Lite model",
    **dict.fromkeys((".mlmodel", ".mlpackage"), "a Core ML model"),
    ".gguf": "a llama.cpp file",
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "a pickle"),
    **dict.fromkeys((".npy", ".npz"), "NumPy arrays"),
    ".mat": "a MATLAB file",
    **dict.fromkeys((".json", ".yaml", ".yml", ".csv", ".txt"), "text"),
    **dict.fromkeys((".zip", ".gz", ".bz2", ".xz", ".tar"), "an archive"),
}


def warn_of_suffix(path):
    """Warn, once for each suffix, of file names that other programs associate with other formats."""
    suffix = os.path.splitext(os.fsdecode(path))[1].lower()
    if suffix in SUFFIXES:
        warn_once(
            ("suffix", suffix),
            f"{os.fsdecode(path)}: other programs expect {SUFFIXES[suffix]} in files with suffix {suffix}; this file is"
            " in fastnn's format (safetensors), which only fastnn.models.load_model and load_weights read as a model."
            " Prefer the suffix .fastnn",
        )


def recognise(head, size):
    """Describe a file of `size` bytes by its first bytes."""
    return f"{_what(head, size)}. {TEXT}."


def _what(head, size):
    if not size:
        return "the file is empty"
    for at in (0, 512, 1024, 2048):
        if head[at : at + 8] == HDF5:
            return f"this is an HDF5 file, as written by Keras 2 (.h5); {KERAS}"
    if head[:2] == b"PK" and head[2:4] in (b"\x03\x04", b"\x05\x06"):
        return _zip(head)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "this is a pickle, which can run arbitrary code when loaded; it was not opened"
    for start, what, advice in BEGINNINGS:
        if head.startswith(start):
            return f"this is {what}" + (f"; {advice}" if advice else "")
    if head[4:8] == b"TFL3":
        return "this is a TensorFlow Lite model"
    if head.lstrip()[:1] in (b"{", b"["):
        return "this is JSON text (possibly the configuration of a model) without weights"
    if head[:1] == b"\x08" and (b"onnx" in head or b"pytorch" in head or b"\x12" in head[:4]):
        return "this looks like an ONNX model"
    return f"not a model file: {size} bytes that begin with {head[:8]!r}"


def _zip(head):
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.endswith(b".npy"):
        return "this is a zip file of NumPy arrays (.npz); use numpy.load and set_weights"
    if b"/" in name and (name.endswith((b"data.pkl", b".format_version")) or b"/data/" in name):
        return "this is a zip file with a pickle, as written by PyTorch; it was not opened"
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return f"this is a zip file, as written by Keras 3 (.keras); {KERAS}"
    return f"this is a zip file; if it was written by Keras 3 (.keras), {KERAS}"


def folder(path):
    """Describe a directory."""
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return f"this is a directory with a TensorFlow SavedModel; {KERAS}. {TEXT}."
    return f"this is a directory. {TEXT}."
