"""Truths drawn from the prior have its moments; ranks are uniform where the posterior is right."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

import mixcompare as mc
from mixcompare.base.errors import SpecificationError
from mixcompare.study.file.load import build_study
from mixcompare.study.mechanism.generate import DataSet, generate
from mixcompare.study.mechanism.prior_truths import DRAWS, draw_from_prior, ranks
from mixcompare.study.task.seeds import data_stream
from tests.stand_in_posterior import stand_in
from tests.study_cases import content

PRIORS = {
    "concentration": 3.0,
    "coefficient_mean": 1.0,
    "coefficient_sd": 4.0,
    "covariance_df": 20.0,
    "covariance_scale": 36.0,
}


def tables(components: int, **priors: Any) -> dict[str, Any]:
    own = content(
        model__n_components=components,
        model__priors={**PRIORS, **priors},
        simulate={
            "units": 80,
            "periods": 5,
            "truth": "prior",
            "covariates": {"x": {"distribution": "normal"}},
        },
    )
    del own["grid"]
    return own


def made(own: dict[str, Any], replicate: int = 0) -> DataSet:
    study = build_study(own)
    return generate(study.scenarios[0], study.read_data, data_stream(5, "all", replicate))


def test_draws_have_the_priors_moments() -> None:
    study = build_study(tables(2))
    panel = made(tables(2)).panel(study.spec)
    rng = np.random.default_rng(3)
    drawn = [draw_from_prior(study.spec, panel, rng) for _ in range(400)]
    weights = np.array([truth.weights[0] for truth in drawn])
    coefficients = np.array([truth.coefficients for truth in drawn])
    variance = np.array([truth.covariance[:, 0, 0] for truth in drawn])
    assert weights.mean() == pytest.approx(0.5, abs=0.04)
    assert weights.var() == pytest.approx(0.25 / 7, rel=0.25)  # a beta(3, 3)
    assert coefficients.mean() == pytest.approx(1, abs=0.4)
    assert coefficients.std() == pytest.approx(4, rel=0.1)
    assert variance.mean() == pytest.approx(36 / 18, rel=0.05)  # scale / (df - 2)


@pytest.mark.parametrize("missing", ["coefficient_mean", "coefficient_sd", "covariance_scale"])
def test_priors_that_depend_on_the_data_are_refused(missing: str) -> None:
    own = tables(2)
    del own["model"]["priors"][missing]
    with pytest.raises(SpecificationError, match=f"and {missing} does by default"):
        made(own)


def test_truth_differs_between_replicates() -> None:
    first, second = (made(tables(2), replicate).truth for replicate in (0, 1))
    assert first is not None
    assert second is not None
    assert not np.allclose(first.weights, second.weights)


def test_log_odds_of_membership_are_drawn_too() -> None:
    own = tables(2)
    own["model"] |= {"membership": "~ z"}
    own["simulate"]["covariates"]["z"] = {"distribution": "normal", "level": "unit"}
    drawn = [made(own, replicate).truth for replicate in range(60)]
    odds = np.array([truth.membership for truth in drawn if truth is not None])
    assert odds.shape == (60, 2, 2)
    assert not odds[:, 0].any()
    # Differences of two deviations from their mean, of covariates that are standard.
    spread = mc.Priors().membership_sd * np.sqrt(2)
    assert odds[:, 1].std(axis=0) == pytest.approx([spread, spread], rel=0.35)
    data = made(own)
    fitted = mc.fit(mc.MixtureSpec.from_dict(own["model"]), data.panel(build_study(own).spec))
    assert data.truth is not None
    assert "rank_log_likelihood" in ranks(stand_in(fitted, draws=DRAWS), data.truth)


def test_ranks_are_uniform_for_the_right_posterior_and_not_for_a_narrow_one() -> None:
    # One class with vague priors: the posterior is normal around the maximum.
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=1)
    found: dict[float, list[float]] = {1.0: [], 0.3: []}
    for replicate in range(40):
        data = made(tables(1), replicate)
        assert data.truth is not None
        em = mc.fit(spec, data.panel(spec), starts=1)
        for spread, kept in found.items():
            posterior = stand_in(em, draws=DRAWS, spread=spread, seed=replicate)
            own = ranks(posterior, data.truth)
            assert set(own) == {
                "rank_log_likelihood", "rank_mean[Intercept]", "rank_mean[x]", "rank_mean[variance]"
            }  # fmt: skip
            kept.append(own["rank_mean[x]"] / DRAWS)
    assert kstest(found[1.0], "uniform").pvalue > 0.01
    assert kstest(found[0.3], "uniform").pvalue < 1e-4
