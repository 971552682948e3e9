"""Fixtures that every test may use."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
SHARED_DATA = REPO.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the checkout; tests that need it skip where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data (real recordings), which is not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def leave_no_encoders() -> Iterator[None]:
    """Fail where a test has trained into the checkout: encoders go to ``checkpoints/`` unless a run says otherwise."""
    before = set((REPO / "checkpoints").iterdir())
    yield
    left = set((REPO / "checkpoints").iterdir()) - before
    assert not left, f"a test left {sorted(map(str, left))}; set encoder_folder in its run"


@pytest.fixture(scope="session", autouse=True)
def heed_interrupts() -> Iterator[None]:
    """Heed SIGINT, here and in the processes that tests start: a shell starts background jobs with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def dask_cluster() -> Iterator[str]:
    """Address of a Dask cluster of two processes, which are started again where a test kills them."""
    distributed = pytest.importorskip("distributed")
    options = {"processes": True, "dashboard_address": "127.0.0.1:0", "silence_logs": logging.ERROR}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        cluster.wait_for_workers(2)
        yield cluster.scheduler_address
