"""Finding the class that a setting names: the one place that decides what may be imported and built.

A user's settings may name any class of the right kind. Settings that a checkpoint brings along are read inside
:func:`only_trusted`, where nothing but seisml and the packages that the user has named is so much as imported.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from seisml.errors import UserError, nearest

T = TypeVar("T")

HOUSE = "seisml"
MOVED = {  # modules by where they once lay, first places first: checkpoints, bundles and settings of before name those
    "seisml.methods.attribute_forest": "seisml.methods.fitted.attribute_forest",
    "seisml.methods.emission_boosting": "seisml.methods.fitted.emission_boosting",
    "seisml.methods.barlow_twins": "seisml.methods.self_supervised.barlow_twins",
    "seisml.methods.cpc": "seisml.methods.self_supervised.cpc",
    "seisml.methods.joint_embedding": "seisml.methods.self_supervised.joint_embedding",
    "seisml.methods.reconstruction.masked_spectrogram": "seisml.methods.self_supervised.masked_spectrogram",
    "seisml.methods.simclr": "seisml.methods.self_supervised.simclr",
    "seisml.methods.vibcreg": "seisml.methods.self_supervised.vibcreg",
    "seisml.methods.vicreg": "seisml.methods.self_supervised.vicreg",
    "seisml.methods.vnibcreg": "seisml.methods.self_supervised.vnibcreg",
}
_trusted: ContextVar[tuple[str, ...] | None] = ContextVar("trusted", default=None)  # None: settings of the user


@contextmanager
def only_trusted(packages: Iterable[str] = ()) -> Iterator[None]:
    """Find classes in seisml and in the named packages alone for the length of the block.

    Args:
        packages: Packages or modules that the user trusts, such as ``my_package``; what lies below them counts too.

    Raises:
        UserError: A name that is not the name of a package.
    """
    packages = tuple(packages)
    for package in packages:
        if not all(part.isidentifier() for part in str(package).split(".")):
            raise UserError(f"trust: {package!r} is not the name of a package; write it as in an import: my_package")
    token = _trusted.set((HOUSE, *packages))
    try:
        yield
    finally:
        _trusted.reset(token)


def present_path(path: str) -> str:
    """The dotted path of a class, by where its module lies now."""
    module, dot, name = path.rpartition(".")
    return f"{MOVED.get(module, module)}{dot}{name}"


def first_path(path: str) -> str:
    """The dotted path that a class had first: it stays the same when the module moves."""
    module, dot, name = path.rpartition(".")
    places = [former for former, present in MOVED.items() if present == MOVED.get(module, module)]
    return f"{places[0] if places else module}{dot}{name}"


def find_class(
    path: str, base: type[T], key: str, known: Mapping[str, type[T]] | None = None, cure: str | None = None
) -> type[T]:
    """The class of a name or dotted path.

    Args:
        path: A name among `known`, or a module and a class (``"my_package.my_module.MyClass"``), also by where the
            module once lay.
        base: What the class must be derived from.
        key: The setting, for the message.
        known: Classes that go by their name alone.
        cure: What to do where the class is of another kind.

    Raises:
        UserError: There is no such class, it is not derived from `base`, or a checkpoint names a class that lies
            neither in seisml nor in a trusted package; that one is never imported.
    """
    known = known or {}
    if not isinstance(path, str):
        raise UserError(f"{key}: {str(path)[:60]!r} is unknown; write the name of a class, such as my_package.MyClass")
    if path in known:
        return known[path]
    module_name, _, class_name = present_path(path).rpartition(".")
    if "." not in path and known:
        raise UserError(f"{key}: {path[:100]!r} is unknown; {nearest(path, known)}")
    if not all(part.isidentifier() for part in path.split(".")) or not module_name:
        raise UserError(f"{key}: cannot import {path[:100]!r}; write a module and a class, such as my_package.MyClass")
    _check_trusted(module_name, path, key)
    try:
        found = vars(importlib.import_module(module_name))[class_name]
    except KeyError:
        raise UserError(f"{key}: cannot import {path!r}: {module_name} has no {class_name}; correct the path") from None
    except (ImportError, ValueError) as error:
        raise UserError(f"{key}: cannot import {path!r} ({error}); correct the dotted path") from error
    if not inspect.isclass(found) or not issubclass(found, base):
        raise UserError(f"{key}: {path!r} is not of class {base.__name__}; {cure or f'derive it from {_place(base)}'}")
    _check_trusted(found.__module__, path, key)  # a trusted module may have imported it from elsewhere
    return found


def _check_trusted(module: str, path: str, key: str) -> None:
    trusted = _trusted.get()
    if trusted is None or any(module == package or module.startswith(f"{package}.") for package in trusted):
        return
    raise UserError(
        f"{key}: the checkpoint names {path!r}, which is not part of seisml and is not imported; if you trust "
        f"that code, say so: --trust {module.split('.')[0]} (load_encoder.trust=[{module.split('.')[0]}] in training)"
    )


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
