"""Random numbers that depend on (seed, epoch, sample index, stream) and on nothing else.

So the views of a sample do not depend on the number of workers and devices, on the batch it is in, or on a resume.
Every number is a hash of its coordinates (a counter-based generator), by the finaliser of SplitMix64 (Steele, Lea and
Flood 2014, "Fast splittable pseudorandom number generators"), computed for a whole batch in int64 tensor arithmetic,
which wraps around alike on CPU and GPU.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_BITS = 24  # what a float32 in [0, 1) resolves


def _signed(constant: int) -> int:
    """Return the int64 with the bits of an unsigned 64-bit constant."""
    constant &= (1 << 64) - 1
    return constant - (1 << 64) if constant >> 63 else constant


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Shift int64 right with zeros coming in (``>>`` alone repeats the sign bit)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """Scramble int64 values: the finaliser of SplitMix64, a bijection on 64 bits."""
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def _absorb(state: Tensor, value: Tensor) -> Tensor:
    """Fold one coordinate into the hash; the order of the coordinates matters."""
    return _mix((state ^ _mix(value + _GOLDEN)) + _GOLDEN)


def _stream_key(stream: str | int) -> int:
    """Return an int64 for a stream's name (Python's own hash of a string changes from process to process)."""
    return _signed(int.from_bytes(hashlib.blake2b(repr(stream).encode(), digest_size=8).digest(), "little"))


def uniform(seed: int, epoch: Tensor, index: Tensor, stream: str | int, n: int) -> Tensor:
    """Draw uniform numbers for each sample of a batch.

    Args:
        seed: Seed of the run.
        epoch: Epoch of each sample, (B,) int64.
        index: Row of each sample in its store, (B,) int64.
        stream: Name of the quantity drawn; other names give independent numbers.
        n: How many numbers per sample.

    Returns:
        (B, n) float32 in [0, 1), on the device of ``index``.
    """
    index = torch.as_tensor(index, dtype=torch.int64)
    epoch = torch.as_tensor(epoch, dtype=torch.int64, device=index.device)
    key = torch.full_like(index, _signed(int(seed)))
    key = _absorb(key, torch.full_like(index, _stream_key(stream)))
    key = _absorb(_absorb(key, epoch.expand_as(index)), index)
    counter = torch.arange(n, dtype=torch.int64, device=index.device)
    bits = _absorb(key[:, None], counter[None, :])
    return _shift_right(bits, 64 - _BITS).to(torch.float32) * 2.0**-_BITS


def normal(seed: int, epoch: Tensor, index: Tensor, stream: str | int, n: int) -> Tensor:
    """Draw standard normal numbers, (B, n) float32, by inverting the distribution function; see :func:`uniform`."""
    return torch.special.ndtri(_open(uniform(seed, epoch, index, stream, n))).to(torch.float32)


def _open(u: Tensor) -> Tensor:
    """Move [0, 1) to the middles of its cells, in float64, so that neither 0 nor 1 occurs."""
    return u.double() + 2.0 ** -(_BITS + 1)


def _distribution_function(z: Tensor | float) -> Tensor:
    return torch.special.ndtr(torch.as_tensor(z, dtype=torch.float64))


class SampleRandom:
    """Random numbers of the samples of one batch, handed to augmentations.

    Args:
        seed: Seed of the run.
        epoch: Epoch of each sample, (B,) int64 or one number.
        index: Row of each sample in its store, (B,) int64.
        prefix: Put before the name of every stream; see :meth:`fork`.

    Example:
        >>> random = SampleRandom(0, torch.zeros(4, dtype=torch.int64), torch.arange(4))
        >>> random.uniform("gain", 2).shape
        torch.Size([4, 2])
    """

    def __init__(self, seed: int, epoch: Tensor | int, index: Tensor, prefix: str = ""):
        self.seed = int(seed)
        self.index = torch.as_tensor(index, dtype=torch.int64)
        self.epoch = torch.as_tensor(epoch, dtype=torch.int64, device=self.index.device).expand_as(self.index)
        self.prefix = prefix

    def __len__(self) -> int:
        return self.index.numel()

    def __repr__(self) -> str:
        return f"SampleRandom(seed={self.seed}, samples={len(self)}, prefix={self.prefix!r})"

    def fork(self, name: str) -> SampleRandom:
        """Return a generator whose streams are independent of this one's and of other names'."""
        return SampleRandom(self.seed, self.epoch, self.index, f"{self.prefix}{name}/")

    def uniform(self, stream: str | int, n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw from U(low, high): (B, n) float32."""
        u = uniform(self.seed, self.epoch, self.index, f"{self.prefix}{stream}", n)
        return u if (low, high) == (0.0, 1.0) else low + (high - low) * u

    def normal(self, stream: str | int, n: int) -> Tensor:
        """Draw from N(0, 1): (B, n) float32."""
        return normal(self.seed, self.epoch, self.index, f"{self.prefix}{stream}", n)

    def truncated_normal(
        self,
        stream: str | int,
        mean: Tensor | float,
        std: float,
        low: Tensor | float,
        high: Tensor | float,
        n: int = 1,
    ) -> Tensor:
        """Draw from N(mean, std^2) restricted to (low, high), by inverting its distribution function.

        Args:
            stream: Name of the quantity drawn.
            mean: One number, or one per sample (B,).
            std: Standard deviation of the normal before truncation, above 0.
            low: Lower bound, one number or (B,).
            high: Upper bound, one number or (B,).
            n: How many numbers per sample.

        Returns:
            (B, n) float32.
        """
        if not std > 0 or not math.isfinite(std):
            raise ValueError(f"truncated_normal: std must be above 0, not {std}")
        mean, low, high = (self._per_sample(value) for value in (mean, low, high))  # (B, 1) or scalar
        p_low, p_high = _distribution_function((low - mean) / std), _distribution_function((high - mean) / std)
        u = _open(self.uniform(stream, n))
        z = torch.special.ndtri(p_low + u * (p_high - p_low))
        return torch.minimum(torch.maximum(mean + std * z, low), high).to(torch.float32)

    def _per_sample(self, value: Tensor | float) -> Tensor:
        value = torch.as_tensor(value, dtype=torch.float64, device=self.index.device)
        return value[:, None] if value.ndim == 1 else value
