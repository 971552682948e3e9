"""Convolutions and a long short-term memory behind them, for long waveforms."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.convnet import at_least, check_depth
from seisml.networks.encoder import Encoder

WIDEST = 4096  # channels of a layer


class CnnLstmEncoder(Encoder):
    """Convolutions that shorten the waveform, and an LSTM (Hochreiter and Schmidhuber 1997) over what is left of it.

    Each convolution has BatchNorm and ReLU; between two of them the largest of every ``pool`` values stays. The
    features are the last layer's at the end of the waveform. The network published for the LANL record is
    ``widths=[32, 64, 128, 256], stem_length=4000, stem_stride=10, hidden=512, n_layers=10, n_steps=1``, with 20,746,176
    parameters before its linear layer: there the LSTM sees one step, the mean over all of the window.

    Args:
        in_channels: Channels of the waveforms.
        widths: Channels of each convolution.
        stem_length: Taps of the first convolution; the others have 3.
        stem_stride: Samples that the first convolution moves on by.
        pool: Values of which the largest stays between two convolutions.
        hidden: Features of the LSTM.
        n_layers: Layers of the LSTM.
        n_steps: Steps that the LSTM sees, each the mean over its share of the window; None takes them as they come.

    Raises:
        UserError: A size that makes no network.

    Shapes:
        ``forward``: (B, C, T) -> (B, hidden). T at least ``min_size``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
        stem_length: int = 80,
        stem_stride: int = 10,
        pool: int = 3,
        hidden: int = 64,
        n_layers: int = 1,
        n_steps: int | None = None,
    ):
        super().__init__(in_channels, at_least("hidden", hidden))
        widths = [at_least("widths", width) for width in widths]
        check_depth(n_layers)
        if not widths or len(widths) > 12 or max(*widths, hidden) > WIDEST:
            raise UserError(f"widths: {list(widths)} with hidden {hidden}; give 1 to 12 numbers of up to {WIDEST} each")
        at_least("pool", pool)
        at_least("stem_length", stem_length)
        stem = nn.Conv1d(in_channels, widths[0], stem_length, at_least("stem_stride", stem_stride), bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm1d(widths[0]), nn.ReLU()]
        least = 1
        for before, width in zip(widths, widths[1:], strict=False):
            layers += [nn.MaxPool1d(pool), nn.Conv1d(before, width, 3, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            least = (least + 2) * pool
        self.min_size = ((least - 1) * stem_stride + stem_length,)
        if n_steps is not None:
            layers.append(nn.AdaptiveAvgPool1d(at_least("n_steps", n_steps)))
        lstm = nn.LSTM(widths[-1], hidden, n_layers, batch_first=True)
        self.model = nn.ModuleDict({"cnn": nn.Sequential(*layers), "lstm": lstm})

    def forward(self, x: Tensor) -> Tensor:
        """Encode waveforms (B, C, T): (B, hidden)."""
        self.check_input(x)
        steps = self.model["cnn"](x).transpose(1, 2)  # (B, steps, widths[-1])
        return self.model["lstm"](steps)[0][:, -1]
