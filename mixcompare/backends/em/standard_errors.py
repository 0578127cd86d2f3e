"""Standard errors of every reported parameter, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, null_space
from scipy.linalg.lapack import dpotri
from scipy.sparse import csr_array

from mixcompare.backends.em.covariances import basis_of
from mixcompare.backends.em.expectation import log_class_weights
from mixcompare.backends.em.information import (
    Curvature,
    Layout,
    factor,
    layout,
    score_and_information,
)
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.scores import odds_design
from mixcompare.backends.em.standardise import Standardised
from mixcompare.panel import FloatArray
from mixcompare.parameters import Parameter
from mixcompare.spec import MixtureSpec

Method = Literal["observed", "sandwich", "none"]
METHODS: Mapping[str, str] = {
    "observed": "inverse observed information (Louis 1982)",
    "sandwich": "sandwich clustered by unit (White 1982)",
    "none": "not asked for",
}
# A score farther than this from zero, in standard errors, is not a maximum.
_SCORE_LIMIT = 0.01
_NOT_ASKED = "they were not asked for (standard_errors='none')"
# Share of a parameter's slope that lies along a direction, above which it runs off with it.
_MOVES = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """Sampling covariance of the reported parameters, in raw units.

    Attributes
    ----------
    covariance
        (P, P) by the chosen method, NaN when withheld.
    inverse_information
        (P, P) by the observed information, whatever the method.
    sandwich
        (P, P) by the sandwich, if units have several rows or the method asks for it; else None.
    reason
        Why all of it is withheld; empty when it is not.
    score_distance
        ``sqrt(score' I^-1 score)``: about how many standard errors the estimate is from
        where the score vanishes; NaN when withheld.
    """

    covariance: FloatArray
    inverse_information: FloatArray
    sandwich: FloatArray | None
    reason: str
    score_distance: float


def uncertainty(
    spec: MixtureSpec,
    data: Standardised,
    parameters: Parameters,
    reported: Sequence[Parameter],
    method: Method = "observed",
    *,
    anywhere: bool = False,
    unbounded: FloatArray | None = None,
    curvature: Curvature | None = None,
) -> Uncertainty:
    """Sampling covariance by inverse information or sandwich, by the delta method.

    Parameters
    ----------
    parameters
        The maximum, in standardised units.
    method
        ``"observed"``: the inverse observed information I. ``"sandwich"``: ``I^-1 J I^-1``
        with J the sum over units of the outer products of their scores (White 1982,
        theorem 3.2), which allows for residuals that depend on one another within a
        unit; no small-sample factor is applied. ``"none"``: all are withheld, and nothing is
        computed here.
    anywhere
        Also where the score is not zero, as along EM's path.
    unbounded
        (n_odds, r) orthonormal directions of the log-odds that run off to infinity, see
        `mixcompare.backends.em.separation`: parameters that change along them have no
        standard error, and the others have theirs in the limit.
    curvature
        `score_and_information` there, if it is known.
    """
    withheld = np.broadcast_to(np.nan, (len(reported), len(reported)))
    if method == "none":
        return Uncertainty(withheld, withheld, None, _NOT_ASKED, np.nan)
    outer, total, information = curvature or score_and_information(spec, data, parameters)
    bounded = None if unbounded is None else _bounded(len(total), unbounded)
    if bounded is not None:
        total = total @ bounded
        information, outer = (bounded.T @ one @ bounded for one in (information, outer))
    if (factored := factor(information)) is None:
        reason = (
            "the observed information is not positive definite: the estimate lies at a boundary, "
            "on a ridge, or is not a maximum"
        )
        return Uncertainty(withheld, withheld, None, reason, np.nan)
    inverse = _inverse(*factored)
    distance = float(np.sqrt(total @ inverse @ total))
    if distance > _SCORE_LIMIT and not anywhere:
        reason = (
            f"the score is {distance:.2g} standard errors from zero: EM has not reached the "
            "maximum; lower the tolerance or raise max_iterations"
        )
        return Uncertainty(withheld, withheld, None, reason, distance)
    jacobian = _jacobian(spec, data, parameters, reported, layout(spec, data))
    if unbounded is not None and bounded is not None:
        without = _without_error(reported, jacobian, unbounded)
        jacobian = jacobian @ bounded
        jacobian[without] = np.nan
    observed = _between(jacobian, inverse)
    if method == "observed" and (anywhere or data.degrees_of_freedom.max() <= 1):
        return Uncertainty(observed, observed, None, "", distance)
    sandwich = _between(jacobian, inverse @ outer @ inverse)
    return Uncertainty(
        sandwich if method == "sandwich" else observed, observed, sandwich, "", distance
    )


def _inverse(triangle: tuple[FloatArray, bool], size: FloatArray) -> FloatArray:
    """Inverse from `factor`, in less time and room than by solving for the identity."""
    upper = np.triu(dpotri(triangle[0], lower=triangle[1])[0])
    upper += np.triu(upper, 1).T
    upper /= size[:, None]
    upper /= size
    return np.asarray(upper)


def _between(jacobian: FloatArray, middle: FloatArray) -> FloatArray:
    """``J M J'`` of a symmetric M; nearly all of J is zero."""
    sparse = csr_array(jacobian)
    return np.asarray(sparse @ (sparse @ middle).T)


def _bounded(size: int, unbounded: FloatArray) -> FloatArray:
    """(n, n - r) orthonormal basis of the free parameters' directions that stay finite."""
    return np.asarray(block_diag(null_space(unbounded.T), np.eye(size - len(unbounded))))


def _without_error(
    reported: Sequence[Parameter], jacobian: FloatArray, unbounded: FloatArray
) -> NDArray[np.bool_]:
    """(P,) log-odds that change along directions that run off; weights stay finite there."""
    are_odds = np.array([p.variable == "membership_coefficients" for p in reported])
    moves = np.linalg.norm(jacobian[:, : len(unbounded)] @ unbounded, axis=1)
    return np.asarray(are_odds & (moves > _MOVES * np.linalg.norm(jacobian, axis=1)))


def _jacobian(
    spec: MixtureSpec,
    data: Standardised,
    parameters: Parameters,
    reported: Sequence[Parameter],
    place: Layout,
) -> FloatArray:
    """(P, n) derivatives of the reported parameters by the free ones."""
    _, _, p, m = data.shape
    basis = basis_of(spec, m)
    by_odds = _weights_by_odds(data, parameters)
    rows = np.zeros((len(reported), place.size))
    for row, parameter in zip(rows, reported, strict=True):
        k, *inside = parameter.position
        if parameter.variable == "weights":
            row[place.odds] = by_odds[k]
        elif parameter.variable == "membership_coefficients":
            assert data.unmix is not None
            row[place.odds.reshape(-1, place.n_odds)[k - 1]] = data.unmix[inside[0]]
        elif parameter.variable == "coefficients":
            i, j = inside
            block = np.zeros((p, m))
            block[:, j] = data.unwhiten[i] * data.scale[j]
            row[place.coefficients(k)] = block.ravel()
        else:
            i, j = inside
            row[place.covariance(k)] = basis[:, i, j] * data.scale[i] * data.scale[j]
    return rows


def _weights_by_odds(data: Standardised, parameters: Parameters) -> FloatArray:
    """(K, (K-1) c) derivatives of the average class probabilities."""
    k = len(parameters.weights)
    each = np.exp(log_class_weights(data, parameters)).reshape(-1, k)
    design = odds_design(data)[: len(each)]
    counts = np.ones(len(each))
    if data.unit_weights is not None and len(each) > 1:
        counts = data.unit_weights
    design = design * (counts / counts.sum())[:, None]
    own = np.einsum("gk,kl,gc->klc", each, np.eye(k)[:, 1:], design)
    return np.asarray(own - np.einsum("gk,gl,gc->klc", each, each[:, 1:], design)).reshape(
        k, (k - 1) * design.shape[1]
    )
