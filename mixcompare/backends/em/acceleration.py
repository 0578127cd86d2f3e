"""SQUAREM: extrapolation of the EM map, guarded by the log-likelihood.

Squared polynomial extrapolation with the third step length of Varadhan & Roland (2008,
eq. 7 and 9): from three successive EM iterates with ``r = theta1 - theta0`` and
``v = (theta2 - theta1) - r``, the proposal is ``theta0 - 2 a r + a^2 v``, ``a = -|r|/|v|``.
Extrapolation happens in the model's coordinates without bounds (such as log-ratios of weights and
covariance roots with log diagonals), so that every proposal is a valid mixture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray


def extrapolate(
    model: Mixture, iterates: Sequence[Theta], longest: FloatArray
) -> tuple[Theta, NDArray[np.bool_]]:
    """Propose a mixture beyond three successive iterates, for S starts.

    Parameters
    ----------
    iterates
        theta0, theta1, theta2 of plain EM, with an axis of starts in front, as the model has.
    longest
        (S,) largest step ``-a`` allowed; a step of 1 is theta2 itself.

    Returns
    -------
    proposals
        For those starts that have one.
    proposed
        (S,) which these are: the step is longer than EM's own, the proposal finite and not
        degenerate.
    """
    start, middle, end = (model.unbounded(theta) for theta in iterates)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = middle - start
        v = (end - middle) - r
        step = np.linalg.norm(r, axis=1) / np.linalg.norm(v, axis=1)
        step = np.minimum(step, longest)[:, None]
        vectors = start + 2 * step * r + step**2 * v
        proposed = (step[:, 0] > 1) & np.isfinite(vectors).all(axis=1)
        proposals = model.of(proposed).bounded(vectors[proposed], iterates[0])
    finite = np.ones(len(proposals.weights), dtype=bool)
    for block in proposals.blocks.values():
        finite &= np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
    proposals = proposals[finite]
    regular = model.is_regular(proposals)
    finite[finite] = regular
    proposed[proposed] = finite
    return proposals[regular], proposed
