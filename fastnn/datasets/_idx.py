"""Reader of the IDX format (Yann LeCun's MNIST files), plain or gzip-compressed.

(a) Files are not trusted: magic, rank and sizes are checked before anything is
    allocated, and every malformed input raises a ``ValueError`` that names the file.
(b) The uncompressed size of a compressed file is unknown, but deflate compresses at most 1032 : 1,
    so a header that claims more than this is an error before the allocation as well.
"""

import math
import zlib
from pathlib import Path

import numpy as np

from .._base.files import naming

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DEFLATE_LIMIT = 1032
_MAX_RANK = 8


def read_idx(path):
    """Read one IDX file.

    Parameters
    ----------
    path : str or path-like
        The file. It is decompressed if it starts like a gzip file, whatever its name.

    Returns
    -------
    ndarray
        C-contiguous, in the byte order of this machine.

    Raises
    ------
    ValueError
        If the file is not IDX, shorter or longer than its header says, or corrupted.
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    with naming(path), open(path, "rb") as raw:
        size = raw.seek(0, 2)
        raw.seek(0)
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            return _parse(path, raw, size)
        import gzip  # only when needed, for a fast import of the package

        try:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _parse(path, unpacked, size * _DEFLATE_LIMIT)
        except EOFError:
            raise ValueError(f"{path}: truncated gzip file") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: corrupted gzip file ({error})") from None


def _parse(path, file, limit):
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise ValueError(f"{path}: expected an IDX file, got one that starts with {magic.hex(' ') or 'nothing'}")
    dtype, rank = np.dtype(_DTYPES[magic[2]]), magic[3]
    if not 1 <= rank <= _MAX_RANK:
        raise ValueError(f"{path}: expected IDX rank 1 to {_MAX_RANK}, got {rank}")
    header = file.read(4 * rank)
    if len(header) < 4 * rank:
        raise ValueError(f"{path}: truncated IDX header")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > limit - 4 - len(header):
        raise ValueError(f"{path}: truncated: an IDX array of shape {shape} needs {wanted} bytes")
    data = np.empty(wanted, np.uint8)
    view, done = memoryview(data), 0
    while done < wanted:
        got = file.readinto(view[done:])
        if not got:
            raise ValueError(f"{path}: truncated: {done} of {wanted} bytes of shape {shape}")
        done += got
    if file.read(1):
        raise ValueError(f"{path}: more data than its shape {shape} says")
    return data.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_pair(folder, prefix, suffix=".gz"):
    """Images and labels ``(n, rows, columns)`` and ``(n,)`` of one part of an MNIST-like set."""
    pair = []
    for kind, rank in (("images", 3), ("labels", 1)):
        path = Path(folder) / f"{prefix}-{kind}-idx{rank}-ubyte{suffix}"
        array = read_idx(path)
        if array.dtype != np.uint8 or array.ndim != rank:
            raise ValueError(
                f"{path}: expected uint8 of rank {rank}, got {array.dtype} of shape {array.shape}"
            )
        pair.append(array)
    images, labels = pair
    if len(images) != len(labels):
        raise ValueError(
            f"{folder}: expected as many labels as images, got {len(labels)} labels and {len(images)} images in the"
            f" files {prefix}-*"
        )
    return images, labels
