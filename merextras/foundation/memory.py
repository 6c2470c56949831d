"""The memory that is available."""

from __future__ import annotations

import os
from pathlib import Path

#: The part of the memory that is free which a fit may take before the user is told.
PART = 0.5
#: Gigabytes that are always there: a fit that takes less does not ask, which takes its time.
ALWAYS = 0.01


def available_memory() -> float | None:
    """Bytes that can be had without swapping, if the system says so."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024.0
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None
