"""Mounts a folder at ``/gcs`` for one command, and for nothing else on this machine.

On Linux, a process can have its own mounts: root may create them, and so may other users in a user
namespace, unless the system forbids that. The command gets a new root folder with everything that
is in the old one, and with ``/gcs``, which this machine need not have. Only the folders in it, the
buckets, can be written: a file next to them would be in no bucket.

As a program, this file starts a command like that. It uses only the standard library and imports
little, since it runs before each script.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

MOUNT_POINT = "/gcs"
"""Where the service mounts Cloud Storage: https://cloud.google.com/vertex-ai/docs/training/
cloud-storage-file-system, read 2026-11."""
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
"""CLONE_NEWUSER and CLONE_NEWNS of <linux/sched.h>."""
_BIND, _RECURSIVE, _SLAVE, _DETACH = 0x1000, 0x4000, 0x80000, 2
"""MS_BIND, MS_REC and MS_SLAVE of <linux/mount.h>, MNT_DETACH of <sys/mount.h>."""
_READ_ONLY, _REMOUNT, _INHERITED = 0x1, 0x20, 0xE
"""MS_RDONLY, MS_REMOUNT; MS_NOSUID, MS_NODEV and MS_NOEXEC, which a user namespace must keep."""
_NOT_FOUND = 127
"""The exit code of a shell for a missing command."""
_OLD_ROOT = ".cloudtune-old-root"
_PROBE_SECONDS = 20.0


def wrap(command: Sequence[str], folder: str, scratch: str) -> list[str]:
    """Return the command that starts another one with a folder at ``/gcs``.

    Args:
        command: The other command.
        folder: What appears at ``/gcs``: a folder of folders.
        scratch: An existing empty folder, on which the new root is mounted.
    """
    return [sys.executable, "-I", "-S", __file__, folder, scratch, *command]


@cache
def is_supported() -> bool:
    """Return whether this machine allows it."""
    import subprocess
    import tempfile

    if sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory() as folder:
        probe = wrap([sys.executable, "-I", "-S", "-c", "pass"], folder, folder)
        try:
            done = subprocess.run(probe, capture_output=True, timeout=_PROBE_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0


def _enter(folder: str, scratch: str) -> None:
    """Give this process a root folder of its own, with a folder at ``/gcs``.

    Raises:
        OSError: If this machine does not allow it.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")

    def mount(source: str, target: str, kind: str | None, flags: int) -> None:
        words = [each.encode() if each else None for each in (source, target, kind)]
        call("mount", *words, ctypes.c_ulong(flags), None)

    user, group, cwd = os.getuid(), os.getgid(), os.getcwd()
    if user == 0:
        try:
            call("unshare", _NEW_MOUNTS)
        except OSError:  # root in a container may lack the right, but be allowed the other way
            call("unshare", _NEW_USER | _NEW_MOUNTS)
            _map_ids(user, group)
    else:
        call("unshare", _NEW_USER | _NEW_MOUNTS)
        _map_ids(user, group)
    mount("none", "/", None, _RECURSIVE | _SLAVE)
    mount("none", scratch, "tmpfs", 0)
    old = os.path.join(scratch, _OLD_ROOT)
    os.mkdir(old)
    call("pivot_root", scratch.encode(), old.encode())
    os.chdir("/")
    old = f"/{_OLD_ROOT}"
    for entry in os.scandir(old):
        target = f"/{entry.name}"
        if target == MOUNT_POINT:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
            continue
        if entry.is_dir():
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT))
        with suppress(OSError):  # the script misses it, if it needs it
            mount(entry.path, target, None, _BIND | _RECURSIVE)
    os.mkdir(MOUNT_POINT)
    mount(old + folder, MOUNT_POINT, None, _BIND)
    for bucket in list(os.scandir(MOUNT_POINT)):
        with suppress(FileNotFoundError):  # deleted meanwhile
            mount(f"{old}{folder}/{bucket.name}", bucket.path, None, _BIND)
    kept = os.statvfs(MOUNT_POINT).f_flag & _INHERITED
    mount("none", MOUNT_POINT, None, _REMOUNT | _BIND | _READ_ONLY | kept)
    call("umount2", old.encode(), _DETACH)
    os.rmdir(old)
    os.chdir(cwd)


def _map_ids(user: int, group: int) -> None:
    """Keep the ids of this process in its new user namespace."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _main(folder: str, scratch: str, *command: str) -> None:
    try:
        _enter(folder, scratch)
    except OSError as error:
        sys.exit(f"{MOUNT_POINT} cannot be mounted here: {error}")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    _main(*sys.argv[1:])
