"""The discriminator of temporal neighbourhood coding (Tonekaboni et al. 2021, arXiv 2106.00750)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TNCDiscriminator(nn.Module):
    """Tell whether two crops are neighbours: Linear(2E, 4E) - ReLU - Dropout(0.5) - Linear(4E, 1).

    Args:
        in_size: The encoder's width E.
    """

    def __init__(self, in_size: int):
        super().__init__()
        self.in_size = in_size
        self.model = nn.Sequential(
            nn.Linear(2 * in_size, 4 * in_size), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4 * in_size, 1)
        )
        nn.init.xavier_uniform_(self.model[0].weight)
        nn.init.xavier_uniform_(self.model[3].weight)

    def forward(self, y: Tensor, y2: Tensor) -> Tensor:
        """Logit that two crops are neighbours.

        Args:
            y: Encoder outputs of the reference crops (B, E).
            y2: Encoder outputs of the other crops (B, E).

        Returns:
            Logits (B,).

        Raises:
            ValueError: The two are not (B, E) tensors of one shape.
        """
        if y.shape != y2.shape or y.dim() != 2 or y.shape[1] != self.in_size:
            raise ValueError(
                f"TNCDiscriminator: needs two embeddings (B, {self.in_size}), "
                f"got y {tuple(y.shape)}, y2 {tuple(y2.shape)}"
            )
        return self.model(torch.cat([y, y2], dim=1)).squeeze(1)
