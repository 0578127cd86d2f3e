"""Whether the density that was sampled is that of the model.

A sampler moves in coordinates of its own, where its density is that of the parameters times
a Jacobian. Less the Jacobian it can differ from the log posterior, which is evaluated by other
code (`mixcompare.backends.pymc.evaluate` and `prior`), by no more than a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from mixcompare.backends.pymc.structure import Structure
from mixcompare.errors import DensityError
from mixcompare.panel import FloatArray

# Both sums have rounding errors of some 1e-13 of their size.
_TOLERANCE: Final = 1e-8


def check_density(
    structure: Structure,
    variables: Mapping[str, FloatArray],
    sampled: FloatArray,
    log_posterior: FloatArray,
) -> None:
    """Compare the sampler's density at S draws with the model's.

    Parameters
    ----------
    variables
        The model's free variables, (S, ...) each.
    sampled
        (S,) log density of the unconstrained coordinates, as the sampler had it.
    log_posterior
        (S,) of the parameters in original units.

    Raises
    ------
    DensityError
        If they differ by more than a constant.
    """
    difference = sampled - log_posterior - log_jacobian(structure, variables)
    apart = float(np.ptp(difference))
    if not apart <= _TOLERANCE * (1 + np.abs(sampled).max()):
        raise DensityError(
            f"The sampled density differs from the model's by {apart:.3g} more at some draws than "
            "at others, where only a constant is due. If compiled files are older than the "
            "program, remove them (the folders __pycache__ of mixcompare, or NUMBA_CACHE_DIR) and "
            "fit again; else sampler='pymc' samples PyMC's own graph, and the fault is ours."
        )


def log_jacobian(structure: Structure, variables: Mapping[str, FloatArray]) -> FloatArray:
    """Log density of the unconstrained coordinates less that of the parameters, up to a constant.

    Coefficients and membership are linear in their coordinates. Weights have the simplex
    transform's Jacobian; for covariances see `mixcompare.backends.pymc.bartlett`.
    """
    squares = np.log(variables["precision_squares"])
    m = structure.n_outcomes
    # |d Sigma / d log A_ii^2|, by A's part in the determinant and in the i-th column.
    powers = (m + 1 + np.arange(m)) / 2 if structure.covariance == "full" else np.ones(1)
    result = -(squares * powers).sum(axis=(-2, -1))
    if "weights" in variables:
        result = result + np.log(variables["weights"]).sum(axis=-1)
    return np.asarray(result)
