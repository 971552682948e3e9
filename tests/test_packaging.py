"""What setup.cfg declares is what the package is and imports: a wheel works as the clone does."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "hydra": "hydra-core",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "vl_convert": "vl-convert-python",
    "typing_extensions": "typing-extensions",
    "pytorch_lightning": "pytorch-lightning",
    "dask_jobqueue": "dask-jobqueue",
}
OPTIONAL = {  # module -> extra
    "distributed": "dask",
    "dask_jobqueue": "dask",
    "pyarrow": "csv",
    "seisbench": "seisbench",
    "onnxruntime": "export",
    "onnxscript": "export",
}


@pytest.fixture(scope="module")
def declared() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_in_the_wheel(declared: configparser.ConfigParser) -> None:
    folders = {".".join(path.relative_to(ROOT).parent.parts) for path in (ROOT / "seisml").rglob("*.py")}
    assert set(declared["options"]["packages"].split()) == folders | {"seisml.configs"}


def test_everything_imported_is_a_dependency(declared: configparser.ConfigParser) -> None:
    required = _names(declared["options"]["install_requires"])
    extras = {extra: _names(text) for extra, text in declared["options.extras_require"].items()}
    for path in (ROOT / "seisml").rglob("*.py"):
        for module in _imported(path) - set(sys.stdlib_module_names) - {"seisml"}:
            names = extras[OPTIONAL[module]] if module in OPTIONAL else required
            assert DISTRIBUTIONS.get(module, module) in names, f"{path.name} imports {module}"


def test_extras_named_in_messages_exist(declared: configparser.ConfigParser) -> None:
    for path in (ROOT / "seisml").rglob("*.py"):
        for extra in re.findall(r"seisml\[(\w+)\]", path.read_text(encoding="utf-8")):
            assert extra in declared["options.extras_require"], f"{path.name} tells to install seisml[{extra}]"


def _names(requirements: str) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0] for line in requirements.split("\n") if line}


def _imported(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules
