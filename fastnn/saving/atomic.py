"""A file is the old one or the new one, never half of one.

(a) The new bytes go into a temporary file in the same folder, so that the last step is a rename
    within one file system, which is atomic.
(b) Flushed and synchronised before the rename: else, after a power cut, the name could point to
    blocks that were never written. The folder is synchronised after it, for the name itself.
(c) Whatever fails before the rename leaves the old file; the temporary one is removed. Only a kill
    leaves it behind, under a name that begins with a dot and ends in ``.tmp``.
"""

import errno
import os
import stat

from .._base.files import naming

_write = os.write  # what the tests let fail


def replace(path, chunks):
    """Make `path` a file of these bytes.

    Parameters
    ----------
    path : str or path-like
        A symbolic link is followed: what it points to is replaced.
    chunks : iterable of bytes-like

    Raises
    ------
    OSError
        As the system says, with the name of the file; the old file, if any, is untouched then.
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
        except FileNotFoundError:  # an interrupt came just after the rename
            pass
        raise
    sync_folder(os.path.dirname(path))


def _new_file(path):
    folder, name = os.path.split(path)
    # Not mkstemp: its files are for the owner alone, whatever the umask.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        short = os.fsdecode(os.fsencode(name)[:200])
        temporary = os.path.join(folder, f".{short}.{os.urandom(6).hex()}.tmp")
        try:
            return os.open(temporary, flags, 0o666), temporary
        except FileExistsError:
            continue
        except OSError as error:  # the name of the temporary file would say nothing to anybody
            raise OSError(error.errno, f"{error.strerror} (a new file in the folder {folder})", path) from None


def _write_all(descriptor, chunk):
    left = memoryview(chunk).cast("B")
    while left:
        left = left[_write(descriptor, left) :]


def sync_folder(folder):
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems have no such thing
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(descriptor)
