"""Atomic replacement of files: a file is always the complete old or the complete new one.

(a) The new bytes go into a temporary file in the same directory, so that the last step is a rename
    within one file system, which is atomic.
(b) The data are flushed and synchronised before the rename: otherwise, after a power failure, the name
    could refer to blocks that were never written. The directory is synchronised after it, for the name itself.
(c) Any failure before the rename leaves the old file; the temporary file is removed. Only a kill
    leaves a temporary file, with a name that begins with a dot and ends in ``.tmp``.
"""

import errno
import os
import stat

from .._base.files import naming

_write = os.write  # replaced in tests to simulate failures


def replace(path, chunks):
    """Replace the file `path` atomically.

    Parameters
    ----------
    path : str or path-like
        A symbolic link is followed: its target is replaced.
    chunks : iterable of bytes-like

    Raises
    ------
    OSError
        The error of the system, with the name of the file; the old file, if any, is unchanged.
    """
    with naming(path):
        _replace(os.path.realpath(os.fsdecode(path)), chunks)


def _replace(path, chunks):
    mode = None
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            kind = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
            raise OSError(kind, f"{os.strerror(kind)} (expected a file to replace)", path)
        mode = stat.S_IMODE(found.st_mode)
    except FileNotFoundError:
        pass
    descriptor, temporary = _new_file(path)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            for chunk in chunks:
                _write_all(descriptor, chunk)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:  # interrupted just after the rename
            pass
        raise
    sync_folder(os.path.dirname(path))


def _new_file(path):
    folder, name = os.path.split(path)
    # Not mkstemp, whose files are accessible only to the owner, whatever the umask.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        short = os.fsdecode(os.fsencode(name)[:200])
        temporary = os.path.join(folder, f".{short}.{os.urandom(6).hex()}.tmp")
        try:
            return os.open(temporary, flags, 0o666), temporary
        except FileExistsError:
            continue
        except OSError as error:  # the name of the temporary file would be meaningless to the user
            raise OSError(error.errno, f"{error.strerror} (a new file in the directory {folder})", path) from None


def _write_all(descriptor, chunk):
    left = memoryview(chunk).cast("B")
    while left:
        left = left[_write(descriptor, left) :]


def sync_folder(folder):
    """Wait until the names in a directory are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:  # not supported by some file systems
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(descriptor)
