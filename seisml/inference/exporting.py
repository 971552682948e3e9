"""A trained classifier as one graph, front end included: ONNX for other programs, ``torch.export`` for PyTorch's.

What is left to whoever feeds it are the steps that need more than a window: resampling, band-pass and cutting.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.inference.trained import network_preprocessing
from seisml.methods.classifier import Classifier
from seisml.methods.fitted.at_once import FittedAtOnce
from seisml.waveforms.preprocessing import Preprocessing

TOLERANCE = 1e-4  # of probabilities, between the graph and the method
OPSET = 20  # the first with the discrete Fourier transform as spectrograms need it
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal, in the exporters' messages
EXTRA = "pip install 'seisml[export]'"


class Probabilities(nn.Module):
    """Windows in, class probabilities out: (B, C, T) -> (B, K), the trend's removal included.

    Args:
        method: A trained classifier.
        preprocessing: Says which trend goes.
    """

    def __init__(self, method: Classifier, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.method, self.detrend = method.eval(), preprocessing.detrend

    def forward(self, waveform: Tensor) -> Tensor:
        """Probabilities of windows at the network's rate."""
        x = waveform
        if self.detrend is not None:
            x = x - x[..., :1]
            x = x - x.mean(dim=-1, keepdim=True)
        if self.detrend == "linear":
            place = torch.linspace(-1.0, 1.0, x.shape[-1], dtype=x.dtype, device=x.device)
            place = place / place.norm()
            x = x - (x * place).sum(dim=-1, keepdim=True) * place
        zeros = torch.zeros_like(x[:, 0, 0], dtype=torch.long)
        return self.method.predict_log_probability({"waveform": x, "epoch": zeros, "index": zeros})[0].exp()


def write_onnx(method: Classifier, path: Path) -> float:
    """Write a classifier as an ONNX file that any number of windows go through at once.

    Input ``waveform`` (windows, components, samples) float32, output ``probability`` (windows, classes). The file's
    metadata name the classes, the sampling rate and the preprocessing.

    Args:
        method: Trained, on the CPU.
        path: Where to.

    Returns:
        Largest difference of a probability between ONNX Runtime and the method, on random windows.

    Raises:
        UserError: A library is missing, the method cannot be exported, or the file gives other numbers.
    """
    network, x, sizes = _network(method)
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (torch.onnx needs it, and says so less plainly)
    except ImportError as error:
        raise UserError(f"--onnx: {error.name} is not installed; {EXTRA}") from error
    options: dict[str, Any] = {"dynamo": True, "opset_version": OPSET, "verbose": False}
    names = {"input_names": ["waveform"], "output_names": ["probability"]}
    program = _exported(method, lambda: torch.onnx.export(network, (x,), dynamic_shapes=(sizes,), **names, **options))
    program.model.metadata_props.update(_facts(method))
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return _compare(network, lambda windows: session.run(None, {"waveform": windows.numpy()})[0], method)


def write_program(method: Classifier, path: Path) -> float:
    """Write a classifier as a ``torch.export`` program (``.pt2``); see :func:`write_onnx`.

    Returns:
        Largest difference of a probability between the program as read back and the method, on random windows.

    Raises:
        UserError: The method cannot be exported, or the program gives other numbers.
    """
    network, x, sizes = _network(method)
    program = _exported(method, lambda: torch.export.export(network, (x,), dynamic_shapes=(sizes,), strict=False))
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No complete tensor found")  # of weights that share memory, as ours may
        torch.export.save(program, data, extra_files={"facts.json": json.dumps(_facts(method))})
    path.write_bytes(data.getbuffer())
    read_back = torch.export.load(str(path)).module()
    return _compare(network, lambda windows: read_back(windows).numpy(), method)


def _network(method: Classifier) -> tuple[Probabilities, Tensor, dict[int, Any]]:
    """The network, windows to trace it with, and which of their axes may have another size.

    Raises:
        UserError: It is one of trees, which branch by their numbers: no graph of operations.
    """
    if isinstance(method, FittedAtOnce):
        raise UserError(
            f"{type(method).__name__}: trees on attributes cannot be exported as a graph; leave out --onnx and "
            "--torch-export: seisml and Python take the folder that is written without them"
        )
    network = Probabilities(method, network_preprocessing(method, "exported"))
    sizes: dict[int, Any] = {0: torch.export.Dim("windows", min=1)}
    if method.in_channels == 1:
        sizes[1] = torch.export.Dim("traces", min=1)
    x = _windows(method, 3)
    with torch.no_grad():
        network(x)  # fills what modules keep (windows, taps) with numbers; the tracer would leave its stand-ins there
    return network, x, sizes


def _windows(method: Classifier, n: int) -> Tensor:
    """Noise on an offset, with a burst, of the size of counts, and a dead trace in the last window."""
    generator = torch.Generator().manual_seed(n)
    n_samples = method.facts.n_samples
    x = torch.randn(n, method.in_channels if method.in_channels > 1 else 2, n_samples, generator=generator)
    x[..., n_samples // 2 :] *= 5
    x = 1000 * x + 300
    x[-1, -1] = 7.0
    return x


def _exported(method: Classifier, export: Callable[[], Any]) -> Any:
    heard = io.StringIO()  # the exporters print a graph that fails, and what they have got done
    try:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(heard), redirect_stderr(heard):
            warnings.simplefilter("ignore")  # of the exporters about themselves
            return export()
    except Exception as error:  # whatever the exporters make of a network that they do not know
        plain = COLOURS.sub("", str(error))
        reason = f"{type(error).__name__}: {' '.join(plain.split())[:200]}"
        raise UserError(
            f"{type(method).__name__} cannot be exported as a graph ({reason}); leave the option out"
        ) from error


@torch.no_grad()
def _compare(network: Probabilities, run: Callable[[Tensor], np.ndarray], method: Classifier) -> float:
    difference = 0.0
    for n in (1, 5):
        windows = _windows(method, n)
        difference = max(difference, float(np.abs(run(windows) - network(windows).numpy()).max()))
    if not difference <= TOLERANCE:
        raise UserError(
            f"{type(method).__name__}: the exported graph gives probabilities that are {difference:.2g} off; leave the "
            "option out"
        )
    return difference


def _facts(method: Classifier) -> dict[str, str]:
    facts = method.facts
    steps = network_preprocessing(method, "exported").to_dict()
    about = {"classes": list(facts.classes), "sampling_rate": facts.sampling_rate, "preprocessing": steps}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in about.items()}
