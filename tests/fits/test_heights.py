"""How near to a mode's top the highest of a posterior's draws must be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixcompare.fits.heights import allowance


@pytest.mark.parametrize("dimensions", [2, 11, 40])
@pytest.mark.parametrize("draws", [70, 400, 4000])
def test_the_allowance_is_rarely_too_small(dimensions: int, draws: int) -> None:
    """By the binomial: that none of the draws is in a tenth's mode, and so near to its top."""
    near = 0.1 * stats.chi2.cdf(2 * allowance(dimensions, draws, share=0.1), dimensions)
    assert stats.binom.pmf(0, draws, near) == pytest.approx(1e-3, rel=1e-6)


def test_normal_draws_are_within_it() -> None:
    rng = np.random.default_rng(5)
    deepest = 0.5 * (rng.normal(size=(2000, 500, 6)) ** 2).sum(axis=-1).min(axis=1)
    assert (deepest < allowance(6, 500, share=0.1)).all()
    # It does not grant so much that a mode's whole width would be missed.
    assert allowance(6, 500, share=0.1) < 0.5 * stats.chi2.ppf(0.5, 6)


def test_few_draws_can_miss_a_tenth() -> None:
    assert allowance(3, 65, share=0.1) == np.inf
    assert allowance(3, 66, share=0.1) < np.inf
