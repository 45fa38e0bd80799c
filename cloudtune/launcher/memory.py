"""Whether a process ended because memory ran out."""

from __future__ import annotations

OUT_OF_MEMORY = "out of memory"
"""How the reason of a failure begins for which memory ran out."""
SIGKILL_EXIT = 137
"""The exit code of a shell whose process was killed by SIGKILL."""


def count_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 if it does not say.

    Linux counts them in ``/proc/vmstat`` since 4.13, and for a control group in ``memory.events``.
    """
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            with open(path, "rb") as file:
                for line in file:
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            pass
    return 0


def is_memory_error(output: str) -> bool:
    """Return whether the last lines of a failed program are an error for lack of memory.

    They are those of Python, NumPy, PyTorch on CPUs, and C++. The memory of GPUs does not count.
    """
    import re

    pattern = (
        r"(?m)^(?:[\w.]+\.)?(?:_Array)?MemoryError\b"
        r"|DefaultCPUAllocator: (?:can't allocate|not enough) memory|std::bad_alloc"
    )
    return re.search(pattern, "\n".join(output.splitlines()[-5:])) is not None
