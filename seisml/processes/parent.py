"""A process that ends with the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that ended.

    A process that is killed cannot tell those it started, which would go on computing for nobody. Only for processes
    that leave nothing half-written behind when they are killed; does nothing in the first process.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent,), name="end with parent", daemon=True).start()


def _wait_for(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
