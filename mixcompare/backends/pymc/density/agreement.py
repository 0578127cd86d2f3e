"""Whether the density that was sampled is that of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DensityError

# Both have rounding errors of some 1e-13 of their size, and PyMC's chi-squared a constant
# in single precision.
_TOLERANCE: Final = 1e-8
_CONSTANT: Final = 1e-6


def check_density(
    mixture: Mixture,
    variables: Mapping[str, FloatArray],
    sampled: FloatArray,
    log_likelihood: FloatArray,
) -> None:
    """Compare the sampler's density at S draws with the model's, which other code evaluates.

    Parameters
    ----------
    variables
        The model's free variables, (S, ...) each.
    sampled
        (S,) log density of the unconstrained coordinates, as the sampler had it.
    log_likelihood
        (S,) by `mixcompare.backends.pymc.evaluate`.

    Raises
    ------
    DensityError
        If they differ by more than rounding.
    """
    difference = np.abs(sampled - log_likelihood - mixture.log_prior(variables))
    limit = _TOLERANCE * np.abs(log_likelihood) + _CONSTANT
    if not (difference <= limit).all():
        worst = int(np.nanargmax(difference - limit))
        raise DensityError(
            f"The log density that was sampled is {sampled[worst]:.9g} where the model's differs "
            f"by {difference[worst]:.3g}. If compiled files are older than the program, remove "
            "them (the folders __pycache__ of mixcompare, or NUMBA_CACHE_DIR) and fit again; else "
            "the fault is ours, and sampler='pymc' samples PyMC's own graph."
        )
