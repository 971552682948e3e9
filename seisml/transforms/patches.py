"""Pictures as patches of frequencies and times, some of which are hidden."""

from __future__ import annotations

import torch
from torch import Tensor


def to_patches(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut pictures into patches; what is left over at the highest frequencies and the end belongs to none.

    Args:
        picture: (N, C, F, W).
        size: Frequencies and columns of a patch, (p, q).

    Returns:
        (N, F // p * (W // q), C * p * q), row after row.
    """
    (p, q), (rows, columns) = size, grid(picture, size)
    inside = picture[..., : rows * p, : columns * q].unflatten(3, (columns, q)).unflatten(2, (rows, p))
    return inside.permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2)  # from (N, C, rows, p, columns, q)


def grid(picture: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of patches in pictures (N, C, F, W)."""
    return picture.shape[2] // size[0], picture.shape[3] // size[1]


def hide(picture: Tensor, hidden: Tensor, size: tuple[int, int]) -> Tensor:
    """Put the mean of what stays visible, of each picture and channel, in the place of patches.

    Args:
        picture: (N, C, F, W).
        hidden: Numbers of the patches that are hidden, as :func:`to_patches` counts them, (N, H) int64.
        size: Frequencies and columns of a patch, (p, q).

    Returns:
        (N, C, F, W); nothing in it depends on what is hidden.
    """
    (p, q), (rows, columns) = size, grid(picture, size)
    chosen = torch.zeros(len(picture), rows * columns, dtype=torch.bool, device=picture.device)
    chosen = chosen.scatter(1, hidden, True).unflatten(1, (rows, columns))
    mask = torch.zeros_like(picture[:, :1], dtype=torch.bool)
    mask[:, 0, : rows * p, : columns * q] = chosen.repeat_interleave(p, 1).repeat_interleave(q, 2)
    n_visible = (~mask).sum((2, 3), keepdim=True)
    mean = torch.where(mask, 0.0, picture).sum((2, 3), keepdim=True) / n_visible
    return torch.where(mask, mean, picture)
