"""seisml: seismic signal classification with and without labels, driven by YAML experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seisml.inference.model import Model

__version__ = "0.1.0"


def load(path: str | Path, device: str = "cpu", components: str | None = None, trust: Sequence[str] = ()) -> Model:
    """Load a trained classifier for use on arrays and ObsPy Streams; see :class:`seisml.inference.model.Model`.

    Args:
        path: A run's checkpoint, or the folder that ``seisml export`` wrote.
        device: Where to compute: ``cpu`` or ``cuda``.
        components: Codes of the components in the network's order, where the model does not say them.
        trust: Packages whose classes the file may name: their code runs.

    Raises:
        UserError: The file is missing, damaged, asks for what is not trusted, or gives no class probabilities.
    """
    from seisml.inference.model import Model  # PyTorch takes seconds: import seisml and seisml --help do without

    return Model(path, device, components, trust)
