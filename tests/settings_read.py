"""Which constructor arguments of an object are read by anything, found while it works."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from typing import Any

import pytest


def record_reads(monkeypatch: pytest.MonkeyPatch, *classes: type) -> set[str]:
    """Note the name of every attribute that is read of objects of some classes, but in their constructors."""
    read: set[str] = set()

    def recording(self: Any, name: str) -> Any:
        if sys._getframe(1).f_code.co_name != "__init__":
            read.add(name)
        return object.__getattribute__(self, name)

    for cls in classes:
        monkeypatch.setattr(cls, "__getattribute__", recording, raising=False)
    return read


def unread(cls: type, keys: set[str], read: set[str]) -> set[str]:
    """Those of a class's constructor arguments that no constructor uses but to keep them where nobody looks."""
    used: set[str] = set()
    for base in inspect.getmro(cls):
        if "__init__" in vars(base) and base.__module__.startswith("seisml."):
            used |= _used(vars(base)["__init__"], read)
    return keys - used


def _used(constructor: Any, read: set[str]) -> set[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(constructor))).body[0]
    used: set[str] = set()
    for statement in (node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node is not tree):
        if isinstance(statement, ast.Assign):
            for target, value in _pairs(statement.targets[0], statement.value):
                if not isinstance(target, ast.Attribute) or target.attr in read:
                    used |= _names(value)
        elif isinstance(statement, ast.If | ast.For | ast.With | ast.While):
            used |= _names(getattr(statement, "test", None) or getattr(statement, "iter", None))
        elif _calls_super(statement):  # what is handed on as it is, the base looks at
            handed = [*statement.value.args, *(keyword.value for keyword in statement.value.keywords)]
            used |= {name for part in handed if not isinstance(part, ast.Name) for name in _names(part)}
        else:
            used |= _names(statement)
    return used


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _names(node: ast.AST | None) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} if node is not None else set()


def _calls_super(statement: ast.stmt) -> bool:
    """Whether a statement hands arguments on to a base's constructor."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    return ast.unparse(statement.value.func) == "super().__init__"

