"""What verdicts and checks say in words, on made-up numbers for which a word would be false."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.checking.sensitivity import sensitivity_sentence
from mixcompare.comparison import rules_agreement, rules_model, rules_searches
from mixcompare.comparison.classifications import agreement_table
from mixcompare.comparison.evidence import Thresholds
from mixcompare.comparison.glossary import (
    NOT_CONVERGED,
    PRIOR_CONFLICT,
    SADDLE,
    SEPARATION,
    UNCLIMBED,
    WORSE_OPTIMUM,
    Entry,
)
from mixcompare.comparison.modes import Modes
from mixcompare.comparison.reasons import likely_reason
from tests.em_cases import simulate

NAMES = pd.Index(["weights[1]", "coefficients[1, x]"], name="parameter")


def evidence(**parts: Any) -> Any:
    """Evidence of two parameters without anything wrong, but for the parts given."""
    usual = {
        "thresholds": Thresholds(),
        "converged": True,
        "approximate": False,
        "worse_optimum": False,
        "missed_mode": False,
        "unreliable": None,
        "different_modes": False,
        "unvisited": False,
        "several_modes": False,
        "separated": False,
        "saddle": False,
        "spurious": False,
        "unconverged": NOT_CONVERGED,
        "shift": np.zeros(2),
        "estimates": pd.DataFrame({"posterior_sd": [0.1, 2.0]}, index=NAMES),
    }
    return SimpleNamespace(**{**usual, **parts})


def sensitivity(diagnoses: list[str]) -> Any:
    table = pd.DataFrame(
        {
            "prior": [0.2, 0.1],
            "likelihood": [0.3, 0.3],
            "source": "weights",
            "diagnosis": diagnoses,
        },
        index=NAMES,
    )
    return SimpleNamespace(sensitivity=table)


def test_equal_likelihoods_are_not_called_different() -> None:
    scores = SimpleNamespace(identity_error=0.0)
    assert (
        "agree in every digit" in rules_searches.judge_identity(evidence(scores=scores)).statement
    )
    scores.identity_error = 3e-14
    assert "differ by 3.0e-14" in rules_searches.judge_identity(evidence(scores=scores)).statement


def modes(visited: list[list[int]], optima: tuple[int | None, ...] = (0, 1)) -> Modes:
    found = tuple(SimpleNamespace(optimum=optimum) for optimum in optima)
    return Modes(found, np.array(visited), np.arange(2), np.zeros((2, 2, 2), dtype=int))  # type: ignore[arg-type]


def test_draws_from_which_no_climb_ends_belong_to_no_mode() -> None:
    nowhere = modes([[-1, -1], [-1, -1]])
    assert nowhere.share_of_others == 0.0
    verdict = rules_searches.judge_modes(evidence(modes=nowhere))
    assert (verdict.verdict, verdict.reason) == ("caution", UNCLIMBED)
    assert "converged from none of 4 draws" in verdict.statement
    assert "0 modes" not in verdict.statement


def test_shares_of_modes_are_of_the_climbs_that_ended() -> None:
    assert modes([[0, -1], [0, 1]]).share_of_others == pytest.approx(1 / 3)
    assert modes([[0, -1], [0, 0]]).share_of_others == 0.0


@pytest.mark.parametrize(
    ("excess", "words"), [(2.0, "A draw lies above"), (-2.0, "The sampler led above")]
)
def test_a_missed_maximum_is_a_draws_or_its_climbs(excess: float, words: str) -> None:
    reason, because = likely_reason(
        evidence(worse_optimum=True, scores=SimpleNamespace(excess=excess))
    )
    assert reason == WORSE_OPTIMUM
    assert because.startswith(words)


def test_separation_is_the_reason_of_what_it_makes_differ() -> None:
    reason, because = likely_reason(evidence(separated=True, shift=np.full(2, np.nan)))
    assert reason == SEPARATION
    assert "estimator='map'" in because


@pytest.mark.parametrize(
    ("worst", "reason"),
    [("membership[2, x]", SEPARATION), ("coefficients[1, x]", NOT_CONVERGED)],
)
def test_log_odds_that_run_off_are_no_noise_of_the_chains(worst: str, reason: Entry) -> None:
    estimates = pd.DataFrame(
        {"difference": [0.6, 13.0], "posterior_sd": [0.1, 2.9]}, index=["weights[1]", worst]
    )
    found = rules_agreement.judge_estimates(
        evidence(separated=True, converged=False, estimates=estimates, shift=np.full(2, np.nan))
    )
    assert found.reason == reason


def test_a_saddle_point_is_the_reason_and_is_called_no_maximum() -> None:
    fit = SimpleNamespace(cautions=("The estimate is a saddle point.",), status="saddle")
    scores = SimpleNamespace(restart=None, spurious=None, collapsed=True, excess=262.7)
    at_saddle = evidence(saddle=True, converged=False, em=fit, scores=scores)
    verdict = rules_searches.judge_optimum(at_saddle)
    assert (verdict.verdict, verdict.reason) == ("caution", SADDLE)
    assert verdict.statement == "The estimate is a saddle point."
    assert likely_reason(at_saddle)[0] == SADDLE


@pytest.mark.parametrize(("beyond", "words"), [(1, "1 of 2 parameters differs"), (2, "differ by")])
def test_one_parameter_differs_and_two_differ(beyond: int, words: str) -> None:
    estimates = pd.DataFrame({"difference": [0.6, 0.6 * (beyond - 1)]}, index=NAMES)
    found = rules_agreement.judge_estimates(evidence(converged=False, estimates=estimates))
    assert words in found.statement


def test_parameters_that_one_cannot_tell_from_the_prior_are_counted_in_grammar() -> None:
    table = sensitivity(["prior-data conflict", "strong prior"]).sensitivity
    text = sensitivity_sentence(table)
    assert "1 of 2 parameters shows prior-data conflict and 1 of 2 parameters shows a " in text


def test_a_sensitive_parameter_that_hardly_moves_is_no_caution() -> None:
    flagged = sensitivity(["prior-data conflict", ""])
    verdict = rules_model.judge_prior(evidence(checks=flagged, shift=np.array([-0.02, 3.0])))
    assert (verdict.verdict, verdict.reason) == ("ok", None)
    assert "moves weights[1] most, by -0.02, which is 0.2 posterior sds" in verdict.statement


def test_a_sensitive_parameter_that_moves_is_a_caution() -> None:
    flagged = sensitivity(["prior-data conflict", ""])
    verdict = rules_model.judge_prior(evidence(checks=flagged, shift=np.array([-0.09, 0.0])))
    assert (verdict.verdict, verdict.reason) == ("caution", PRIOR_CONFLICT)


def test_a_sensitive_parameter_is_a_caution_where_its_move_is_not_known() -> None:
    flagged = sensitivity(["prior-data conflict", ""])
    verdict = rules_model.judge_prior(evidence(checks=flagged, shift=np.full(2, np.nan)))
    assert verdict.verdict == "caution"


def test_units_in_the_same_class_are_counted() -> None:
    first = np.eye(2)[[0, 0, 1, 1]]
    line = agreement_table(first, np.eye(2)[[0, 0, 1, 0]]).loc["share of units in the same class"]
    assert (line["value"], line["note"]) == (0.75, "3 of 4 units")


def test_membership_of_chains_that_have_not_converged_is_not_judged_different() -> None:
    agreement = pd.DataFrame(
        {"value": [0.99, 0.4, 0.98]},
        index=["share of units in the same class", "mean distance", "adjusted Rand index"],
    )
    verdict = rules_agreement.judge_membership(evidence(agreement=agreement, converged=False))
    assert (verdict.verdict, verdict.reason) == ("caution", NOT_CONVERGED)


def test_data_that_spread_less_than_the_priors_are_said_to() -> None:
    spec = mc.MixtureSpec(
        "y ~ 1", n_components=1, priors=mc.Priors(coefficient_sd=1.0, covariance_scale=400.0)
    )
    y = np.random.default_rng(1).normal(size=50)
    check = mc.prior_predictive(spec, {"y": y}, draws=200, seed=1)
    assert check.plausible
    assert "further in, since the data spread less than the prior's" in check.sentence
    sd = check.table.set_index("statistic").loc["sd"]
    assert sd["p"] > 0.995
    assert "sd" in check.sentence.split("; ")[1]


def test_the_membership_prior_is_described_as_it_is() -> None:
    """Deviations of K independent normals from their mean, and differences of two of them."""
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=3, membership="~ w")
    table = simulate(units=60, rows=(4, 9), seed=5)
    unit_value = np.random.default_rng(2).normal(size=table["unit"].nunique())
    codes = table["unit"].astype("category").cat.codes
    described = mc.describe_priors(spec, table.assign(w=unit_value[codes]))
    draws = np.random.default_rng(3).normal(scale=2.5, size=(400_000, 3))
    of_deviation = (draws - draws.mean(axis=1, keepdims=True))[:, 0].std()
    of_difference = (draws[:, 1] - draws[:, 0]).std()
    line = described.set_index("parameter").loc["membership[w]"]
    spread = unit_value.std()
    deviation = float(line["prior"].removeprefix("Normal(0, ").removesuffix(")"))
    difference = float(line["note"].rsplit("Normal(0, ", 1)[1].removesuffix(")"))
    assert deviation == pytest.approx(of_deviation / spread, rel=0.01)
    assert difference == pytest.approx(of_difference / spread, rel=0.01)
