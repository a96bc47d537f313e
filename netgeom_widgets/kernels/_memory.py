"""Sizes are checked before memory is taken."""

from __future__ import annotations

import os
from pathlib import Path

from netgeom_widgets.errors import TooLargeError

_SHARE = 0.8  # of the memory that is free: leaves room for the notebook server and the browser beside the kernel

_ASK_FROM = 1 << 28  # asking the system costs more than small arrays do


def available_bytes() -> int:
    """Memory that can be taken without swapping, by the system and by a container's limit (cgroup 2).

    Half of the installed memory where the system does not say.
    """
    found = [n for n in (_free_by_system(), _free_by_container()) if n is not None]
    return min(found) if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _free_by_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _free_by_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))


def has_memory(n_bytes: int) -> bool:
    """Whether an array would fit."""
    return n_bytes < _ASK_FROM or n_bytes <= _allowed()


def _allowed() -> int:
    return int(_SHARE * available_bytes())


def require_memory(n_bytes: int, what: str, try_this: str) -> None:
    """Refuse an array that would not fit."""
    if not has_memory(n_bytes):
        raise TooLargeError(
            f"{what} would take {n_bytes / 2**30:.1f} GiB",
            expected=f"at most {_allowed() / 2**30:.1f} GiB, {_SHARE:.0%} of the free memory",
            got=f"{n_bytes / 2**30:.1f} GiB",
            try_this=try_this,
        )
