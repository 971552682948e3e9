"""How much memory a process may take, so that a file which wants more costs itself and not the machine."""

from __future__ import annotations

import sys
from pathlib import Path


def allow(n_bytes: int) -> None:
    """Let this process take so much more memory than it has now; what would take more raises MemoryError.

    Only on Linux: other systems do not keep to such a limit.

    Args:
        n_bytes: Of addresses, whether they are used or not.
    """
    if sys.platform != "linux":
        return
    import resource

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = taken + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
