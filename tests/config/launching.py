"""Entry points without training."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import DictConfig

from seisml.config.launch import run

SSL, FINETUNE = "configs/ssl.yaml", "configs/finetune.yaml"
GIVEN = ["dataset=store", "dataset.root=STORE"]


class Recorder:
    """Stands for training: keeps what it was called with."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls: list[tuple[DictConfig, Path]] = []
        self.error = error

    def __call__(self, cfg: DictConfig, folder: Path) -> None:
        self.calls.append((cfg, folder))
        if self.error:
            raise self.error


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str, default: str = SSL) -> str:
    train = Recorder()
    Path("occupied").touch()
    assert run(default, train, arguments) == 2
    assert not train.calls and not Path("runs").exists()  # before anything ran or was made
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]
