"""Power-scaling: a conjugate model whose sensitivity is known, and faults that must show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

import mixcompare as mc
from mixcompare.checking.sensitivity import (
    CONFLICT,
    STRONG,
    prior_sensitivity,
    sensitivity_sentence,
)
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(SPEC, simulate(units=80, rows=(4, 9), seed=5), starts=8, seed=1, progress=False)


def conjugate(prior_mean: float, prior_sd: float, *, n: int = 25, mean: float = 0.0) -> mc.Fit:
    """A fit whose one coefficient has a normal prior, a normal likelihood and so a posterior.

    The other parameters are noise that neither prior nor likelihood mentions.
    """
    spec = mc.MixtureSpec("y ~ 1", n_components=1)
    y = norm.ppf((np.arange(n) + 0.5) / n)
    y = mean + (y - y.mean()) / y.std(ddof=0)
    em = mc.fit(spec, pd.DataFrame({"y": y}), starts=1, seed=0, progress=False)
    fit = stand_in(em, draws=1000, chains=4, seed=1)
    precision = n + prior_sd**-2
    centre = (n * mean + prior_mean / prior_sd**2) / precision
    drawn = np.random.default_rng(2).normal(centre, precision**-0.5, size=(4, 1000))
    tree = fit.tree.copy()
    posterior = tree["posterior"].to_dataset()
    posterior["coefficients"] = posterior["coefficients"].copy(data=drawn[..., None, None, None])
    tree["posterior"] = xr.DataTree(posterior)
    dims = ("chain", "draw")
    zero = np.zeros((4, 1000))
    tree["log_prior"] = xr.DataTree(
        xr.Dataset(
            {
                "weights": (dims, zero),
                "coefficients": (dims, norm(prior_mean, prior_sd).logpdf(drawn)),
                "covariance": (dims, zero),
            }
        )
    )
    densities = norm(drawn[..., None], 1.0).logpdf(y)
    tree["log_likelihood"] = xr.DataTree(xr.Dataset({"outcomes": ((*dims, "unit"), densities)}))
    return mc.Fit(tree)


def diagnosis(fit: mc.Fit) -> dict[str, Any]:
    row = prior_sensitivity(fit).loc[["coefficients[1, Intercept]"]]
    return {str(name): values.iloc[0] for name, values in row.items()}


def test_a_vague_prior_does_not_matter() -> None:
    found = diagnosis(conjugate(0.0, 10.0, mean=0.5))
    assert found["prior"] < 0.01
    assert found["likelihood"] > 0.05
    assert found["diagnosis"] == ""
    assert found["source"] == ""


def test_a_prior_far_from_the_data_is_a_conflict() -> None:
    found = diagnosis(conjugate(4.0, 0.5))
    assert found["diagnosis"] == CONFLICT
    assert found["source"] == "coefficients"
    assert found["prior of coefficients"] == pytest.approx(found["prior"])
    assert found["prior of covariance"] == 0


def test_a_prior_that_outweighs_the_data_is_strong() -> None:
    found = diagnosis(conjugate(0.0, 0.005))
    assert found["prior"] >= 0.05
    assert found["likelihood"] < 0.05
    assert found["diagnosis"] == STRONG


def test_sensitivity_is_that_of_the_exact_power_scaled_posterior() -> None:
    """Importance weights against the closed form of the scaled posterior's distance."""
    n, mu, tau = 25, 1.0, 0.5
    fit = conjugate(mu, tau, n=n)
    found = diagnosis(fit)["prior"]
    drawn = fit.tree["posterior"]["coefficients"]
    # The distance is normalised over the range of the draws.
    grid = np.linspace(float(drawn.min()), float(drawn.max()), 20001)

    def posterior(alpha: float) -> np.ndarray:
        precision = n + alpha / tau**2
        return np.asarray(norm(alpha * mu / tau**2 / precision, precision**-0.5).cdf(grid))

    def distance(p: np.ndarray, q: np.ndarray) -> float:
        # Cumulative Jensen-Shannon distance of Nguyen & Vreeken (2015), the larger of both signs.
        width = grid[1] - grid[0]
        values = []
        for a, b in ((p, q), (1 - p, 1 - q)):
            a, b = np.clip(a, 1e-300, 1), np.clip(b, 1e-300, 1)
            bound = width * (a.sum() + b.sum())
            middle = 0.5 * (a + b)
            terms = a * (np.log2(a) - np.log2(middle)) + b * (np.log2(b) - np.log2(middle))
            values.append(np.sqrt(max(width * terms.sum(), 0.0) / bound))
        return float(max(values))

    step = np.log2(1.01)
    expected = distance(posterior(1.0), posterior(1.01)) / step
    assert found == pytest.approx(expected, rel=0.1)


def test_every_parameter_of_a_mixture_has_its_row(em: mc.Fit) -> None:
    fit = stand_in(em, draws=200, chains=2, switch_every=50, seed=1)
    table = prior_sensitivity(fit)
    assert table.index.tolist() == [p.name for p in em.parameters]
    parts = [c for c in table.columns if c.startswith("prior of ")]
    assert parts == ["prior of weights", "prior of coefficients", "prior of covariance"]
    assert np.isfinite(table[["prior", "likelihood", *parts]].to_numpy()).all()
    assert (table["likelihood"] > 0.05).all()
    text = sensitivity_sentence(table)
    assert "No parameter" in text or "parameters show" in text


def test_alignment_decides_what_is_measured(em: mc.Fit) -> None:
    """Labels that switch make marginals multimodal; aligned draws do not know that."""
    still = prior_sensitivity(stand_in(em, draws=200, chains=2, seed=1))
    switching = prior_sensitivity(stand_in(em, draws=200, chains=2, switch_every=7, seed=1))
    np.testing.assert_allclose(still["prior"], switching["prior"], rtol=0.6, atol=0.02)


def test_one_class_has_a_weight_that_never_varies() -> None:
    found = prior_sensitivity(conjugate(0.0, 10.0))
    assert np.isnan(found["prior"]["weights[1]"])
    assert found["diagnosis"]["weights[1]"] == ""
