"""ConvNetQuake: detection and location of earthquakes from one station (Perol, Gharbi and Denolle 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.convnet import at_least, check_depth, check_waveforms
from seisml.networks.encoder import Encoder


class ConvNetQuakeEncoder(Encoder):
    """The convolutions of ConvNetQuake and the flattening (doi 10.1126/sciadv.1700578, Fig. 2).

    With a linear layer to 7 classes behind it, it has the published 22,951 parameters.

    Each layer is a convolution with zero padding "same" as TensorFlow has it (lengths n -> ceil(n / stride), the odd
    zero behind), and ReLU. 1000 samples become 500, 250, 125, 63, 32, 16, 8, 4; 32 channels of 4 are 128 features.

    Args:
        in_channels: Channels of the waveforms.
        n_samples: Length of the waveforms; the flattening ties the network to it.
        n_layers: Number of convolutions.
        channels: Filters of each.
        kernel_size: Their kernel.
        stride: Their stride.

    Raises:
        UserError: A value that is not a positive whole number.
    """

    def __init__(
        self,
        in_channels: int = 3,
        n_samples: int = 1000,
        n_layers: int = 8,
        channels: int = 32,
        kernel_size: int = 3,
        stride: int = 2,
    ) -> None:
        values = {"n_samples": n_samples, "n_layers": check_depth(n_layers), "channels": channels}
        values |= {"kernel_size": kernel_size, "stride": stride}
        for name, value in values.items():
            at_least(name, value)
        if stride > kernel_size:
            raise UserError(f"stride: {stride} is more than kernel_size={kernel_size} and would skip samples; lower it")
        layers: list[nn.Module] = []
        width, length = in_channels, n_samples
        for _ in range(n_layers):
            padding = same_padding(length, kernel_size, stride)
            layers += [nn.ConstantPad1d(padding, 0.0), nn.Conv1d(width, channels, kernel_size, stride), nn.ReLU()]
            width, length = channels, -(-length // stride)
        super().__init__(in_channels, channels * length)
        self.n_samples = n_samples
        self.model = nn.Sequential(*layers, nn.Flatten())
        scale_by_fan_in(self)

    def check_input(self, x: Tensor) -> None:
        """Raise where x is not (B, in_channels, n_samples)."""
        check_waveforms(self, x)


def scale_by_fan_in(network: nn.Module) -> None:
    """Draw fresh weights as TensorFlow's ``variance_scaling_initializer`` does, the published one; biases become zero.

    Weights are normal with variance 2 / fan-in, cut at two standard deviations (the factor 1.3 makes up for the cut),
    so that ReLU layers hand on the size of their input. PyTorch's default is 2.4 times smaller a layer: eight layers
    leave nothing of the signal, and the network stays at the constant answer.

    Args:
        network: Whose convolutions and linear layers are drawn, in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            deviation = (1.3 * 2 / module.weight[0].numel()) ** 0.5
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            nn.init.zeros_(module.bias)


def same_padding(length: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind an input so that a convolution gives ceil(length / stride) samples, as in TensorFlow."""
    total = max((-(-length // stride) - 1) * stride + kernel_size - length, 0)
    return total // 2, total - total // 2
