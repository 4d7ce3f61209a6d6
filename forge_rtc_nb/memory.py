"""Nameless shared memory: files that only those have who were given a descriptor. Kernel and engine use it."""

from __future__ import annotations

import os
import secrets


def create_file(size: int) -> int:
    """A descriptor of nameless, sparse shared memory; nothing to unlink, nothing to leak.

    `MemoryError` where the system refuses a file of that size, though none of it is taken yet.
    """
    fd = os.memfd_create("forge_rtc_nb", os.MFD_CLOEXEC) if hasattr(os, "memfd_create") else _posix_memory()
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        os.close(fd)
        reason = f"{error.strerror}; is there a limit on file sizes? `ulimit -f` shows it"
        raise MemoryError(f"no shared memory of {size >> 30} GiB, sparse ({reason})") from None
    return fd


def _posix_memory() -> int:
    # macOS has no memfd; an object that is unlinked at once cannot outlive its last descriptor either.
    import _posixshmem

    name = f"/forge-rtc-{secrets.token_hex(8)}"
    fd: int = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    _posixshmem.shm_unlink(name)
    return fd


def commit(fd: int, offset: int, size: int) -> None:
    """Have pages for these bytes; `MemoryError` where there are none.

    Touching a page of a file that cannot grow is a SIGBUS; asking for it first is an error code.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(fd, offset, size)
    except OSError as error:
        raise MemoryError(f"no shared memory for {size} bytes: {error.strerror}") from None
