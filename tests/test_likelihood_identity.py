"""The two backends, which share no arithmetic, give the same log-likelihood."""

import numpy as np
import pytest

from mixcompare.backends import get_backend
from tests.em_cases import STRUCTURES, build, random_parameters


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
@pytest.mark.parametrize(("m", "k"), [(1, 2), (2, 3)])
def test_backends_agree_at_random_parameters(
    covariance: str, by: str, m: int, k: int, absorb: bool
) -> None:
    case = build(covariance, by, m=m, k=k, absorb=absorb, seed=10 * m + k)
    for seed in (1, 2):
        at = random_parameters(case, seed=seed)
        em, pymc = (
            get_backend(name).unit_log_likelihood(
                case.spec, case.prepared, at.weights, at.coefficients, at.covariance
            )
            for name in ("em", "pymc")
        )
        assert em.sum() == pytest.approx(pymc.sum(), rel=1e-9)
        np.testing.assert_allclose(em, pymc, rtol=1e-9, atol=1e-9)
