"""One-dimensional networks as two-dimensional ones whose channels lie side by side in memory: the same numbers, sooner.

PyTorch's 1-D convolutions on CPUs reorder their input and output in every layer. As convolutions of pictures of height
1 with channels last they need not, and a batch small enough for the processor's cache never leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAST = torch.channels_last


class Unconvertible(Exception):
    """A layer that has no two-dimensional counterpart here."""


class ChannelsLastNetwork:
    """Runs an encoder of 1-D layers and its linear classifier on batches of one size.

    Args:
        encoder: The layers, (B, C, T) -> (B, D).
        classifier: (B, D) -> (B, n_classes); always in float32.
        in_channels: C.
        n_samples: T.
        batch_size: B.
        dtype: In which the encoder computes.

    Attributes:
        input: (B, T, C) tensor to write the next batch into; what lies around it (padding) stays zero.

    Raises:
        Unconvertible: Names the layer.
    """

    def __init__(
        self,
        encoder: nn.Module,
        classifier: nn.Module,
        in_channels: int,
        n_samples: int,
        batch_size: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.steps = _steps(encoder, dtype)
        self.classifier = classifier
        shape: tuple[int, ...] = (batch_size, in_channels, 1, n_samples)
        picture = torch.zeros(shape, dtype=dtype).contiguous(memory_format=LAST)
        self.places: list[Tensor | None] = []  # where each step's input goes, within zeros that serve as its padding
        self.buffers: list[Tensor | None] = []
        with torch.no_grad():
            for number, step in enumerate(self.steps):
                buffer = place = None
                if isinstance(step, _Convolution) and picture.ndim == 4 and (number == 0 or any(step.zeros)):
                    before, behind = step.zeros
                    size = (*picture.shape[:3], picture.shape[3] + before + behind)
                    buffer = torch.zeros(size, dtype=dtype).contiguous(memory_format=LAST)
                    place = buffer[..., before : before + picture.shape[3]]
                elif number == 0:
                    buffer = place = picture
                self.buffers.append(buffer)
                self.places.append(place)
                picture = step(buffer if buffer is not None else picture)
                if isinstance(step, _Convolution) and step.relu:
                    picture = picture.relu()
        first = self.places[0]
        assert first is not None
        self.input = first[:, :, 0].permute(0, 2, 1)  # (B, T, C)

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        """Log-probabilities of the batch in ``input``, (B, n_classes) float32."""
        x = self.buffers[0]
        assert x is not None
        for number, step in enumerate(self.steps):
            x = step(x)
            following = number + 1
            relu = isinstance(step, _Convolution) and step.relu
            if following < len(self.steps) and self.places[following] is not None:
                if relu:
                    torch.clamp_min(x, 0, out=self.places[following])
                else:
                    self.places[following].copy_(x)
                x = self.buffers[following]
            elif relu:
                x = x.relu_()
        return F.log_softmax(self.classifier(x.float()), dim=-1)


class _Convolution:
    """A convolution whose padding the buffer of its input brings along, and the ReLU behind it."""

    def __init__(self, layer: nn.Conv1d, zeros: tuple[int, int], dtype: torch.dtype) -> None:
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise Unconvertible(f"Conv1d with padding {layer.padding} ({layer.padding_mode})")
        padding = layer.padding[0]
        self.zeros = (zeros[0] + padding, zeros[1] + padding)
        self.weight = layer.weight.detach()[:, :, None].to(dtype).contiguous(memory_format=LAST)
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.others = ((1, layer.stride[0]), 0, (1, layer.dilation[0]), layer.groups)
        self.relu = False

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, *self.others)


class _Layer:
    """Any other layer: takes pictures of height 1 where the 1-D layer took waveforms."""

    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        self.layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer(x)


def _steps(encoder: nn.Module, dtype: torch.dtype) -> list[_Convolution | _Layer]:
    steps: list[_Convolution | _Layer] = []
    zeros = (0, 0)
    for layer in _layers(encoder):
        last = steps[-1] if steps else None
        if isinstance(layer, nn.ConstantPad1d):
            if layer.value != 0 or any(zeros):
                raise Unconvertible(type(layer).__name__)
            zeros = (int(layer.padding[0]), int(layer.padding[1]))
            continue
        if isinstance(layer, nn.Conv1d):
            steps.append(_Convolution(layer, zeros, dtype))
            zeros = (0, 0)
            continue
        if any(zeros):
            raise Unconvertible("padding that no convolution follows")
        if isinstance(layer, nn.ReLU) and isinstance(last, _Convolution) and not last.relu:
            last.relu = True
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(last, _Convolution) and not last.relu:
            _fold(layer, last, dtype)
        else:
            steps.append(_Layer(_counterpart(layer, dtype)))
    return steps


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Layers in the order in which they run."""
    if isinstance(module, nn.Sequential):
        for layer in module:
            yield from _layers(layer)
    elif not isinstance(module, (nn.Dropout, nn.Identity)):
        yield module


def _fold(norm: nn.BatchNorm1d, convolution: _Convolution, dtype: torch.dtype) -> None:
    """Multiply a BatchNorm's averaged statistics into the convolution before it."""
    if norm.running_mean is None or norm.running_var is None:
        raise Unconvertible("BatchNorm1d without averaged statistics")
    factor = torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean * factor
    if norm.affine:
        factor, shift = factor * norm.weight, shift * norm.weight + norm.bias
    weight = convolution.weight.float() * factor.detach()[:, None, None, None]
    bias = shift.detach() if convolution.bias is None else convolution.bias.float() * factor.detach() + shift.detach()
    convolution.weight = weight.to(dtype).contiguous(memory_format=LAST)
    convolution.bias = bias.to(dtype)


def _counterpart(layer: nn.Module, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    def pair(value: int | tuple[int, ...], other: int) -> tuple[int, int]:
        return other, value[0] if isinstance(value, tuple) else value

    if isinstance(layer, (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Flatten)):
        return layer
    if isinstance(layer, nn.BatchNorm1d) and layer.running_mean is not None:
        return lambda x: F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps)
    if isinstance(layer, nn.Linear):
        weight = layer.weight.detach().to(dtype)
        bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        return lambda x: F.linear(x, weight, bias)
    if isinstance(layer, nn.MaxPool1d):
        shape = pair(layer.kernel_size, 1), pair(layer.stride, 1), pair(layer.padding, 0), pair(layer.dilation, 1)
        return nn.MaxPool2d(*shape, ceil_mode=layer.ceil_mode)
    if isinstance(layer, nn.AvgPool1d):
        shape = pair(layer.kernel_size, 1), pair(layer.stride, 1), pair(layer.padding, 0)
        return nn.AvgPool2d(*shape, ceil_mode=layer.ceil_mode, count_include_pad=layer.count_include_pad)
    if isinstance(layer, nn.AdaptiveAvgPool1d):
        return nn.AdaptiveAvgPool2d(pair(layer.output_size, 1))
    if isinstance(layer, nn.AdaptiveMaxPool1d):
        return nn.AdaptiveMaxPool2d(pair(layer.output_size, 1))
    raise Unconvertible(type(layer).__name__)
