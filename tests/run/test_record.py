"""What a run writes down."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import seisml
from seisml.run import record
from seisml.run.record import versions, write_metrics


def test_metrics_are_plain_sorted_and_null_safe(tmp_path: Path) -> None:
    metrics = {
        "test/f1_macro": float("nan"),
        "test/acc": torch.tensor(0.5),
        "n": np.int64(3),
        "confusion_matrix": np.array([[1, 2], [3, 4]]),
        "per_class": {"Åknes": {"recall": np.float32(0.25), "f1": None}},
        "path": Path("checkpoints") / "a.ckpt",
        "classes": ("a", "b"),
        "seeds": {2, 1},
        "loss": float("inf"),
        "exact": True,
        "empty": {},
    }
    path = write_metrics(tmp_path / "run", metrics)
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "run" / "metrics.json" and text.endswith("}\n")
    read = json.loads(text)
    assert list(read) == sorted(metrics)
    assert read["test/acc"] == 0.5 and read["test/f1_macro"] is None and read["loss"] is None
    assert read["confusion_matrix"] == [[1, 2], [3, 4]] and read["per_class"] == {"Åknes": {"f1": None, "recall": 0.25}}
    assert read["path"] == "checkpoints/a.ckpt" and read["classes"] == ["a", "b"] and read["seeds"] == [1, 2]
    assert "    [1, 2],\n" in text and read["exact"] is True and read["empty"] == {}
    assert write_metrics(tmp_path / "again", dict(reversed(metrics.items()))).read_text(encoding="utf-8") == text


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_metrics(tmp_path, {"a": 1})
    with pytest.raises(TypeError, match=r"metrics\.b\.c is a object"):
        write_metrics(tmp_path, {"b": {"c": object()}})

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_metrics(tmp_path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_versions() -> None:
    found = versions()
    assert set(found) == {"python", "torch", "lightning", "seisml", "git"}
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert found["seisml"] == seisml.__version__
    json.dumps(found)


def test_git_commit_only_of_a_checkout(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y.z"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    assert record._git_commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first", "--no-verify")
    git("tag", "-a", "v1", "-m", "a tag does not replace the commit")
    commit = git("rev-parse", "HEAD").strip()
    assert record._git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert record._git_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "inside").mkdir()
    assert record._git_commit(tmp_path / "inside") is None
