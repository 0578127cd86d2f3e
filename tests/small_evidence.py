"""The marginal likelihood of a handful of rows, summed over every allocation to the classes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp
from scipy.stats import invgamma

import mixcompare as mc
from mixcompare.prepared.compress import compress
from mixcompare.prepared.resolved_priors import resolve_priors

# Of the residual variance's logarithm: far out on both sides, close enough for ten digits.
_NODES = np.linspace(-9.0, 9.0, 241)


def small_data(n: int = 8, seed: int = 3) -> pd.DataFrame:
    """Rows about two lines."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = np.where(rng.uniform(size=n) < 0.5, 2 + x, -2 - x) + 0.4 * rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": y})


def log_evidence(spec: mc.MixtureSpec, table: pd.DataFrame) -> float:
    """Of ``y ~ x`` with a variance for each class."""
    return float(logsumexp(allocations(spec, table)[1]))


def pair_probabilities(spec: mc.MixtureSpec, table: pd.DataFrame) -> np.ndarray:
    """(n, n) posterior probabilities that two rows are in one class."""
    z, log_joint = allocations(spec, table)
    together = z[:, :, None] == z[:, None]
    return np.tensordot(np.exp(log_joint - logsumexp(log_joint)), together, 1)


def allocations(spec: mc.MixtureSpec, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Every allocation (K^n, n), and the logarithm of its probability times the density.

    Given the allocation z and the classes' variances, coefficients integrate out as normals do:
    ``p(y) = sum_z p(z) prod_k int N(y_k; X_k m, v I + X_k S X_k') IG(v; df/2, scale/2) dv``,
    with p(z) the Dirichlet-multinomial probability.
    """
    priors = resolve_priors(spec, compress(mc.build_panel(spec, table)))
    x = np.column_stack([np.ones(len(table)), table["x"]])
    y = table["y"].to_numpy()
    rest = y - x @ priors.coefficient_mean[:, 0]
    shared = (x * priors.coefficient_sd[:, 0] ** 2) @ x.T
    scale = float(priors.covariance_scale[0, 0])
    prior = invgamma(priors.covariance_df / 2, scale=scale / 2)
    variances = scale * np.exp(_NODES)
    weights = prior.logpdf(variances) + np.log(variances * (_NODES[1] - _NODES[0]))
    members = np.array(list(product([False, True], repeat=len(y))))
    of_subset = [_log_marginal(rest[s], shared[np.ix_(s, s)], variances, weights) for s in members]
    table_of = np.array(of_subset)
    bits = 2 ** np.arange(len(y))[::-1]
    k, a = spec.n_components, priors.concentration
    z = np.array(list(product(range(k), repeat=len(y))))
    terms = np.full(len(z), gammaln(k * a) - gammaln(k * a + len(y)))
    for j in range(k):
        terms += gammaln(a + (z == j).sum(axis=1)) - gammaln(a) + table_of[(z == j) @ bits]
    return z, terms


def _log_marginal(
    rest: np.ndarray, shared: np.ndarray, variances: np.ndarray, weights: np.ndarray
) -> float:
    values, vectors = np.linalg.eigh(shared) if len(rest) else (np.zeros(0), np.zeros((0, 0)))
    spread = values + variances[:, None]
    squares = (vectors.T @ rest) ** 2
    density = -0.5 * (np.log(2 * np.pi * spread) + squares / spread).sum(axis=1)
    return float(logsumexp(density + weights))
