"""Intervals that resample events, not records: the records of one event are not independent witnesses.

Percentile bootstrap (Efron and Tibshirani 1993, "An introduction to the bootstrap"): as many events as there are, drawn
with replacement, each with all its records; the interval holds the middle 95 % of what that gives.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.stats import binomtest

RESAMPLES = 2000  # the interval's ends then waver by about a fiftieth of its width
NUMBERS_AT_ONCE = 2**22  # numbers of drawn events held at a time: 32 MiB
LEVEL = 0.95  # share of the resampled values within an interval


def event_bootstrap(values: np.ndarray, event: np.ndarray, level: float = LEVEL, seed: int = 0) -> tuple[float, float]:
    """Interval of a mean.

    Args:
        values: (N,).
        event: (N,) names of the events that they belong to.
        level: Share of the resampled means within the interval.
        seed: Seed of the draws.

    Returns:
        Lower and upper end.
    """
    sums = resampled_sums(np.stack([values, np.ones(len(values))], axis=1), event, seed)
    low, high = ends(sums[:, 0] / sums[:, 1], level)
    return float(low), float(high)


def resampled_sums(values: np.ndarray | csr_array, event: np.ndarray, seed: int = 0) -> np.ndarray:
    """Sum values over resampled events; whatever is made of sums (a mean, a ratio) then has resampled values, too.

    Args:
        values: (N, D), dense or sparse.
        event: (N,) names of the events that they belong to.
        seed: Seed of the draws; the same events are drawn for the same seed and number of events.

    Returns:
        (RESAMPLES, D).
    """
    inverse, n_events = event_numbers(event)
    members = csr_array((np.ones(len(inverse)), (inverse, np.arange(len(inverse)))), (n_events, len(inverse)))
    total = members @ values  # (E, D)
    total = total.toarray() if issparse(total) else total
    generator, share = np.random.default_rng(seed), np.full(n_events, 1 / n_events)
    at_once = max(1, NUMBERS_AT_ONCE // n_events)
    return np.concatenate(
        [
            generator.multinomial(n_events, share, min(at_once, RESAMPLES - done)) @ total
            for done in range(0, RESAMPLES, at_once)
        ]
    )


def event_numbers(event: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the events of records: (N,) from 0, and how many events there are."""
    names, inverse = np.unique(np.asarray(event).astype(str), return_inverse=True)
    return inverse, len(names)


def ends(resampled: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Lower and upper ends (2, ...) of resampled values (RESAMPLES, ...); NaN does not count, and alone gives NaN."""
    quantiles = np.full((2, *resampled.shape[1:]), np.nan)
    some = ~np.isnan(resampled).all(axis=0)
    quantiles[:, some] = np.nanquantile(resampled[:, some], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return quantiles


def proportion_interval(n_hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the Wilson score interval of a share, which holds for a handful of events, and where all or none hit.

    Args:
        n_hits: How many did.
        n: Of how many independent ones (records of one event are not), at least 1.
        level: Share of such intervals that hold the true share.

    Returns:
        Lower and upper bound, within [0, 1]. Wilson, E. B. (1927), JASA 22, 209-212.
    """
    interval = binomtest(n_hits, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
