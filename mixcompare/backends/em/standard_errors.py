"""Standard errors of every reported parameter, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, null_space
from scipy.linalg.lapack import dpotri
from scipy.sparse import csr_array, vstack

from mixcompare.backends.em.classes.separation import NO_MAXIMUM
from mixcompare.backends.em.emissions.emission import Derivatives
from mixcompare.backends.em.information import Curvature, factor, free_layout, score_and_information
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.result import StandardErrors
from mixcompare.model.layout import Parameter

Method = Literal["observed", "sandwich", "none"]
METHODS: Mapping[str, str] = {
    "observed": "inverse observed information (Louis 1982)",
    "sandwich": "sandwich clustered by unit (White 1982)",
    "none": "not asked for",
}
# A score farther than this from zero, in standard errors, is not a maximum.
_SCORE_LIMIT = 0.01
_NOT_ASKED = "they were not asked for (standard_errors='none')"
_NOT_DEFINITE = (
    "the observed information is not positive definite: the estimate lies at a boundary, "
    "on a ridge, or is not a maximum"
)
_NOT_AT_REST = (
    "the score is {:.2g} standard errors from zero: EM has not reached the "
    "maximum; lower the tolerance or raise max_iterations"
)
# Share of a parameter's slope that lies along a direction, above which it runs off with it.
_MOVES = 1e-6
# Of matrices with a row and a column for each parameter, so that few are held as a whole.
_COLUMNS_AT_A_TIME = 256


def standard_errors(
    model: Mixture,
    theta: Theta,
    reported: Sequence[Parameter],
    method: Method = "observed",
    *,
    anywhere: bool = False,
    unbounded: FloatArray | None = None,
    curvature: Curvature | None = None,
) -> tuple[StandardErrors, float]:
    """Sampling covariance by inverse information or sandwich, by the delta method.

    Parameters
    ----------
    theta
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
        `mixcompare.backends.em.classes.separation`: parameters that change along them have no
        standard error, and the others have theirs in the limit.
    curvature
        `score_and_information` there, if it is known; the information is overwritten.

    Returns
    -------
    errors
        Of the reported parameters, in raw units. The sandwich's are among them if units have
        several rows or the method asks for it.
    score_distance
        ``sqrt(score' I^-1 score)``: about how many standard errors the estimate is from
        where the score vanishes; NaN where there is no inverse information.
    """
    words = METHODS[method] + " of the log-posterior" * model.has_prior

    def withheld(reason: str, distance: float = np.nan) -> tuple[StandardErrors, float]:
        nothing = np.broadcast_to(np.nan, (len(reported), len(reported)))
        return StandardErrors(nothing, nothing, None, words, reason), distance

    if method == "none":
        return withheld(_NOT_ASKED)
    robust = with_sandwich(model, method) and not (anywhere and method == "observed")
    if curvature is None:
        curvature = score_and_information(model, theta, keep_outer=robust)
    outer, total, information = curvature
    bounded = None
    if unbounded is not None:  # orthonormal directions (n, n - r) that stay finite
        bounded = block_diag(null_space(unbounded.T), np.eye(len(total) - len(unbounded)))
        total = total @ bounded
        information = bounded.T @ information @ bounded
    if (factored := factor(information, overwrite=True)) is None:
        return withheld(_NOT_DEFINITE)
    inverse = _inverse(*factored)
    del factored, information, curvature  # whose array now holds the inverse
    distance = float(np.sqrt(total @ inverse @ total))
    if distance > _SCORE_LIMIT and not anywhere:
        return withheld(_NOT_AT_REST.format(distance), distance)
    jacobian = _jacobian(model, theta, reported)
    if unbounded is not None and bounded is not None:
        dense = jacobian.toarray()
        without = _without_error(reported, dense, unbounded)
        dense = dense @ bounded
        dense[without] = np.nan
        jacobian = csr_array(dense)
    covariance = observed = _between(jacobian, inverse)
    sandwich = None
    if robust and outer is not None:
        outer = outer if bounded is None else bounded.T @ outer @ bounded
        robust_covariance = _between(jacobian, inverse @ outer @ inverse)
        sandwich = np.sqrt(np.diag(robust_covariance))
        covariance = robust_covariance if method == "sandwich" else observed
    reason = "" if unbounded is None else NO_MAXIMUM
    return StandardErrors(covariance, observed, sandwich, words, reason), distance


def with_sandwich(model: Mixture, method: Method) -> bool:
    """Whether a method's standard errors come with the sandwich's, at a maximum."""
    several = bool(model.rows.max() > 1)
    return method == "sandwich" or (method == "observed" and several)


def _inverse(triangle: tuple[FloatArray, bool], size: FloatArray) -> FloatArray:
    """Inverse from `factor`, whose triangle is lost, in less time and room than by solving."""
    inverse = dpotri(_by_columns(triangle[0]), lower=triangle[1], overwrite_c=True)[0]
    for i in range(len(inverse)):  # LAPACK fills the upper triangle alone
        inverse[i + 1 :, i] = inverse[i, i + 1 :]
    inverse = inverse.T  # it is symmetric, and now in the order of its rows
    inverse /= size[:, None]
    inverse /= size
    return np.asarray(inverse)


def _by_columns(matrix: FloatArray) -> FloatArray:
    """The same square matrix in LAPACK's order, in its own memory, some of it at a time."""
    for i in range(0, len(matrix), _COLUMNS_AT_A_TIME):
        for j in range(i, len(matrix), _COLUMNS_AT_A_TIME):
            rows, columns = slice(i, i + _COLUMNS_AT_A_TIME), slice(j, j + _COLUMNS_AT_A_TIME)
            above = matrix[rows, columns].copy()
            matrix[rows, columns] = matrix[columns, rows].T
            matrix[columns, rows] = above.T
    return matrix.T


def _between(jacobian: csr_array, middle: FloatArray) -> FloatArray:
    """``J M J'`` of a symmetric M, some columns at a time; nearly all of J is zero."""
    size = jacobian.shape[0]
    product = np.empty((size, size))
    for i in range(0, size, _COLUMNS_AT_A_TIME):
        part = slice(i, i + _COLUMNS_AT_A_TIME)
        product[:, part] = jacobian @ (jacobian[part] @ middle).T
    return product


def _without_error(
    reported: Sequence[Parameter], jacobian: FloatArray, unbounded: FloatArray
) -> NDArray[np.bool_]:
    """(P,) log-odds that change along directions that run off; weights stay finite there."""
    are_odds = np.array([p.variable == "membership_coefficients" for p in reported])
    moves = np.linalg.norm(jacobian[:, : len(unbounded)] @ unbounded, axis=1)
    return np.asarray(are_odds & (moves > _MOVES * np.linalg.norm(jacobian, axis=1)))


def _jacobian(model: Mixture, theta: Theta, reported: Sequence[Parameter]) -> csr_array:
    """(P, n) derivatives of the reported parameters by the free ones; nearly all are zero."""
    derivatives = model.derivatives(theta)
    parts = batched(reported, _COLUMNS_AT_A_TIME)
    return vstack([csr_array(_rows(model, theta, derivatives, part)) for part in parts], "csr")


def _rows(
    model: Mixture, theta: Theta, derivatives: Sequence[Derivatives], reported: Sequence[Parameter]
) -> FloatArray:
    """Some rows of the jacobian."""
    place, owners = free_layout(model), model.owners
    rows = np.zeros((len(reported), place.size))
    by_response: dict[int, list[int]] = {}
    for i, parameter in enumerate(reported):
        response, name = owners[parameter.variable]
        if response is None:
            derivative = model.classes.derivative(theta.classes, name, parameter.position)
            rows[i, place.odds] = derivative
        else:
            by_response.setdefault(response, []).append(i)
    for response, members in by_response.items():
        places = [(owners[reported[i].variable][1], reported[i].position) for i in members]
        rows[members, place.spans[response]] = derivatives[response].jacobian(places)
    return rows
