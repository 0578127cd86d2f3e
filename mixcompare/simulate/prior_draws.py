"""Draws from a specification's priors, in the data's own units."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import STRUCTURES
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import ResolvedPriors


def draw_priors(problem: Problem, draws: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Draw every parameter from its prior.

    Parameters
    ----------
    problem
        The model and the panel that default priors are scaled to.
    draws
        S.

    Returns
    -------
    Blocks by name: weights (S, K), coefficients (S, K, p, m), covariance (S, K, m, m)
    and, with membership covariates, membership_coefficients (S, K, c) against the first class,
    beside which weights are average class probabilities. What classes share is repeated.
    """
    drawn = _class_probabilities(problem, draws, rng)
    drawn["coefficients"] = _coefficients(problem, draws, rng)
    if problem.priors.covariance_scale.size:
        drawn["covariance"] = _covariances(problem.spec, problem.priors, draws, rng)
    return drawn


def _class_probabilities(
    problem: Problem, draws: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    prepared, priors, k = problem.prepared, problem.priors, problem.spec.n_components
    if k == 1:
        arrays = {"weights": np.ones((draws, 1))}
        if prepared.concomitants is not None:
            shape = draws, 1, prepared.concomitants.shape[1]
            arrays["membership_coefficients"] = np.zeros(shape)
        return arrays
    if priors.membership_precision is None:
        return {"weights": rng.dirichlet(np.full(k, priors.concentration), size=draws)}
    assert prepared.concomitants is not None
    standard = rng.normal(size=(draws, k, len(priors.membership_precision)))
    standard -= standard.mean(axis=1, keepdims=True)
    # L' a is standard normal where P = L L'.
    root = np.linalg.cholesky(priors.membership_precision)
    odds = np.linalg.solve(root.T, standard.swapaxes(-1, -2)).swapaxes(-1, -2)
    scores = np.einsum("gc,skc->sgk", prepared.concomitants, odds)
    probabilities = softmax(scores, axis=-1)
    share = prepared.replicated / prepared.total_units
    return {
        "weights": np.einsum("g,sgk->sk", share, probabilities),
        "membership_coefficients": odds - odds[:, :1],
    }


def _coefficients(problem: Problem, draws: int, rng: np.random.Generator) -> FloatArray:
    prepared, priors = problem.prepared, problem.priors
    shape = (draws, problem.spec.n_components, *priors.coefficient_mean.shape)
    values = rng.normal(priors.coefficient_mean, priors.coefficient_sd, size=shape)
    common = np.isin(prepared.covariate_names, prepared.common_names)
    values[:, :, common] = values[:, :1, common]
    return values


def _covariances(
    spec: MixtureSpec, priors: ResolvedPriors, draws: int, rng: np.random.Generator
) -> FloatArray:
    k, scale = spec.n_components, priors.covariance_scale
    distinct = k if spec.covariance_by == "component" else 1
    structure = STRUCTURES[spec.covariance]
    matrices = structure.draw(priors.covariance_df, scale, draws * distinct, rng)
    by_class = matrices.reshape(draws, distinct, *scale.shape)
    return np.repeat(by_class, k // distinct, axis=1)
