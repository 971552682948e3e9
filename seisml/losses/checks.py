"""Shape checks shared by the losses."""

from __future__ import annotations

from torch import Tensor

from seisml.errors import UserError


def check_embeddings(function: str, min_batch: int = 2, **views: Tensor) -> None:
    """Check that all views are (B, D) tensors of one shape with enough samples.

    Args:
        function: Name of the calling loss, for the message.
        min_batch: Fewest samples that the loss can compare.
        **views: The embeddings by argument name.

    Raises:
        ValueError: A view is not two-dimensional, is empty, or differs in shape from another.
        UserError: The batch has fewer than ``min_batch`` samples.
    """
    shapes = {name: tuple(view.shape) for name, view in views.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 or 0 in shape for shape in shapes.values()):
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"{function}: needs embeddings (B, D) of one shape, got {listed}")
    shape = next(iter(shapes.values()))
    if shape[0] < min_batch:
        raise UserError(
            f"{function}: needs at least {min_batch} samples in a batch, got embeddings {shape}; "
            "raise dataset.batch_size, and drop the last incomplete batch"
        )
