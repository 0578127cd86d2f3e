"""The galaxies' log marginal likelihoods, known to 0.07 (`tests/reference/README.md`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.selection.posterior import bridge_evidence, tempered_evidence
from tests.places import REFERENCE

GALAXIES = REFERENCE / "galaxies.csv"
PRIORS = mc.Priors(
    concentration=1.0,
    coefficient_mean=20.0,
    coefficient_sd=10.0,
    covariance_df=6.0,
    covariance_scale=40.0,
)
# Classes, covariance by, value.
KNOWN: list[tuple[int, Any, float]] = [
    (2, "shared", -239.75),
    (3, "shared", -226.80),
    (2, "component", -232.89),
    (3, "component", -226.79),
]


def sample(k: int, by: Any, **options: Any) -> mc.Fit:
    spec = mc.MixtureSpec("velocity ~ 1", n_components=k, covariance_by=by, priors=PRIORS)
    return mc.fit(spec, GALAXIES, backend="pymc", seed=1, progress=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("k", "by", "evidence"), KNOWN)
def test_by_bridge_sampling(k: int, by: Any, evidence: float) -> None:
    found = bridge_evidence(sample(k, by), np.random.default_rng(1))
    assert found.error < 0.05
    assert found.value == pytest.approx(evidence, abs=0.07 + 4 * found.error)


@pytest.mark.slow
@pytest.mark.parametrize(("k", "by", "evidence"), KNOWN)
def test_by_sequential_monte_carlo(k: int, by: Any, evidence: float) -> None:
    found = tempered_evidence(sample(k, by, sampler="smc", draws=1000, chains=4))
    assert found.error < 0.15
    assert found.value == pytest.approx(evidence, abs=0.07 + 3 * found.error)
