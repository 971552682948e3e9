"""The ``seisml`` command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seisml.cli import COMMANDS, PREPARE, main


@pytest.mark.parametrize("words", [["prepare", name] for name in PREPARE] + [[name] for name in COMMANDS])
def test_every_command_has_help_with_an_example(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    assert f"example: seisml {' '.join(words)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("arguments", [["--help"], ["prepare", "--help"], ["datasets", "--help"], ["prepare", "-h"]])
def test_help(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    assert "example: seisml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare", "foldr"], "did you mean 'folder'?"),
        (["prepare"], "required: KIND"),
        ([], "required: COMMAND"),
        (["prepair"], "invalid choice: 'prepair'"),
        (["prepare", "folder"], "required: SRC, --out"),
    ],
)
def test_wrong_commands_are_one_line(arguments, words, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_traceback_on_request(monkeypatch, capsys, tmp_path):
    arguments = ["prepare", "folder", str(tmp_path / "no"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("SEISML_TRACEBACK", "1")
    assert main(arguments) == 2
    assert "Traceback" in capsys.readouterr().err


def test_datasets(capsys):
    assert main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("aknes ") and len(line.split()) > 3 for line in lines)
    assert "dataset=NAME" in lines[-1]


@pytest.mark.parametrize(
    "command",
    [
        ["prepare", "folder", "--help"],
        ["classify", "--help"],
        ["export", "--help"],
        ["compare", "--help"],
        ["predict", "a.ckpt", "b", "--out", "c", "--within", "0"],
    ],
    ids=" ".join,
)
def test_help_and_wrong_options_need_no_torch(command):
    code = (
        f"import sys; from seisml.cli import main\n"
        f"try: main({command})\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'obspy', 'pytorch_lightning'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
