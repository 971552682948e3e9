"""Workers of a Dask cluster that a real SLURM starts as jobs; skipped where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from seisml.prepare.pieces import pieces_folder
from seisml.workers.cluster import open_cluster
from tests.continuous_records import make_record, make_stream, write_checkpoint
from tests.datasets import test_tremor_prepare

pytestmark = pytest.mark.long
REPO = Path(__file__).resolve().parents[2]
recordings = test_tremor_prepare.recordings


@pytest.fixture(autouse=True)
def slurm(tmp_path, monkeypatch):
    """Says what a job is, as ~/.config/dask/jobqueue.yaml does."""
    pytest.importorskip("dask_jobqueue")
    import dask

    if shutil.which("sbatch") is None or subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode:
        pytest.skip("needs SLURM: sbatch or an answer of sinfo is missing (is SLURM_CONF set, slurmctld running?)")
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    job = {"cores": 1, "processes": 1, "memory": "2GB", "job-mem": "1GB", "walltime": "00:10:00"}
    job["log-directory"] = str(tmp_path / "logs")
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in job.items()}):
        yield


def test_jobs_predict_and_prepare(recordings, tmp_path):
    make_stream(make_record(400, {100.0: "earthquake"}, seed=3)).write(str(tmp_path / "a.mseed"))
    checkpoint, quiet = write_checkpoint(tmp_path), PredictOptions(plots=False, threshold=0.7)
    here = predict(checkpoint, [tmp_path / "a.mseed"], tmp_path / "here", quiet)
    jobs = replace(quiet, scheduler="slurm", workers=1)
    there = predict(checkpoint, [tmp_path / "a.mseed"], tmp_path / "there", jobs)
    assert there["computed"] == 1 and len(here["detections"]) == 1 and there["detections"] == here["detections"]
    assert test_tremor_prepare.prepare(recordings, tmp_path / "here.h5") == 0
    options = ["--scheduler", "slurm", "--workers", "2"]
    assert test_tremor_prepare.prepare(recordings, tmp_path / "there.h5", *options) == 0
    assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()
    assert not pieces_folder(tmp_path / "there.h5").exists()


def test_a_job_that_ends_is_replaced(monkeypatch):
    """As one does whose time is up; here it is cancelled before the others are waited for."""
    jobs = []
    with open_cluster("slurm", 1) as cluster:
        for name, job in cluster.each(os.getenv, ["SLURM_JOB_ID"] * 4):
            assert name == "SLURM_JOB_ID"
            jobs.append(job)
            if len(jobs) == 1:
                subprocess.run(["scancel", job], check=True, timeout=60)
    assert len(set(jobs)) >= 2 and None not in jobs


def test_what_a_job_is_must_be_said(recordings, tmp_path, capsys):
    import dask

    with dask.config.set({"jobqueue.slurm.cores": None}):
        options = ["--scheduler", "slurm", "--workers", "1"]
        assert test_tremor_prepare.prepare(recordings, tmp_path / "t.h5", *options) == 2
    assert "set jobqueue.slurm (cores, processes, memory, walltime)" in capsys.readouterr().err
