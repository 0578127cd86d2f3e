"""How near to the top of a mode the highest of a posterior's draws must be.

In a normal posterior of d dimensions the log density of a draw lies half a chi-squared variable
with d degrees of freedom below that of the mode (Gelman et al. 2013, section 4.1). Of a mode that
holds a share s of the posterior, each of n independent draws comes within c of the top with
probability ``s P(chi2_d < 2 c)``. Where none does although all n missing it is improbable, the mode
has been missed, however well draws agree with one another.

It is the posterior density that has to be compared, not the likelihood: at its own maximum,
which the prior may pull draws away from, the likelihood is higher than at any draw however many
there are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import chdtri

# The share of a posterior that must not be missed, and how rarely it is said of one that was not.
SHARE: Final = 0.1
RARELY: Final = 1e-3


def allowance(
    dimensions: float, effective: float, chance: float = RARELY, share: float = 1.0
) -> float:
    """By how much a mode is above the highest of n draws at the most, in log density.

    It solves ``(1 - s P(chi2_d < 2 c))^n = chance`` for c, of a normal posterior.

    Parameters
    ----------
    dimensions
        d, of which a normal posterior's log density has the variance d / 2.
    effective
        n, the effective number of draws; 1 where it is less or not known, for which the allowance
        is the largest.
    chance
        How often the highest of n draws lies further below it.
    share
        s, of the posterior that the mode holds; infinity is returned where so few draws can miss
        as much of it by chance.
    """
    n = max(1.0, effective) if np.isfinite(effective) else 1.0
    near = (1 - min(chance, 1.0) ** (1 / n)) / share
    return float(chdtri(dimensions, 1 - near) / 2) if near < 1 else np.inf
