"""Labels by the mode that each draw climbs to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray

# From a draw's responsibilities (G, K), whose first M-step is the first iteration from its
# parameters, to the mode's number (negative: none) and the permutation that aligns the draw
# to the mode's own labelling.
type Climb = Callable[[FloatArray], tuple[int, IntArray]]


def climbing(responsibilities: FloatArray, climb: Climb) -> tuple[IntArray, IntArray]:
    """Label each draw as the mode it climbs to is labelled (Yao & Lindsay 2009).

    Every mode has K! copies; a draw belongs to the copy that an ascending algorithm such as
    EM reaches from it. The modes' own labellings must agree with one another, which is the
    business of `climb`.

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw.
    climb
        What climbs; called once for every draw.

    Returns
    -------
    mode, permutation
        (...) numbers of the modes and (..., K).
    """
    sample, (units, k) = responsibilities.shape[:-2], responsibilities.shape[-2:]
    ends = [climb(tau) for tau in responsibilities.reshape(-1, units, k)]
    mode = np.array([number for number, _ in ends], dtype=np.intp)
    permutation = np.array([order for _, order in ends], dtype=np.intp)
    return mode.reshape(sample), permutation.reshape(*sample, k)
