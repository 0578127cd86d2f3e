"""The compiled passes of a normal response against the general road, from start to result."""

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.em.information import score_and_information
from mixcompare.backends.em.kernels.compiled_mixture import compiled
from mixcompare.backends.em.loop import iterate_together
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.standard_errors import standard_errors
from mixcompare.model.layout import Layout
from tests.backends.em.test_mixture import mixture
from tests.em_cases import STRUCTURES, Case, build

CASES: dict[str, Case] = {
    **{f"{covariance} {by}": build(covariance, by, m=2, k=3) for covariance, by in STRUCTURES},
    "one outcome": build(k=3),
    "absorbed": build(k=2, absorb=True),
    "mode": build(m=2, k=3, with_prior=True),
    "common": build(k=3, common="~ x1"),
    "membership": build(k=2, membership="~ income", units=60),
    "membership, mode": build(k=2, membership="~ income", with_prior=True),
    "weights": build(k=2, unit_weights="count"),
}


def assert_same_runs(general: Mixture, tau: np.ndarray) -> None:
    """Of plain EM, whose paths rounding does not part.

    Rounding decides whether Newton's last step on log-odds is taken, and leaves them with half of
    their digits.
    """
    near = 1e-8 if "membership_coefficients" in general.shapes else 1e-10
    options = Options(acceleration="none", max_iterations=40)
    ours, reference = (
        iterate_together(model, tau, options) for model in (compiled(general), general)
    )
    for one, other in zip(ours, reference, strict=True):
        assert one.status == other.status
        for name in ("log_likelihood", "expected_log_likelihood", "entropy", "log_prior"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(other, name), rtol=near, atol=1e2 * near
            )


@pytest.mark.parametrize("name", CASES)
def test_the_same_starts_give_the_same_histories(name: str) -> None:
    model = CASES[name].model
    rng = np.random.default_rng(2)
    assert_same_runs(model, rng.dirichlet(np.ones(model.n_components), (4, model.n_carriers)))


@pytest.mark.parametrize("weighted", [False, True])
def test_so_they_do_for_a_gaussian_mixture(weighted: bool) -> None:
    _, model, tau = mixture(300, 3, weighted=weighted)
    assert_same_runs(model, np.stack([tau, tau[::-1]]))


@pytest.mark.parametrize("name", CASES)
def test_information_and_standard_errors_are_the_same(name: str) -> None:
    case = CASES[name]
    tau = np.random.default_rng(2).dirichlet(
        np.ones(case.model.n_components), (1, case.model.n_carriers)
    )
    [run] = iterate_together(case.model, tau, Options())
    at, ours = run.path[-1], compiled(case.model)
    for one, other in zip(
        score_and_information(ours, at), score_and_information(case.model, at), strict=True
    ):
        assert one is not None
        assert other is not None
        size = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8 * max(size, 1.0))
    reported = Layout.of(case.spec, case.prepared).parameters
    known, expected = (
        standard_errors(m, at, reported, anywhere=True)[0] for m in (ours, case.model)
    )
    np.testing.assert_allclose(known.covariance, expected.covariance, rtol=1e-7, atol=1e-12)


def test_both_roads_end_in_one_fit() -> None:
    case = CASES["one outcome"]
    numba, numpy = (
        mc.fit(case.spec, case.table, starts=6, seed=1, kernels=kernels)
        for kernels in ("numba", "numpy")
    )
    assert numba.log_likelihood == pytest.approx(numpy.log_likelihood, rel=1e-10)
