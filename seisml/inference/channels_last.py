"""One-dimensional networks as two-dimensional ones whose channels lie side by side in memory: the same numbers, sooner.

PyTorch's 1-D convolutions on CPUs reorder their input and output in every layer. As convolutions of pictures of height
1 with channels last they need not, and a batch small enough for the processor's cache never leaves it.

Convolutions pad both ends alike. Where a network wants its zeros behind the samples alone (padding "same" with strides,
as TensorFlow has it), copies into wider buffers would cost a quarter of the time; but a network whose kernels are
reversed sees reversed samples as it saw them before, and then those zeros come first, as convolutions put them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAST = torch.channels_last
ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Tanh, nn.Sigmoid)
SYMMETRIC = (*ELEMENTWISE, nn.BatchNorm1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d)  # of reversed samples, reversed


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
        input: (B, T, C) tensor to write the next batch into.
        backwards: Whether the batch is wanted in reversed time, the last sample first.

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
        self.classifier = classifier
        shape = (batch_size, in_channels, 1, n_samples)
        self.picture = torch.zeros(shape, dtype=dtype).contiguous(memory_format=LAST)
        self.input = self.picture[:, :, 0].permute(0, 2, 1)  # (B, T, C)
        self.steps, self.backwards = _steps(encoder, dtype, False), False
        detours = self._detours()
        if detours and _reversible(encoder):
            forwards, self.steps, self.backwards = self.steps, _steps(encoder, dtype, True), True
            if self._detours() >= detours:
                self.steps, self.backwards = forwards, False

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        """Log-probabilities of the batch in ``input``, (B, n_classes) float32."""
        x = self.picture
        for step in self.steps:
            x = step(x)
        return F.log_softmax(self.classifier(x.float()), dim=-1)

    @torch.inference_mode()
    def _detours(self) -> int:
        """How many convolutions have to copy their input to pad it."""
        x, detours = self.picture[:1], 0
        for step in self.steps:
            detours += isinstance(step, _Convolution) and step.detour(x.shape[3])
            x = step(x)
        return detours


class _Convolution:
    """A convolution with the zeros around its input, and the ReLU behind it.

    Args:
        layer: What it stands for.
        zeros: Further zeros before and behind the samples.
        dtype: In which it computes.
        backwards: Whether samples come in reversed time.
    """

    def __init__(self, layer: nn.Conv1d, zeros: tuple[int, int], dtype: torch.dtype, backwards: bool) -> None:
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise Unconvertible(f"Conv1d with padding {layer.padding} ({layer.padding_mode})")
        self.zeros = (zeros[0] + layer.padding[0], zeros[1] + layer.padding[0])
        weight = layer.weight.detach().flip(2) if backwards else layer.weight.detach()
        self.weight = weight[:, :, None].to(dtype).contiguous(memory_format=LAST)
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.stride, self.dilation, self.groups = layer.stride[0], layer.dilation[0], layer.groups
        self.reach = (layer.kernel_size[0] - 1) * self.dilation + 1
        self.relu, self.backwards = False, backwards

    def __call__(self, x: Tensor) -> Tensor:
        before, behind = self._ends(x.shape[3])
        if before != behind:  # negative numbers cut
            x, before = F.pad(x, (before, behind)).contiguous(memory_format=LAST), 0
        x = F.conv2d(x, self.weight, self.bias, (1, self.stride), (0, before), (1, self.dilation), self.groups)
        return x.relu_() if self.relu else x

    def detour(self, n_samples: int) -> bool:
        """Whether an input of this length has to be copied."""
        before, behind = self._ends(n_samples)
        return before != behind

    def _ends(self, n_samples: int) -> tuple[int, int]:
        """Zeros to put before and behind, in the order in which samples come; equal numbers wherever they will do."""
        before, behind = self.zeros
        n_windows = (n_samples + before + behind - self.reach) // self.stride + 1
        behind = (n_windows - 1) * self.stride + self.reach - before - n_samples  # those that a window looks at
        if self.backwards:
            before, behind = behind, before
        slack = before - behind  # more zeros behind change nothing as long as no further window fits
        return (before, before) if before >= 0 and 0 <= slack < self.stride else (before, behind)


class _Layer:
    """Any other layer: takes pictures of height 1 where the 1-D layer took waveforms."""

    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        self.layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer(x)


def _reversible(encoder: nn.Module) -> bool:
    """Whether all layers before the flattening give reversed features of reversed samples."""
    for layer in _layers(encoder):
        if isinstance(layer, nn.Flatten):
            return True
        if not isinstance(layer, (nn.ConstantPad1d, nn.Conv1d, *SYMMETRIC)):
            return False
    return False


def _steps(encoder: nn.Module, dtype: torch.dtype, backwards: bool) -> list[_Convolution | _Layer]:
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
            steps.append(_Convolution(layer, zeros, dtype, backwards))
            zeros = (0, 0)
            continue
        if any(zeros):
            raise Unconvertible("padding that no convolution follows")
        if isinstance(layer, nn.ReLU) and isinstance(last, _Convolution) and not last.relu:
            last.relu = True
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(last, _Convolution) and not last.relu:
            _fold(layer, last, dtype)
        elif isinstance(layer, nn.Flatten) and backwards:
            steps.append(_Layer(lambda x, flatten=layer: flatten(x.flip(3) if x.ndim == 4 else x)))
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

    if isinstance(layer, (*ELEMENTWISE, nn.Flatten)):
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
