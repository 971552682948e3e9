"""The shape of the house: imports run one way, functions stay short, nothing is guessed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "seisml"
BASE = {"errors", "files", "processes", "terminal", "values"}  # what anybody may use
ALLOWED: dict[str, set[str]] = {  # room -> rooms that it may import, beside BASE
    "losses": set(),
    "transforms": set(),
    "networks": {"losses", "transforms"},
    "workers": set(),
    "waveforms": {"workers"},
    "catalogs": {"waveforms"},
    "store": {"waveforms"},
    "evaluation": set(),
    "tasks": {"store", "evaluation", "waveforms"},
    "data": {"store", "tasks", "transforms", "waveforms"},
    "prepare": {"catalogs", "store", "waveforms", "workers", "evaluation"},
    "datasets": {"catalogs", "data", "evaluation", "prepare", "store", "tasks", "waveforms", "workers"},
    "methods": {"data", "evaluation", "losses", "networks", "tasks", "transforms"},
    "run": {"data", "evaluation", "methods", "networks", "store", "tasks", "transforms", "waveforms"},
    "config": {"run", "store"},
    "inference": {
        "data", "evaluation", "methods", "prepare", "run", "store", "tasks", "transforms", "waveforms", "workers",
    },  # fmt: skip
    "detection": {"evaluation", "inference", "methods", "run", "waveforms", "workers"},
    "comparison": {"config", "data", "evaluation", "methods", "run", "store", "transforms"},
    "report": {"evaluation", "waveforms"},
    "commands": {
        "comparison", "config", "data", "datasets", "detection", "evaluation", "inference", "methods", "report", "run",
        "tasks", "waveforms",
    },  # fmt: skip
    "cli": set(),
    "__init__": {"inference"},  # seisml.load
}
LONGEST_FUNCTION = 60
MOST_FILES = 20


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(node: ast.AST) -> Iterator[str]:
    """Rooms that a module imports when it runs, in functions too; what only type checkers read is passed over."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and child.module and child.module.partition(".")[0] == "seisml":
            parts = child.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in child.names]
        yield from imported(child)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = room(path)
    rooms = {name for name in imported(ast.parse(path.read_text(encoding="utf-8"))) if name != "__version__"}
    allowed = BASE | {here} | ALLOWED.get(here, BASE)
    assert rooms <= allowed, f"{here} imports {', '.join(sorted(rooms - allowed))}"


def test_the_table_has_no_circle() -> None:
    left = dict(ALLOWED)
    while left:
        free = [name for name, needs in left.items() if not needs & set(left)]
        assert free, f"a circle among {', '.join(sorted(left))}"
        for name in free:
            del left[name]


def test_every_folder_has_a_place_in_the_table() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").is_file()}
    assert folders == set(ALLOWED) - {"cli", "__init__"} | {"processes", "terminal", "values"}


def test_only_three_modules_lie_loose() -> None:
    """The command, errors that a user can mend, and the one way to write files; the rest has a room."""
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "cli.py", "errors.py", "files.py"}


def test_folders_hold_one_subject() -> None:
    """Many files in one folder are two subjects, as a rule."""
    for folder in {path.parent for path in sources()} - {PACKAGE}:
        assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder


def test_functions_stay_short() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= LONGEST_FUNCTION, f"{path.name}: {node.name} has {length} lines"


def test_nobody_asks_what_an_object_can_do() -> None:
    """Of values of other libraries (``shape`` of arrays and tensors) it may be asked; of ours the class tells."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
                asked = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
                assert asked in OF_OTHERS, f"{path.name}, line {node.lineno}: hasattr(..., {asked!r})"


OF_OTHERS = {"detach", "tolist"}
