"""Draws from the priors have the distributions that the specification names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, invgamma, kstest, norm

import mixcompare as mc
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import explicit_priors, resolve_priors
from mixcompare.simulate.prior_draws import draw_priors

DRAWS = 4000
# Each test looks at some ten distributions at a fixed seed.
SMALLEST_P = 1e-3


def prepare(spec: mc.MixtureSpec) -> Prepared:
    return problem(spec).prepared


def problem(spec: mc.MixtureSpec) -> Problem:
    rng = np.random.default_rng(3)
    n = 60
    table = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n // 5), 5),
            "x": rng.normal(3, 2, size=n),
            "w": np.repeat(rng.normal(40, 5, size=n // 5), 5),
            "a": rng.normal(size=n),
            "b": rng.normal(5, 30, size=n),
        }
    )
    return Problem.of(spec, mc.build_panel(spec, table))


def specification(**more: object) -> mc.MixtureSpec:
    priors = mc.Priors(
        concentration=3.0,
        coefficient_mean={"x": {"a": 0.7}},
        coefficient_sd={"x": {"a": 0.3}},
        covariance_df=6.5,
        covariance_scale=((2.0, 0.5), (0.5, 8.0)),
    )
    given = {"unit": "unit", "n_components": 3, "priors": priors, **more}
    return mc.MixtureSpec("a + b ~ x", **given)  # type: ignore[arg-type]


def drawn(spec: mc.MixtureSpec, seed: int = 0) -> dict[str, np.ndarray]:
    return draw_priors(problem(spec), DRAWS, np.random.default_rng(seed))


def check(values: np.ndarray, law: object) -> None:
    assert kstest(values, law.cdf).pvalue > SMALLEST_P  # type: ignore[attr-defined]


def test_weights_are_dirichlet() -> None:
    weights = drawn(specification())["weights"]
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    for k in range(3):
        check(weights[:, k], beta(3, 6))
    check(weights[:, 0] + weights[:, 1], beta(6, 3))


def test_coefficients_are_independent_normals() -> None:
    spec = specification()
    priors = resolve_priors(spec, prepare(spec))
    coefficients = drawn(spec)["coefficients"]
    standard = (coefficients - priors.coefficient_mean) / priors.coefficient_sd
    for k, i, j in np.ndindex(coefficients.shape[1:]):
        check(standard[:, k, i, j], norm())
    correlation = np.corrcoef(standard.reshape(DRAWS, -1).T) - np.eye(12)
    assert np.abs(correlation).max() < 5 / np.sqrt(DRAWS)


def test_full_covariance_is_inverse_wishart() -> None:
    """Every linear form of the precision, and every variance, has a known law."""
    covariance = drawn(specification())["covariance"]
    scale = np.array([[2.0, 0.5], [0.5, 8.0]])
    np.testing.assert_array_equal(covariance, covariance.swapaxes(-1, -2))
    for k in range(3):
        for j in range(2):
            check(covariance[:, k, j, j], invgamma((6.5 - 1) / 2, scale=scale[j, j] / 2))
        direction = np.array([0.6, -1.1])
        along = np.einsum("i,sij,j->s", direction, np.linalg.inv(covariance[:, k]), direction)
        within = direction @ np.linalg.inv(scale) @ direction
        check(within / along, invgamma(6.5 / 2, scale=0.5))
    # Different classes' covariances are independent.
    logs = np.log(covariance[:, :, 0, 0])
    assert np.abs(np.corrcoef(logs.T) - np.eye(3)).max() < 5 / np.sqrt(DRAWS)


@pytest.mark.parametrize(("structure", "scales"), [("diagonal", (2.0, 8.0)), ("spherical", (5.0,))])
def test_simpler_covariances_are_inverse_gamma(structure: str, scales: tuple[float, ...]) -> None:
    covariance = drawn(specification(covariance=structure))["covariance"]
    assert (covariance[:, :, 0, 1] == 0).all()
    for j, scale in enumerate(scales):
        check(covariance[:, 2, j, j], invgamma(6.5 / 2, scale=scale / 2))
    if structure == "spherical":
        np.testing.assert_array_equal(covariance[..., 0, 0], covariance[..., 1, 1])


def test_what_classes_share_is_drawn_once() -> None:
    arrays = drawn(specification(common="~ x", covariance_by="shared"))
    assert (np.ptp(arrays["covariance"], axis=1) == 0).all()
    assert (np.ptp(arrays["coefficients"][:, :, 1], axis=1) == 0).all()
    assert (np.ptp(arrays["coefficients"][:, :, 0], axis=1) > 0).all()


def test_membership_is_symmetric_with_the_stated_spread() -> None:
    spec = specification(membership="~ w")
    prepared = prepare(spec)
    arrays = draw_priors(problem(spec), DRAWS, np.random.default_rng(1))
    odds = arrays["membership_coefficients"]
    assert (odds[:, 0] == 0).all()
    centred = odds - odds.mean(axis=1, keepdims=True)
    precision = resolve_priors(spec, prepared).membership_precision
    assert precision is not None
    root = np.linalg.cholesky(precision)
    # K coefficients that sum to zero have K - 1 dimensions: sd sqrt(1 - 1 / K) each.
    standard = np.einsum("skc,cd->skd", centred, root) / np.sqrt(2 / 3)
    for k, c in np.ndindex(3, 2):
        check(standard[:, k, c], norm())
    expected = np.exp(prepared.concomitants @ odds[7].T)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(arrays["weights"][7], expected.mean(axis=0))


def test_explicit_priors_do_not_move_with_the_data() -> None:
    spec = mc.MixtureSpec("a + b ~ x", unit="unit", n_components=3)
    prepared = prepare(spec)
    fixed = explicit_priors(spec, prepared)
    assert mc.MixtureSpec.from_dict(fixed.to_dict()) == fixed
    for other in (prepared, prepare(mc.MixtureSpec("a + b ~ x", n_components=3))):
        found = resolve_priors(fixed, other)
        wanted = resolve_priors(spec, prepared)
        assert found.covariance_df == wanted.covariance_df
        for name in ("coefficient_mean", "coefficient_sd", "covariance_scale"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
