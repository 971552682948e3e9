"""Batches in the order of a sampler, read here or by worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import DataLoader

from seisml.data.dataset import StoreDataset
from seisml.data.sampling import Batch, EpochSampler
from seisml.errors import UserError
from seisml.processes.signals import leave_to_parent


def keep_batch(batch: Batch) -> Batch:
    """Collate function: the data set has already made the batch."""
    return batch


def filled_batch(batch: Batch) -> Batch:
    """Collate function of training, which cannot go on without a sample.

    Raises:
        UserError: All samples of a batch were left out.
    """
    if not len(batch["index"]):
        raise UserError(
            "a whole batch of records with dead traces alone: nothing to learn from; prepare the data again (`seisml "
            "prepare` skips them), raise dataset.batch_size, or set dataset.dead_traces=keep"
        )
    return batch


class ReadAhead(DataLoader):
    """Reads the next batch in a thread while training learns from the one before.

    For loaders without workers, whose batches come from this process alone. What is drawn for a sample depends on its
    key, so that it is the same in any thread.
    """

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches; an error of reading comes in the place of its batch."""
        batches = super().__iter__()
        with ThreadPoolExecutor(1, "seisml batches") as reader:  # ends with the loop, also where that is left early
            coming = reader.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = reader.submit(next, batches, None)
                yield batch


class FilledBatches(DataLoader):
    """Passes over batches without a sample: those of a stretch in which all traces are dead."""

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches that hold something.

        Raises:
            UserError: None does.
        """
        found = False
        for batch in super().__iter__():
            if len(batch["index"]):
                found = True
                yield batch
        if not found and len(self):
            raise UserError(
                f"{self.dataset.store.root}: the {len(self.sampler)} records asked for have dead traces alone; "
                "set dataset.dead_traces=keep to take them, or another dataset.train_test_split_rand_seed"
            )


def share_out(sampler: EpochSampler, batch_size: int, drop_last: bool) -> int:
    """Deal the batches of an epoch to the processes that train together, as many to each.

    Args:
        sampler: The order of training; where the last batch is dropped, it is made to end before it.
        batch_size: Samples of a batch, of all processes.
        drop_last: Leave out an incomplete last batch.

    Returns:
        Samples of a batch that each process reads.

    Raises:
        UserError: The batches cannot be shared out.
    """
    n_processes, left = sampler.world_size, sampler.total % batch_size
    if batch_size % n_processes:
        near = max(1, batch_size // n_processes) * n_processes
        raise UserError(f"dataset.batch_size: {n_processes} processes cannot share {batch_size} samples; set {near}")
    if drop_last and n_processes > 1:
        sampler.most = sampler.total - left
    elif 0 < left < n_processes:
        raise UserError(
            f"the last batch of an epoch has {left} samples, which {n_processes} processes cannot share; set "
            "dataset.drop_last=true, or another dataset.batch_size"
        )
    return batch_size // n_processes


def make_loader(
    dataset: StoreDataset, sampler: EpochSampler, batch_size: int, num_workers: int, drop_last: bool = False
) -> DataLoader:
    """Return batches of a data set in a sampler's order.

    Args:
        dataset: What reads them.
        sampler: Their order. One that shuffles is that of training, whose workers live as long as the loader.
        batch_size: Samples of a batch, of this process.
        num_workers: Worker processes that read batches; 0 reads in this one, in training a batch ahead.
        drop_last: Leave out an incomplete last batch.
    """
    is_training = sampler.shuffle
    of_training = DataLoader if num_workers else ReadAhead
    return (of_training if is_training else FilledBatches)(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        drop_last=drop_last,
        collate_fn=filled_batch if is_training else keep_batch,
        worker_init_fn=leave_to_parent,
        persistent_workers=num_workers > 0 and is_training,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # a loader draws a number when it starts: not from those that dropout takes
    )
