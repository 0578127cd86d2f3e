"""SQUAREM: the same optima as plain EM in fewer iterations, and never a lower one."""

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.backends.em import loop
from mixcompare.backends.em.acceleration import extrapolate
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.theta import Theta
from tests.backends.em.test_reference import CASES, PEERS, specification
from tests.em_cases import STRUCTURES, build, normal_theta, random_parameters
from tests.places import REFERENCE

SLOW = ["faithful_K3_EEE", "iris_K3_EEI", "iris_K3_EII", "iris_K3_VVI"]


@pytest.mark.parametrize("name", PEERS)
def test_same_optimum_from_every_start(name: str) -> None:
    case = CASES[name]
    data = pd.read_csv(REFERENCE / case["data"])
    ends = {}
    for acceleration in ("none", "squarem"):
        fit = mc.fit(specification(case), data, starts=12, seed=1, acceleration=acceleration)
        starts = fit.tree["starts"].to_dataset()
        ends[acceleration] = starts["log_likelihood"].where(starts["optimum"] >= 0).to_numpy()
    np.testing.assert_allclose(ends["squarem"], ends["none"], rtol=1e-8)


@pytest.mark.parametrize("name", SLOW)
def test_slow_problems_take_less_than_half_the_iterations(name: str) -> None:
    case = CASES[name]
    data = pd.read_csv(REFERENCE / case["data"])
    slowest = {}
    for acceleration in ("none", "squarem"):
        fit = mc.fit(specification(case), data, starts=40, seed=1, acceleration=acceleration)
        slowest[acceleration] = int(fit.tree["starts"]["iterations"].max())
    assert slowest["squarem"] < 0.5 * slowest["none"]


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_unbounded_coordinates_keep_the_structure(covariance: str, by: str) -> None:
    case = build(covariance, by, m=3, k=3)
    one, other = (case.model.from_raw(random_parameters(case, seed=s))[None] for s in (1, 2))
    back = case.model.bounded(case.model.unbounded(one), one)
    for name in ("weights", "coefficients", "covariance"):
        np.testing.assert_allclose(back.blocks[name], one.blocks[name], rtol=1e-12, atol=1e-14)
    middle = 0.5 * (case.model.unbounded(one) + case.model.unbounded(other))
    between = case.model.bounded(middle, one).blocks["covariance"]
    first, second, _ = between[0]
    assert np.linalg.eigvalsh(between).min() > 0
    if by == "shared":
        np.testing.assert_array_equal(first, second)
    if covariance != "full":
        assert np.all(first[~np.eye(3, dtype=bool)] == 0)
    if covariance == "spherical":
        np.testing.assert_allclose(np.diff(np.diagonal(first)), 0, atol=1e-15)


MODEL = build().model


def sequences(*values: list[float]) -> list[Theta]:
    """Three iterates of several starts, of one coefficient each."""
    ones = np.ones((len(values), 1, 1, 1))
    each = np.array(values).T[:, :, None, None, None]
    return [normal_theta(ones[..., 0, 0], b, ones) for b in each]


def test_a_geometric_sequence_is_extrapolated_to_its_limit() -> None:
    iterates = sequences([1 - 0.9**i for i in range(3)], [2 - 2 * 0.5**i for i in range(3)])
    proposals, proposed = extrapolate(MODEL, iterates, np.full(2, 100.0))
    assert proposed.all()
    np.testing.assert_allclose(proposals.blocks["coefficients"].ravel(), [1.0, 2.0], rtol=1e-12)


def test_steps_are_no_shorter_than_plain_and_no_longer_than_allowed() -> None:
    still, fast = [0.0, 0.0, 0.0], [0.0, 1.0, 0.9]
    slow = [1 - 0.99**i for i in range(3)]
    iterates = sequences(still, slow, fast, slow)
    proposals, proposed = extrapolate(MODEL, iterates, np.array([4.0, 4.0, 4.0, 8.0]))
    np.testing.assert_array_equal(proposed, [False, True, False, True])
    capped, further = proposals.blocks["coefficients"].ravel()
    assert slow[-1] < capped < further < 0.2


def test_a_proposal_that_lowers_the_likelihood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    case = build(m=1, k=2, seed=5)
    tau = np.random.default_rng(0).dirichlet([1.0, 1.0], size=case.data.shape[0])
    plain = iterate(case.model, tau, Options(acceleration="none"))
    worse = case.model.from_raw(random_parameters(case, seed=9))[None]
    monkeypatch.setattr(loop, "extrapolate", lambda *_: (worse, np.array([True])))
    guarded = iterate(case.model, tau, Options())
    np.testing.assert_array_equal(guarded.log_likelihood, plain.log_likelihood)
    assert guarded.status == "converged"


def test_unknown_acceleration_is_refused() -> None:
    with pytest.raises(mc.OptionError, match="acceleration must be one of squarem, none"):
        Options(acceleration="anderson")  # type: ignore[arg-type]
