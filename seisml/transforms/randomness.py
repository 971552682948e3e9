"""Random numbers that depend on (seed, epoch, record, start, stream) and on nothing else.

So the views of a sample do not depend on the number of workers and devices, on the batch it is in, or on a resume.
Every number is a hash of its coordinates (a counter-based generator), by the finaliser of SplitMix64 (Steele, Lea and
Flood 2014, "Fast splittable pseudorandom number generators"), computed for a whole batch in int64 tensor arithmetic,
which wraps around alike on CPU and GPU.
"""

from __future__ import annotations

import copy
import hashlib
import math
from functools import lru_cache

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


@lru_cache(maxsize=1024)
def _key(value: str | int) -> int:
    """Return an int64 for a seed or a stream's name (Python's hash changes from process to process)."""
    digest = hashlib.blake2b(repr(value).encode(), digest_size=8).digest()
    return _signed(int.from_bytes(digest, "little"))


def _sample_keys(seed: int, epoch: Tensor | int, index: Tensor, start: Tensor | int) -> Tensor:
    """Return an int64 for each (seed, epoch, index, start): (B,). Each coordinate goes through the mixer by itself."""
    index = torch.as_tensor(index, dtype=torch.int64)
    epoch, start = (
        torch.as_tensor(value, dtype=torch.int64, device=index.device).expand_as(index) for value in (epoch, start)
    )
    whole = _mix(_mix(epoch * _GOLDEN + _key(int(seed))) + index * _GOLDEN)
    return whole ^ _mix(start * _GOLDEN)  # the mixer leaves 0 as it is: a first window has its record's numbers


def _uniform(sample_keys: Tensor, stream: str | int, n: int) -> Tensor:
    """Run SplitMix64 for ``n`` steps from a state for each sample and stream: (B, n) float32 in [0, 1)."""
    state = _mix(sample_keys + _key(stream))
    step = torch.arange(1, n + 1, dtype=torch.int64, device=state.device) * _GOLDEN
    bits = _mix(state[:, None] + step)
    return _shift_right(bits, 64 - _BITS).to(torch.float32) * 2.0**-_BITS


def _open(u: Tensor) -> Tensor:
    """Move [0, 1) to the middles of its cells, in float64, so that neither 0 nor 1 occurs."""
    return u.double() + 2.0 ** -(_BITS + 1)


def uniform(seed: int, epoch: Tensor, index: Tensor, stream: str | int, n: int, start: Tensor | int = 0) -> Tensor:
    """Draw uniform numbers for each sample of a batch.

    Args:
        seed: Seed of the run.
        epoch: Epoch of each sample, (B,) int64.
        index: Row of each sample in its store, (B,) int64.
        stream: Name of the quantity drawn; other names give independent numbers.
        n: How many numbers per sample.
        start: First sample of each window in its record, (B,) int64, or one for all.

    Returns:
        (B, n) float32 in [0, 1), on the device of ``index``.
    """
    return _uniform(_sample_keys(seed, epoch, index, start), stream, n)


def normal(seed: int, epoch: Tensor, index: Tensor, stream: str | int, n: int, start: Tensor | int = 0) -> Tensor:
    """Draw standard normal numbers, (B, n) float32, by inverting the distribution function; see :func:`uniform`."""
    return torch.special.ndtri(_open(uniform(seed, epoch, index, stream, n, start))).to(torch.float32)


class SampleRandom:
    """Random numbers of the samples of one batch, handed to augmentations.

    Args:
        seed: Seed of the run.
        epoch: Epoch of each sample, (B,) int64 or one number.
        index: Row of each sample in its store, (B,) int64.
        start: First sample of each window in its record, (B,) int64 or one number.
        prefix: Put before the name of every stream; see :meth:`fork`.

    Example:
        >>> random = SampleRandom(0, torch.zeros(4, dtype=torch.int64), torch.arange(4))
        >>> random.uniform("gain", 2).shape
        torch.Size([4, 2])
    """

    def __init__(
        self, seed: int, epoch: Tensor | int, index: Tensor, start: Tensor | int = 0, prefix: str = ""
    ) -> None:
        self.seed, self.prefix = int(seed), prefix
        self._keys = _sample_keys(seed, epoch, index, start)

    def __len__(self) -> int:
        return self._keys.numel()

    def __repr__(self) -> str:
        return f"SampleRandom(seed={self.seed}, samples={len(self)}, prefix={self.prefix!r})"

    def fork(self, name: str) -> SampleRandom:
        """Return a generator whose streams are independent of this one's and of those under other names."""
        other = copy.copy(self)
        other.prefix = f"{self.prefix}{name}/"
        return other

    def uniform(self, stream: str | int, n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw from U(low, high): (B, n) float32."""
        u = _uniform(self._keys, f"{self.prefix}{stream}", n)
        return u if (low, high) == (0.0, 1.0) else low + (high - low) * u

    def normal(self, stream: str | int, n: int) -> Tensor:
        """Draw from N(0, 1): (B, n) float32."""
        return torch.special.ndtri(_open(self.uniform(stream, n))).to(torch.float32)

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
        if not 0 < std < math.inf:
            raise ValueError(f"truncated_normal: std must be a number above 0, not {std}")
        mean, low, high = (self._per_sample(value) for value in (mean, low, high))  # (B, 1), or a scalar
        p_low, p_high = torch.special.ndtr((low - mean) / std), torch.special.ndtr((high - mean) / std)
        z = torch.special.ndtri(p_low + _open(self.uniform(stream, n)) * (p_high - p_low))
        return torch.clamp(mean + std * z, low, high).to(torch.float32)

    def _per_sample(self, value: Tensor | float) -> Tensor:
        value = torch.as_tensor(value, dtype=torch.float64, device=self._keys.device)
        return value[:, None] if value.ndim == 1 else value
