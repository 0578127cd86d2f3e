"""The mode of the posterior: densities, optimum, agreement with closed forms."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import mixcompare as mc
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.theta import Theta
from mixcompare.prepared.compress import compress
from mixcompare.prepared.resolved_priors import resolve_priors
from tests.em_cases import STRUCTURES, Case, build, random_parameters


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_log_prior_is_the_sum_of_scipys_densities(covariance: str, by: str) -> None:
    case = build(covariance, by, m=2, k=3, common="~ x2", with_prior=True)
    at = random_parameters(case, seed=3)
    priors = resolve_priors(case.spec, case.prepared)
    names = case.panel.covariate_names
    total = float(stats.dirichlet.logpdf(at.weights, np.full(3, priors.concentration)))
    standard = (at.blocks["coefficients"] - priors.coefficient_mean) / priors.coefficient_sd
    density = np.asarray(stats.norm.logpdf(standard)) - np.log(priors.coefficient_sd)
    total += density[:, [names.index("Intercept"), names.index("x1")]].sum()
    total += density[0, names.index("x2")].sum()
    for sigma in at.blocks["covariance"][: 1 if by == "shared" else 3]:
        total += log_covariance_density(covariance, priors.covariance_df, priors, sigma)
    ours = case.model.log_prior(case.model.from_raw(at))
    assert ours == pytest.approx(total, rel=1e-12)


def log_covariance_density(covariance: str, nu: float, priors, sigma: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    psi = priors.covariance_scale
    if covariance == "full":
        return float(stats.invwishart.logpdf(sigma, nu, psi))
    if covariance == "diagonal":
        gamma = stats.invgamma(nu / 2, scale=np.diag(psi) / 2)
        return float(gamma.logpdf(np.diag(sigma)).sum())
    return float(stats.invgamma.logpdf(sigma[0, 0], nu / 2, scale=np.trace(psi) / len(psi) / 2))


def test_log_prior_of_membership_is_that_of_an_orthonormal_basis() -> None:
    case = build(m=1, k=3, membership="~ income", with_prior=True)
    at = random_parameters(case, seed=1)
    odds = at.blocks["membership_coefficients"]
    income = case.table.groupby("unit")["income"].first().to_numpy()
    centred = odds - odds.mean(axis=0)
    standard = np.stack([centred @ [1.0, income.mean()], centred[:, 1] * income.std()], axis=1)
    # Zero-sum vectors of three have two orthonormal coordinates, each Normal(0, 2.5).
    basis = np.linalg.svd(np.eye(3) - 1 / 3)[0][:, :2]
    expected = float(np.sum(stats.norm.logpdf(basis.T @ standard, 0, 2.5)))
    # In the covariates' own units the density changes by the volume of the map.
    expected = expected + 2 * float(np.log(income.std()))
    without = build(m=1, k=3, with_prior=True)
    rest = Theta({"weights": at.weights}, at.responses)
    priors = resolve_priors(without.spec, without.prepared)
    others = without.model.log_prior(without.model.from_raw(rest))
    others -= float(stats.dirichlet.logpdf(at.weights, np.full(3, priors.concentration)))
    ours = case.model.log_prior(case.model.from_raw(at))
    assert ours - others == pytest.approx(expected, rel=1e-9)


def climb(case: Case, seed: int) -> Theta:
    tau = np.random.default_rng(seed).dirichlet(
        np.ones(case.spec.n_components), size=case.data.shape[0]
    )
    run = iterate(case.model, tau, Options())
    assert run.status == "converged"
    assert np.all(np.diff(run.objective) > -1e-9)
    return run.path[-1]


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_no_direction_leads_higher(covariance: str, by: str, extended: bool) -> None:
    parts: dict[str, Any] = {"common": "~ x1", "membership": "~ income", "unit_weights": "count"}
    case = build(covariance, by, m=2, k=2, with_prior=True, **(parts if extended else {}))
    mode = climb(case, seed=2)
    from mixcompare.backends.em.information import score_and_information

    found = score_and_information(case.model, mode)
    gradient, information = found.score, found.information
    assert np.linalg.eigvalsh(information).min() > 0
    assert np.sqrt(gradient @ np.linalg.solve(information, gradient)) < 1e-5


def test_one_class_has_the_closed_form_of_a_conjugate_regression() -> None:
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=40), "y": rng.normal(size=40)}
    spec = mc.MixtureSpec(
        "y ~ x",
        n_components=1,
        priors=mc.Priors(coefficient_mean=0.3, coefficient_sd=0.5, covariance_df=5.0),
    )
    fit = mc.fit(spec, table, estimator="map")
    priors = resolve_priors(spec, compress(fit.panel))
    x = np.column_stack([np.ones(40), table["x"]])
    sigma2 = float(fit.covariance.squeeze())
    beta = fit.coefficients.to_numpy().reshape(2)
    precision = x.T @ x / sigma2 + np.eye(2) / 0.25
    expected = np.linalg.solve(precision, x.T @ table["y"] / sigma2 + 0.3 / 0.25)
    np.testing.assert_allclose(beta, expected, rtol=1e-6)
    squares = ((table["y"] - x @ beta) ** 2).sum() + priors.covariance_scale[0, 0]
    assert sigma2 == pytest.approx(squares / (40 + 5 + 2), rel=1e-6)


def test_data_swamp_the_prior() -> None:
    table = build(m=1, k=2, seed=3).table
    spec = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2, unit_weights="w")
    ml = mc.fit(spec, table.assign(w=1.0), starts=8)
    near, far = (mc.fit(spec, table.assign(w=w), starts=8, estimator="map") for w in (1e6, 1.0))
    np.testing.assert_allclose(near.summary()["estimate"], ml.summary()["estimate"], rtol=1e-3)
    assert np.abs(far.summary()["estimate"] / ml.summary()["estimate"] - 1).max() > 1e-2


def test_a_collapsing_class_has_a_mode() -> None:
    table = {"y": [0.0] * 6 + list(np.linspace(1, 9, 30))}
    spec = mc.MixtureSpec("y ~ 1", n_components=2)
    mode = mc.fit(spec, table, starts=20, estimator="map")
    assert mode.status == "converged"
    assert float(mode.covariance.min()) > 1e-4
    assert mode.tree["estimate"].attrs["estimator"] == "map"
    assert np.isfinite(mode.tree["standard_errors"]["weights"]).all()
    start = np.array([0] * 6 + [1] * 30)
    with pytest.raises(mc.DegenerateFitError, match="estimator='map'"):
        mc.fit(spec, table, starts=0, initial=start)


def test_a_density_without_a_mode_is_refused() -> None:
    spec = mc.MixtureSpec("y ~ 1", n_components=2, priors=mc.Priors(concentration=0.5))
    with pytest.raises(mc.OptionError, match=r"concentration of at least 1, not 0\.5"):
        mc.fit(spec, {"y": np.arange(9.0)}, estimator="map")


def test_the_mode_does_not_depend_on_the_units_of_measurement() -> None:
    case = build(m=1, k=2, seed=3)
    fit = mc.fit(case.spec, case.table, starts=6, estimator="map")
    other = mc.fit(
        case.spec, case.table.assign(y1=case.table["y1"] * 1e4), starts=6, estimator="map"
    )
    np.testing.assert_allclose(other.weights, fit.weights, rtol=1e-6)
    np.testing.assert_allclose(other.coefficients, fit.coefficients * 1e4, rtol=1e-5, atol=1e-3)
