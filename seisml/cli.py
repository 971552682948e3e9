"""The ``seisml`` command: ``seisml prepare ...``, ``seisml datasets``, ``seisml demo``.

A module of :mod:`seisml.data` is a prepare command where it defines ``PREPARE_COMMAND`` (its name on the command line),
``add_arguments(parser)`` and ``run(arguments) -> int``; ``SUMMARY`` and ``EXAMPLE`` are shown in its help. Any other
module is a command of its own where it defines ``COMMAND`` and the rest.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from seisml import __version__
from seisml.errors import UserError, nearest

PACKAGE = Path(__file__).resolve().parent


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line like any other bad input, in one line; does not break the lines of examples."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments after the program's name; None takes the process's.

    Returns:
        Exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted. ``SEISML_TRACEBACK=1`` adds the traceback.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _dispatch(arguments)
    except BrokenPipeError:  # the reader of our output, like head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (UserError, OSError) as error:  # a full disk, a folder without permission: the system's words name it
        if os.environ.get("SEISML_TRACEBACK") == "1":
            traceback.print_exc()
        print(f"seisml: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("seisml: interrupted; finished parts are kept, nothing half is left", file=sys.stderr)
        return 130


def prepare_commands() -> dict[str, Path]:
    """Find the prepare commands: name -> file. Nothing is imported, so that one command does not pay for all."""
    return _find("PREPARE_COMMAND", "data/*.py")


def other_commands() -> dict[str, Path]:
    """Find the commands beside ``prepare``: name -> file, from modules that define ``COMMAND``."""
    return _find("COMMAND", "*.py") | _find("COMMAND", "*/*.py")


def _find(constant: str, pattern: str) -> dict[str, Path]:
    named = {_constant(path, constant): path for path in sorted(PACKAGE.glob(pattern))}
    return {name: path for name, path in named.items() if name}


def _dispatch(arguments: list[str]) -> int:
    parser = _Parser(
        prog="seisml",
        description="Classify seismic signals, with and without labels.",
        epilog="example: seisml prepare folder recordings --out data/mine",
    )
    parser.add_argument("--version", action="version", version=f"seisml {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    prepare = commands.add_parser(
        "prepare",
        help="make a data set (a store) from recordings",
        description="Make a data set (a store) from recordings. Training reads stores.",
        epilog="example: seisml prepare folder recordings --out data/mine",
    )
    datasets = commands.add_parser(
        "datasets",
        help="list the data sets that training knows by name",
        description="List the data sets that training knows by name (dataset=NAME).",
        epilog="example: seisml datasets",
    )
    datasets.set_defaults(run=_list_datasets)
    words = [word for word in arguments if not word.startswith("-")]
    asked = words[0] if words else None
    asked_kind = words[1] if len(words) > 1 and asked == "prepare" else None
    available = prepare_commands()
    if asked_kind is not None and asked_kind not in available:
        raise UserError(f"seisml prepare {asked_kind}: no such command; {nearest(asked_kind, available)}")
    kinds = prepare.add_subparsers(dest="kind", metavar="KIND", required=True)
    usage = _add_found(kinds, available, asked_kind) or _add_found(commands, other_commands(), asked)
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        options = re.findall(r"(?<!\w)--[a-z][a-z-]*", usage or parser.format_usage())
        raise UserError(f"{unknown[0]}: unknown; {nearest(unknown[0].split('=')[0], options)}")
    return int(chosen.run(chosen) or 0)


def _add_found(commands: Any, found: dict[str, Path], asked: str | None) -> str:
    """Add the found commands, the one that is asked for with its options; returns that one's usage."""
    usage = ""
    for name, path in found.items():
        summary = _constant(path, "SUMMARY")
        module = _import(path) if name == asked else None
        example = getattr(module, "EXAMPLE", None) or _constant(path, "EXAMPLE")
        command = commands.add_parser(
            name, help=summary, description=summary, epilog=f"example: {example}" if example else None
        )
        if module is not None:
            module.add_arguments(command)
            usage = command.format_usage()
            command.set_defaults(run=module.run)
    return usage


def _import(path: Path) -> ModuleType:
    return importlib.import_module(".".join(("seisml", *path.relative_to(PACKAGE).with_suffix("").parts)))


def _constant(path: Path, name: str) -> str | None:
    """Read a module's text constant from its source, without importing it."""
    text = path.read_text(encoding="utf-8")
    if f"{name} = " not in text and f"{name}: str = " not in text:
        return None
    for node in ast.parse(text).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                value = ast.literal_eval(node.value)  # type: ignore[arg-type]
            except ValueError:
                return None
            return value if isinstance(value, str) else None
    return None


def _list_datasets(_: argparse.Namespace) -> int:
    from seisml.config_sources import config_dir

    folder = Path(config_dir()) / "dataset"
    lines = [(path.stem, _first_comment(path)) for path in sorted(folder.glob("*.yaml"))]
    width = max((len(name) for name, _ in lines), default=0)
    for name, comment in lines:
        print(f"{name.ljust(width)}  {comment}".rstrip())
    print("use one with dataset=NAME; any store of your own with dataset=store dataset.root=STORE")
    return 0


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ").strip()
    return ""


if __name__ == "__main__":
    sys.exit(main())
