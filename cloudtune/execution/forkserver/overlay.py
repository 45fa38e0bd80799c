"""Copy on write: a folder shows the files of another one and keeps only what a process changes.

The kernel does it, with an overlay that is mounted in a mount namespace of the process, so that
neither other processes nor other trials see it, and nothing has to be unmounted. Without root, the
process also gets a user namespace. The fork server loads this file by path, and cold processes run
it as a program, so it uses only the standard library and Python 3.7 syntax.

See https://docs.kernel.org/filesystems/overlayfs.html and user_namespaces(7), 2026-11-27.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OVERLAY_FOLDER = "overlay"
"""The folder next to the trial's working folder in which the kernel prepares changes."""
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_REC = 0x4000
_MS_SLAVE = 0x80000


def mount(lower: str, folder: str) -> None:
    """Show the files of `lower` in `folder`, for this process and those that it will start.

    What they change is kept in `folder`, as all other processes see it. The process must have one
    thread. Its working folder does not change, and is not inside `folder`.

    Raises:
        OSError: If the system does not allow it.
    """
    parent, name = os.path.split(folder)
    # Relative names, because separators in the options cannot be quoted on every kernel.
    below = os.path.relpath(lower, parent)
    options = f"lowerdir={below},upperdir={name},workdir={OVERLAY_FOLDER}"
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _call("unshare", _CLONE_NEWNS)
    else:
        _call("unshare", _CLONE_NEWNS | _CLONE_NEWUSER)
        for file, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open("/proc/self/" + file, "w") as map_file:
                map_file.write(text)
    if uid != 0 or _is_in_user_namespace():
        options += ",userxattr"  # only root of the whole machine can set the usual attributes
    _call("mount", b"none", b"/", None, _MS_REC | _MS_SLAVE, None)
    before = os.getcwd()
    os.chdir(parent)
    try:
        _call("mount", b"cloudtune", os.fsencode(name), b"overlay", 0, os.fsencode(options))
    finally:
        os.chdir(before)


def _is_in_user_namespace() -> bool:
    """Return whether the user ids are not those of the machine, as in containers without root."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() != ["0", "0", str(2**32 - 1)]


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the C library.

    Raises:
        OSError: If it fails.
    """
    import ctypes

    function: Any = getattr(ctypes.CDLL(None, use_errno=True), name)
    converted = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    if function(*converted):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def main(errors: int, lower: str, folder: str, command: list[str]) -> None:
    """Mount and become the command, with the environment that this process was started with.

    An error is written to the file descriptor `errors`, as its number and its text.
    """
    import signal

    if errors > sys.stderr.fileno():
        os.set_inheritable(errors, False)
    try:
        mount(lower, folder)
        os.chdir(folder)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by the start of Python
            signal.signal(ignored, signal.SIG_DFL)
        with open("/proc/self/environ", "rb") as file:
            lines = file.read().split(b"\0")
        environment = dict(line.split(b"=", 1) for line in lines if b"=" in line)
        os.execvpe(command[0], command, environment)  # noqa: S606
    except OSError as error:
        os.write(errors, f"{error.errno} {command[0]}: {error.strerror}".encode())
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
