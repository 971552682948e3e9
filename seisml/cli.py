"""The ``seisml`` command: ``seisml prepare ...``, ``seisml predict``, ``seisml export``, ``seisml datasets``...

A subcommand is a row of :data:`COMMANDS` or :data:`PREPARE`. Its module defines ``add_arguments(parser)``,
``run(arguments) -> int`` and ``EXAMPLE``, and is imported only where the command line names it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from seisml import __version__
from seisml.errors import Stopped, UserError, disk_error, nearest, stopped


class Command(NamedTuple):
    """A subcommand: the module that does it, and a line that says what it does."""

    module: str
    summary: str


COMMANDS = {
    "compare": Command("seisml.commands.compare", "compare encoders over data sets and numbers of labels"),
    "predict": Command("seisml.commands.predict", "find events in continuous records with a trained classifier"),
    "export": Command("seisml.commands.export", "write a trained model as a folder that can be handed on"),
    "classify": Command("seisml.commands.classify", "name the class of event files or of a store"),
    "report": Command("seisml.commands.report", "show runs, sweeps, comparisons or continuous records on one page"),
    "datasets": Command("seisml.commands.datasets", "list the data sets that training knows by name"),
    "demo": Command(
        "seisml.commands.demo", "pretrain, evaluate linearly and fine-tune on embedded data, in minutes on a laptop"
    ),
}
PREPARE = {
    "folder": Command(
        "seisml.prepare.folder", "folders of classes with one waveform file per event, any format ObsPy reads"
    ),
    "catalog": Command(
        "seisml.prepare.catalog",
        "continuous or event waveforms with an earthquake catalogue (QuakeML, Nordic S-files...)",
    ),
    "spectrograms": Command(
        "seisml.prepare.spectrograms", "folders of classes to one matrix of spectrograms in a MATLAB file"
    ),
    "aknes": Command(
        "seisml.datasets.aknes", "the published Åknes rockslope archive (eight classes and unlabelled events)"
    ),
    "convnetquake": Command(
        "seisml.datasets.convnetquake.prepare",
        "noise and geographic clusters of earthquakes: waveforms with a catalogue",
    ),
    "tremor": Command(
        "seisml.datasets.tremor.prepare", "triggered tremor: continuous waveforms and a list of large earthquakes"
    ),
    "lanl": Command("seisml.datasets.lanl.prepare", "LANL laboratory earthquakes: train.csv and test/seg_*.csv"),
    "lanl_demo": Command("seisml.datasets.lanl.demo", "a synthetic LANL experiment: 17 stick-slip cycles, in seconds"),
    "demo": Command(
        "seisml.datasets.demo.data_module",
        "the embedded data set: synthetic events of the eight Åknes classes, 6 traces, 8 s",
    ),
}


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
        Exit code: 0 done, 2 bad input (one line on stderr), 75 where a signal ended a run, 130 interrupted.
        ``SEISML_TRACEBACK=1`` adds the traceback.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _dispatch(arguments)
    except BrokenPipeError:  # the reader of our output, like head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        line = str(error) if isinstance(error, UserError) else disk_error(error)
        if line is None and not isinstance(error, OSError):
            raise
        if os.environ.get("SEISML_TRACEBACK") == "1":
            traceback.print_exc()
        print(f"seisml: error: {' '.join((line or str(error)).split())}", file=sys.stderr)
        return 2
    except Stopped as stop:
        return stopped(stop)
    except KeyboardInterrupt:
        print("seisml: interrupted; finished parts are kept, nothing half is left", file=sys.stderr)
        return 130


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
    words = [word for word in arguments if not word.startswith("-")]
    asked = words[0] if words else None
    asked_kind = words[1] if len(words) > 1 and asked == "prepare" else None
    if asked_kind is not None and asked_kind not in PREPARE:
        raise UserError(f"seisml prepare {asked_kind}: no such command; {nearest(asked_kind, PREPARE)}")
    kinds = prepare.add_subparsers(dest="kind", metavar="KIND", required=True)
    usage = _add_commands(kinds, PREPARE, asked_kind) or _add_commands(commands, COMMANDS, asked)
    chosen, unknown = parser.parse_known_args(arguments, argparse.Namespace(words=tuple(arguments)))
    if unknown:
        options = re.findall(r"(?<!\w)--[a-z][a-z-]*", usage or parser.format_usage())
        raise UserError(f"{unknown[0]}: unknown; {nearest(unknown[0].split('=')[0], options)}")
    return int(chosen.run(chosen) or 0)


def _add_commands(parsers: Any, table: Mapping[str, Command], asked: str | None) -> str:
    """Add the subcommands of a table, the one that is asked for with its options; returns that one's usage."""
    usage = ""
    for name, command in table.items():
        module = importlib.import_module(command.module) if name == asked else None
        epilog = f"example: {module.EXAMPLE}" if module else None
        parser = parsers.add_parser(name, help=command.summary, description=command.summary, epilog=epilog)
        if module is not None:
            module.add_arguments(parser)
            usage = parser.format_usage()
            parser.set_defaults(run=module.run)
    return usage


if __name__ == "__main__":
    sys.exit(main())
