"""The two backends, which share no arithmetic, and the raw rows give one log-likelihood."""

from typing import Any

import numpy as np
import pytest

from mixcompare.backends import get_backend
from tests.em_cases import STRUCTURES, build, random_parameters
from tests.raw_referee import raw_unit_log_likelihood

PARTS: list[dict[str, Any]] = [
    {},
    {"absorb": True},
    {"common": "~ x2"},
    {"membership": "~ income"},
    {"unit_weights": "count"},
    {"absorb": True, "common": "~ x1", "membership": "~ income", "unit_weights": "count"},
]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "-".join(parts) or "plain")
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
@pytest.mark.parametrize(("m", "k"), [(1, 2), (2, 3)])
def test_one_log_likelihood_at_random_parameters(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    case = build(covariance, by, m=m, k=k, seed=10 * m + k, **parts)
    for seed in (1, 2):
        at = random_parameters(case, seed=seed)
        arrays = at.weights, at.coefficients, at.covariance, at.membership_coefficients
        em, pymc = (
            get_backend(name).unit_log_likelihood(case.spec, case.prepared, *arrays)
            for name in ("em", "pymc")
        )
        assert em.sum() == pytest.approx(pymc.sum(), rel=1e-9)
        np.testing.assert_allclose(em, pymc, rtol=1e-9, atol=1e-9)
        raw = raw_unit_log_likelihood(case.panel, *arrays)
        np.testing.assert_allclose(pymc, raw, rtol=1e-9, atol=1e-9)
