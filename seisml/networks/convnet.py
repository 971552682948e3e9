"""The ConvNet of the triggered-tremor study: blocks of convolution, pooling, BatchNorm and ReLU, then dense layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.encoder import Encoder

CHANNELS = (8, 16, 16, 16, 32, 32, 64, 64)
DENSE = (32, 16)
DEEPEST = 200  # layers: more are a mistake, or a file that means harm


class ConvNetEncoder(Encoder):
    """The published ConvNet up to its last hidden layer.

    Each block is Conv1d - AdaptiveAvgPool1d (the block's input length / ``pool_factor``, floored) - BatchNorm1d - ReLU;
    the flattened result goes through dense layers with ReLU. With a linear layer to 2 classes behind it and its default
    arguments it has the published 177,738 parameters.

    Args:
        in_channels: Channels of the waveforms.
        n_samples: Length of the waveforms; a dense layer ties the network to it.
        n_layers: Number of blocks.
        channels: Channels of the blocks; this and the next four are one value for all blocks, or a list of one each.
        kernel_size: Kernel of the convolutions.
        stride: Stride of the convolutions.
        padding: Zeros on either side of a convolution's input.
        pool_factor: What a block divides the length by.
        dense_sizes: Widths of the dense layers; an empty list leaves the flattened features.

    Raises:
        UserError: A value that is not a positive whole number, a list of another length than ``n_layers``, or sizes
            that leave a block without samples.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_samples: int = 20000,
        n_layers: int = 8,
        channels: int | Sequence[int] = CHANNELS,
        kernel_size: int | Sequence[int] = 2,
        stride: int | Sequence[int] = 2,
        padding: int | Sequence[int] = 1,
        pool_factor: int | Sequence[int] = 2,
        dense_sizes: Sequence[int] = DENSE,
    ) -> None:
        n_samples, n_layers = at_least("n_samples", n_samples), check_depth(n_layers)
        options = {"channels": channels, "kernel_size": kernel_size, "stride": stride, "pool_factor": pool_factor}
        sizes = {name: per_layer(name, value, n_layers) for name, value in options.items()}
        sizes["padding"] = per_layer("padding", padding, n_layers, least=0)
        blocks: list[nn.Module] = []
        width, length = in_channels, n_samples
        for layer in range(n_layers):
            size = {name: values[layer] for name, values in sizes.items()}
            pooled = _pooled_length(layer, length, size)
            convolution = nn.Conv1d(width, size["channels"], size["kernel_size"], size["stride"], size["padding"])
            blocks += [convolution, nn.AdaptiveAvgPool1d(pooled), nn.BatchNorm1d(size["channels"]), nn.ReLU()]
            width, length = size["channels"], pooled
        dense: list[nn.Module] = []
        features = width * length
        for size in dense_sizes:
            dense += [nn.Linear(features, at_least("dense_sizes", size)), nn.ReLU()]
            features = size
        super().__init__(in_channels, features)
        self.n_samples = n_samples
        self.model = nn.Sequential(nn.Sequential(*blocks), nn.Flatten(), nn.Sequential(*dense))

    def check_input(self, x: Tensor) -> None:
        """Raise where x is not (B, in_channels, n_samples)."""
        check_waveforms(self, x)


def per_layer(name: str, value: int | Sequence[int], n_layers: int, least: int = 1) -> tuple[int, ...]:
    """Spread one value over all layers, or check a list of one value per layer.

    Raises:
        UserError: A list of another length, or a value below ``least``.
    """
    is_single = isinstance(value, int | float | str)
    values = (value,) * n_layers if is_single else tuple(value)
    if len(values) != n_layers:
        raise UserError(f"{name}: {len(values)} values for n_layers={n_layers}; give one value, or one per layer")
    return tuple(at_least(name, one, least) for one in values)


def check_depth(n_layers: int) -> int:
    """Return a number of layers; :class:`UserError` where it is none that a network can have."""
    if at_least("n_layers", n_layers) > DEEPEST:
        raise UserError(f"n_layers: {n_layers} does not fit; give {DEEPEST} or fewer")
    return n_layers


def at_least(name: str, value: int, least: int = 1) -> int:
    """Return a whole number; :class:`UserError` where it is none, or below ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"{name}: {value!r} does not fit; give a whole number of {least} or more")
    return value


def check_waveforms(encoder: Encoder, x: Tensor) -> None:
    """Raise where x is not (B, in_channels, n_samples) of an encoder for one length of waveform.

    Raises:
        ValueError: Wrong number of axes.
        UserError: Wrong number of channels or samples.
    """
    name, shape = type(encoder).__name__, tuple(x.shape)
    if len(shape) != 3:
        raise ValueError(f"{name}: needs waveforms (B, C, T), got {shape}; choose front_end=waveform")
    if torch.jit.is_tracing():
        return
    if shape[1] != encoder.in_channels:
        raise UserError(
            f"in_channels: {name} was built for {encoder.in_channels} channels, the waveforms {shape} have {shape[1]}; "
            f"set model_params.in_channels={shape[1]}"
        )
    if shape[2] != encoder.n_samples:
        raise UserError(
            f"n_samples: {name} was built for {encoder.n_samples} samples, the waveforms have {shape[2]}; "
            f"cut them to that length (dataset.n_samples={encoder.n_samples}) or train on this one"
        )


def _pooled_length(layer: int, length: int, size: dict[str, int]) -> int:
    """Length of a block's output; refuses what leaves a block without samples."""
    place = f"layer {layer + 1} of the ConvNet gets {length} samples"
    convolved = (length + 2 * size["padding"] - size["kernel_size"]) // size["stride"] + 1
    if convolved < 1 or length + 2 * size["padding"] < size["kernel_size"]:
        raise UserError(
            f"kernel_size: {place}, too few for a kernel of {size['kernel_size']} with padding {size['padding']}; "
            "lower kernel_size or n_layers"
        )
    pooled = length // size["pool_factor"]
    if pooled < 1:
        raise UserError(f"pool_factor: {place}, too few to divide by {size['pool_factor']}; lower it or n_layers")
    if pooled > convolved:
        raise UserError(
            f"stride: {place}, its convolution gives {convolved}, too few to pool to {pooled}; "
            f"lower stride={size['stride']} or raise pool_factor={size['pool_factor']}"
        )
    return pooled
