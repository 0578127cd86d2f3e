"""Bridge sampling against integrals that are known: closed forms, quadrature, copies."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import logsumexp

import mixcompare as mc
from mixcompare.backends.pymc.posterior_density import posterior_density
from mixcompare.fits.bridge import bridge_sampling, fit_proposal, mean_evidence
from mixcompare.prepared.problem import Problem

CONSTANT = -1234.5
EXCHANGES = np.stack([np.eye(3)[list(order)] for order in permutations(range(3))])
CENTRE = np.array([0.0, 12.0, 30.0])


def peak(points: np.ndarray) -> np.ndarray:
    """A t density around one labelling of three components."""
    return np.asarray(stats.multivariate_t(CENTRE, np.eye(3), df=6).logpdf(points))


def symmetric(points: np.ndarray) -> np.ndarray:
    """The mean of its copies, whose integral is exp(CONSTANT)."""
    copies = [peak(points @ exchange.T) for exchange in EXCHANGES]
    return np.asarray(logsumexp(copies, axis=0) - np.log(6) + CONSTANT)


def t_draws(seed: int, shape: tuple[int, int] = (4, 500)) -> np.ndarray:
    drawn = stats.multivariate_t(CENTRE, np.eye(3), df=6).rvs(shape[0] * shape[1], seed)
    return np.asarray(drawn).reshape(*shape, 3)


def test_copies_of_a_mode_are_counted() -> None:
    """All draws carry one labelling, as those of a chain that never switches do."""
    rng = np.random.default_rng(0)
    found = bridge_sampling(t_draws(1), symmetric, EXCHANGES, rng=rng)
    assert found.error < 0.02
    assert found.value == pytest.approx(CONSTANT, abs=4 * found.error)
    without = bridge_sampling(t_draws(1), symmetric, rng=rng)
    assert without.value == pytest.approx(CONSTANT - np.log(6), abs=4 * without.error)


def test_the_labelling_of_the_draws_makes_no_difference() -> None:
    """Only the proposal is made from aligned draws; here half of them switch afterwards."""
    draws = t_draws(2)
    switched = draws.copy()
    switched[:, 250:] = draws[:, 250:][..., [2, 0, 1]]
    same = [
        bridge_sampling(d, symmetric, EXCHANGES, rng=np.random.default_rng(3))
        for d in (draws, switched)
    ]
    assert same[0].value == pytest.approx(same[1].value, abs=1e-9)
    assert same[0].error == pytest.approx(same[1].error, rel=1e-6)


@pytest.mark.parametrize("autocorrelation", [0.0, 0.9])
def test_the_stated_error_is_the_estimates_spread(autocorrelation: float) -> None:
    """Draws whose arsinh is normal; the density of x = sinh(z) is known."""

    def log_density(points: np.ndarray) -> np.ndarray:
        z = np.arcsinh(points / 0.8) * 0.8
        change = -0.5 * np.log1p(np.square(points / 0.8))
        return np.asarray((stats.norm.logpdf(z) + change).sum(axis=1) + CONSTANT)

    away = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(4, 300, 2))
        for step in range(1, 300):
            own = np.sqrt(1 - autocorrelation**2) * z[:, step]
            z[:, step] = autocorrelation * z[:, step - 1] + own
        found = bridge_sampling(0.8 * np.sinh(z / 0.8), log_density, rng=rng)
        away.append((found.value - CONSTANT) / found.error)
    # The spread of 60 standard normals is within 0.73 and 1.27 of one in 99.7 of 100 cases.
    assert 0.7 < np.std(away) < 1.3
    assert abs(np.mean(away)) < 0.5


def test_a_proposals_density_is_normalised() -> None:
    """On a grid in the plane, with a copy that exchanges the coordinates."""
    rng = np.random.default_rng(5)
    points = rng.normal(size=(200, 2)) @ [[1.0, 0.3], [0.0, 0.5]] + [1.0, -1.0]
    exchanges = np.stack([np.eye(2), np.eye(2)[::-1]])
    proposal = fit_proposal(points, exchanges)
    axis = np.linspace(-8, 8, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(proposal.log_density(grid))
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(density, np.exp(proposal.log_density(grid[:, ::-1])))


def test_runs_are_averaged_as_marginal_likelihoods() -> None:
    found = mean_evidence([CONSTANT, CONSTANT + np.log(3.0)])
    assert found.value == pytest.approx(CONSTANT + np.log(2.0))
    assert found.error == pytest.approx(np.sqrt(2.0) / np.sqrt(2.0) / 2.0)
    assert np.isnan(mean_evidence([CONSTANT]).error)


def test_one_class_by_quadrature() -> None:
    """Given the variance the normal prior is conjugate, so that one integral is left."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=25)
    y = 1.0 + 0.5 * x + rng.normal(size=25)
    prior = mc.Priors(
        coefficient_mean=0.5, coefficient_sd=1.5, covariance_df=3.0, covariance_scale=2.0
    )
    spec = mc.MixtureSpec("y ~ x", n_components=1, priors=prior)
    design = np.column_stack([np.ones(25), x])

    def given(variance: float) -> float:
        own = variance * np.eye(25) + 1.5**2 * design @ design.T
        likelihood = stats.multivariate_normal(design @ [0.5, 0.5], own).logpdf(y)
        return float(likelihood + stats.invgamma(1.5, scale=1.0).logpdf(variance))

    top = given(1.0)
    exact = top + np.log(quad(lambda v: np.exp(given(v) - top), 0, 30, points=[0.5, 1, 2])[0])
    panel = mc.build_panel(spec, pd.DataFrame({"x": x, "y": y}))
    density = posterior_density(Problem.of(spec, panel))
    chains = _gibbs(design, y, rng)
    coefficients, variance = chains[..., :2], chains[..., 2]
    points = density.coordinates(
        {
            "weights": np.ones((4000, 1)),
            "coefficients": coefficients.reshape(-1, 1, 2, 1),
            "covariance": variance.reshape(-1, 1, 1, 1),
        }
    )
    found = bridge_sampling(points.reshape(4, 1000, -1), density, density.mixture.copies(), rng=rng)
    assert found.error < 0.01
    assert found.value == pytest.approx(exact, abs=4 * found.error)


