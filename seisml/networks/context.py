"""A recurrent network over the pieces of a waveform: encoder and context of contrastive predictive coding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.convnet import at_least, per_layer
from seisml.networks.convnetquake import scale_by_fan_in
from seisml.networks.encoder import Encoder

CHANNELS = (16, 32, 64, 128)
STRIDE = (1, 2, 2, 2)
DILATION = (1, 2, 9, 17)


class ContextEncoder(Encoder):
    """Convolutions embed each piece of a waveform, a GRU sums up the pieces so far; the last context is the answer.

    Van den Oord, Li and Vinyals (2018), arXiv 1807.03748, with the default sizes published for LANL: Conv1d and ReLU
    four times, the mean over time, and the GRU have 120,848 parameters; 121,328 with the published BatchNorm.

    BatchNorm is left out by default: in training its statistics over a batch tell each context of the pieces that come
    later, which are to be predicted.

    Args:
        in_channels: Channels of the waveforms.
        piece_samples: Samples of a piece; a waveform is a whole number of them. None takes each waveform as one piece.
        channels: Filters of the convolutions, a list of one each; the last is the size D of a piece's embedding.
        kernel_size: Their taps; this and the next two are one value for all, or a list of one each.
        stride: Samples that they move on by.
        dilation: Samples between their taps.
        context_size: Size H of the context.
        batch_norm: BatchNorm behind each convolution, as published.

    Raises:
        UserError: A size that makes no network, or pieces too short for the convolutions.

    Shapes:
        ``forward``: (B, C, K * piece_samples) -> (B, context_size).
    """

    min_size = (1,)

    def __init__(
        self,
        in_channels: int = 1,
        piece_samples: int | None = None,
        channels: Sequence[int] = CHANNELS,
        kernel_size: int | Sequence[int] = 2,
        stride: int | Sequence[int] = STRIDE,
        dilation: int | Sequence[int] = DILATION,
        context_size: int = 128,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(in_channels, at_least("context_size", context_size))
        n_layers = at_least("channels", len(tuple(channels)))
        sizes = {"channels": channels, "kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        layers = [per_layer(name, value, n_layers) for name, value in sizes.items()]
        self.piece_samples = None if piece_samples is None else at_least("piece_samples", piece_samples)
        self.fewest = fewest_samples(*layers[1:])
        modules: list[nn.Module] = []
        width = in_channels
        for size, taps, step, gap in zip(*layers, strict=True):
            modules.append(nn.Conv1d(width, size, taps, step, dilation=gap))
            modules += [nn.BatchNorm1d(size), nn.ReLU()] if batch_norm else [nn.ReLU()]
            width = size
        self.piece_size = width
        self.model = nn.Sequential(*modules, nn.AdaptiveAvgPool1d(1), nn.Flatten())
        scale_by_fan_in(self.model)  # without BatchNorm PyTorch's default leaves pieces a thousandth apart
        self.gru = nn.GRU(width, context_size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The context after the last piece: (B, C, K * piece_samples) -> (B, H)."""
        return self.sequences(x)[1][:, -1]

    def sequences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of the pieces, and what is known after each.

        Args:
            x: Waveforms (B, C, K * piece_samples).

        Returns:
            z (B, K, D) and c (B, K, H); c[:, k] depends on pieces 0..k alone.

        Raises:
            UserError: Not a whole number of pieces, or pieces too short.
        """
        self.check_input(x)
        n, n_channels, n_samples = x.shape
        size = self.piece_samples or n_samples
        pieces = x.reshape(n, n_channels, n_samples // size, size).transpose(1, 2).flatten(0, 1)  # (B * K, C, P)
        z = self.model(pieces).view(n, -1, self.piece_size)
        return z, self.gru(z)[0]

    def check_input(self, x: Tensor) -> None:
        """Raise where x is not (B, in_channels, K * piece_samples)."""
        super().check_input(x)
        if torch.jit.is_tracing():
            return
        n_samples = x.shape[2]
        size = self.piece_samples or n_samples
        if n_samples % size:
            raise UserError(
                f"{type(self).__name__} takes pieces of {size} samples, and {n_samples} samples are not a whole "
                "number of them; set dataset.window_length, or model_params.backbone_params.piece_samples from scratch"
            )
        if size < self.fewest:
            raise UserError(
                f"{type(self).__name__} needs pieces of at least {self.fewest} samples, not {size}; set a longer "
                "dataset.window_length, or lower model_params.backbone_params.stride or dilation"
            )


def fewest_samples(kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> int:
    """Samples that convolutions behind one another need to give one number."""
    length = 1
    for taps, step, gap in zip(reversed(kernel_size), reversed(stride), reversed(dilation), strict=True):
        length = (length - 1) * step + (taps - 1) * gap + 1
    return length
