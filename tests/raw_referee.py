"""A referee for likelihoods: the raw rows, class by class, with SciPy's normal density.

It knows nothing of compression, whitening or backends. Absorbed effects are removed as
the design says: a unit's rows are multiplied by an orthonormal basis of everything
orthogonal to the dummies of its cells, which leaves one contrast less per cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from mixcompare.data.panel import Panel
from mixcompare.model.spec import MixtureSpec

type FloatArray = NDArray[np.float64]


def raw_unit_log_likelihood(
    panel: Panel,
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    membership_coefficients: FloatArray | None = None,
) -> FloatArray:
    """(G,) log-likelihoods of the units from the panel's own rows, times their weights.

    Parameters
    ----------
    panel
        Rows in original units.
    weights, coefficients, covariance
        (K,), (K, p, m), (K, m, m).
    membership_coefficients
        (K, c) log-odds, in place of the weights.
    """
    probabilities = np.broadcast_to(weights, (panel.n_units, len(weights)))
    if membership_coefficients is not None:
        assert panel.concomitants is not None
        odds = np.exp(panel.concomitants @ membership_coefficients.T)
        probabilities = odds / odds.sum(axis=1, keepdims=True)
    counts = np.ones(panel.n_units) if panel.unit_weights is None else panel.unit_weights
    rows = [np.flatnonzero(panel.unit == g) for g in range(panel.n_units)]
    by_unit = [
        _unit(panel, own, at, coefficients, covariance)
        for own, at in zip(rows, probabilities, strict=True)
    ]
    return np.asarray(counts * np.array(by_unit))


def _unit(
    panel: Panel,
    rows: NDArray[np.intp],
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
) -> float:
    given_class = [
        _log_density(_contrasts(panel, rows, panel.outcomes[rows] - panel.covariates[rows] @ b), s)
        for b, s in zip(coefficients, covariance, strict=True)
    ]
    return float(logsumexp(given_class, b=weights))


def _log_density(residuals: FloatArray, covariance: FloatArray) -> float:
    if not len(residuals):
        return 0.0
    zero = np.zeros(len(covariance))
    return float(np.sum(multivariate_normal(zero, covariance).logpdf(residuals)))


def _contrasts(panel: Panel, rows: NDArray[np.intp], residuals: FloatArray) -> FloatArray:
    if panel.cell is None:
        return residuals
    cell = panel.cell[rows]
    dummies = (cell[:, None] == np.unique(cell)).astype(float)
    return np.asarray(null_space(dummies.T).T @ residuals)


def random_parameters(
    rng: np.random.Generator, spec: MixtureSpec, panel: Panel
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights, coefficients and covariances of the specification's structure.

    Coefficients scatter around the pooled least-squares fit by a tenth of what moves
    the outcome by its standard deviation, covariances around the outcomes' variances.
    """
    k, p, m = spec.n_components, panel.covariates.shape[1], panel.outcomes.shape[1]
    pooled = np.linalg.lstsq(panel.covariates, panel.outcomes, rcond=None)[0]
    sd = panel.outcomes.std(axis=0)
    size = np.sqrt(np.mean(panel.covariates**2, axis=0))
    noise = rng.normal(size=(k, p, m)) * 0.1 * sd / size[:, None]
    return rng.dirichlet(np.full(k, 2.0)), pooled + noise, _covariances(rng, spec, m, sd)


def _covariances(rng: np.random.Generator, spec: MixtureSpec, m: int, sd: FloatArray) -> FloatArray:
    k = spec.n_components
    root = np.eye(m) + 0.4 * rng.normal(size=(k, m, m))
    covariance = root @ root.swapaxes(1, 2) * np.outer(sd, sd)
    if spec.covariance == "diagonal":
        covariance = covariance * np.eye(m)
    if spec.covariance == "spherical":
        covariance = covariance[:, :1, :1] * np.eye(m)
    if spec.covariance_by == "shared":
        covariance = np.repeat(covariance[:1], k, axis=0)
    return np.asarray(covariance)
