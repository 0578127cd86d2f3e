"""Class probabilities that depend on unit covariates, by a multinomial logit.

``P(class k | w) = exp(w' a_k) / sum_l exp(w' a_l)`` with ``a_1 = 0`` (concomitant variables:
Dayton & Macready 1988). The M-step maximises ``sum_g sum_k tau_gk log P(k | w_g)``, which is
concave, by Newton's method.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_softmax

from mixcompare.base.arrays import FloatArray

_MAX_STEPS = 50
_DECREMENT = 1e-20  # Newton's decrement, relative to the number of units


def log_class_probabilities(concomitants: FloatArray, membership: FloatArray) -> FloatArray:
    """(..., G, K) log-probabilities from unit covariates (G, c) and log-odds (..., K, c)."""
    return np.asarray(log_softmax(concomitants @ membership.mT, axis=-1))


def maximise(
    concomitants: FloatArray, counts: FloatArray, start: FloatArray, precision: FloatArray | None
) -> FloatArray:
    """Coefficients (K, c) of highest expected log-probability, the first class's zero.

    Counts (G, K) are responsibilities times the units' weights, precision (c, c) is that of a prior
    of the coefficients less their mean over the classes.
    """
    k, c = start.shape
    penalty = np.zeros((k * c, k * c))
    if precision is not None:
        penalty = np.kron(np.eye(k) - 1 / k, precision)
    total = counts.sum(axis=1)
    current = start
    value = _objective(concomitants, counts, current, penalty)
    for _ in range(_MAX_STEPS if k > 1 else 0):
        probabilities = np.exp(log_class_probabilities(concomitants, current))
        gradient = (counts - total[:, None] * probabilities).T @ concomitants
        slope = (gradient.ravel() - penalty @ current.ravel())[c:]
        curvature = information(concomitants, total, probabilities) + penalty[c:, c:]
        step = _newton_step(curvature, slope)
        if slope @ step <= _DECREMENT * total.sum():
            break
        # Far from the maximum a whole step may overshoot.
        for _ in range(30):
            proposed = current + np.concatenate([np.zeros(c), step]).reshape(k, c)
            reached = _objective(concomitants, counts, proposed, penalty)
            if reached >= value:
                break
            step = step / 2
        else:
            break
        current, value = proposed, reached
    return current


def information(
    concomitants: FloatArray, total: FloatArray, probabilities: FloatArray
) -> FloatArray:
    """((K-1) c, (K-1) c) information of the coefficients of all classes but the first.

    `total` (G,) is how often each unit counts, and probabilities are (G, K).
    """
    units, c = concomitants.shape
    k = probabilities.shape[1]
    # (diag(p) - p p') kron w w' summed over units = diagonal blocks less an outer product.
    design = (probabilities[:, 1:, None] * concomitants[:, None, :]).reshape(units, (k - 1) * c)
    result = -(design * total[:, None]).T @ design
    for a in range(k - 1):
        block = slice(a * c, (a + 1) * c)
        weighted = concomitants * (total * probabilities[:, a + 1])[:, None]
        result[block, block] += weighted.T @ concomitants
    return np.asarray(result)


def _objective(
    concomitants: FloatArray, counts: FloatArray, at: FloatArray, penalty: FloatArray
) -> float:
    expected = (counts * log_class_probabilities(concomitants, at)).sum()
    return float(expected - 0.5 * at.ravel() @ penalty @ at.ravel())


def _newton_step(curvature: FloatArray, slope: FloatArray) -> FloatArray:
    try:
        return np.asarray(cho_solve(cho_factor(curvature), slope))
    except np.linalg.LinAlgError:
        # Classes that a covariate separates leave directions without curvature.
        return np.asarray(np.linalg.pinv(curvature, hermitian=True) @ slope)