def _gibbs(design: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(4, 1000, 3) draws of two coefficients and the variance of `test_one_class_by_quadrature`."""
    found = np.empty((4, 1000, 3))
    for chain in range(4):
        variance = 1.0
        for step in range(1000):
            precision = design.T @ design / variance + np.eye(2) / 1.5**2
            mean = np.linalg.solve(precision, design.T @ y / variance + 0.5 / 1.5**2)
            own = rng.multivariate_normal(mean, np.linalg.inv(precision))
            squares = np.sum((y - design @ own) ** 2)
            variance = 1 / rng.gamma((3.0 + 25) / 2, 2 / (2.0 + squares))
            found[chain, step] = *own, variance
    return found


def test_two_classes_by_quadrature() -> None:
    """Four integrals by brute force; draws from the prior, kept as the likelihood has it."""
    y = np.array([-1.6, -1.1, 0.2, 1.3, 1.8])
    prior = mc.Priors(
        concentration=1.5,
        coefficient_mean=0.2,
        coefficient_sd=1.2,
        covariance_df=6.0,
        covariance_scale=3.0,
    )
    spec = mc.MixtureSpec("y ~ 1", n_components=2, covariance_by="shared", priors=prior)
    rng = np.random.default_rng(8)
    n = 400_000
    share, means = rng.beta(1.5, 1.5, n), rng.normal(0.2, 1.2, (n, 2))
    variance = stats.invgamma(3.0, scale=1.5).rvs(n, random_state=rng)
    likelihood = _two_classes(y, share, means[:, 0], means[:, 1], variance)
    kept = np.flatnonzero(rng.random(n) < np.exp(likelihood - likelihood.max()))[:4000]
    assert len(kept) == 4000
    ordered = np.sort(means[kept], axis=1)
    first = np.where(means[kept, 0] < means[kept, 1], share[kept], 1 - share[kept])
    density = posterior_density(Problem.of(spec, mc.build_panel(spec, pd.DataFrame({"y": y}))))
    points = density.coordinates(
        {
            "weights": np.stack([first, 1 - first], axis=1),
            "coefficients": ordered[:, :, None, None],
            "covariance": np.repeat(variance[kept, None], 2, axis=1)[..., None, None],
        }
    )
    found = bridge_sampling(points.reshape(4, 1000, -1), density, density.mixture.copies(), rng=rng)
    assert found.error < 0.03
    assert found.value == pytest.approx(_quadrature(y), abs=4 * found.error)


def _two_classes(
    y: np.ndarray, share: np.ndarray, one: np.ndarray, other: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    sd, total = np.sqrt(variance), np.zeros(np.broadcast_shapes(share.shape, one.shape))
    for value in y:
        own = share * stats.norm.pdf(value, one, sd) + (1 - share) * stats.norm.pdf(
            value, other, sd
        )
        with np.errstate(divide="ignore"):  # far from every observation
            total = total + np.log(own)
    return np.asarray(total)


def _quadrature(y: np.ndarray) -> float:
    """Log evidence: trapezoids in logit share, both means and log variance."""
    logit = np.linspace(-12, 12, 41)
    mean = np.linspace(-6.5, 7, 51)
    log_variance = np.linspace(-4, 6, 41)
    a, b, c, d = np.meshgrid(logit, mean, mean, log_variance, indexing="ij", sparse=True)
    share, variance = 1 / (1 + np.exp(-a)), np.exp(d)
    density = _two_classes(y, share, b, c, variance) + (
        stats.beta.logpdf(share, 1.5, 1.5) + np.log(share * (1 - share))
    )
    density = density + stats.norm.logpdf(b, 0.2, 1.2) + stats.norm.logpdf(c, 0.2, 1.2)
    density = density + stats.invgamma(3.0, scale=1.5).logpdf(variance) + d
    steps = [axis[1] - axis[0] for axis in (logit, mean, mean, log_variance)]
    return float(logsumexp(density) + np.log(np.prod(steps)))
