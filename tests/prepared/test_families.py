"""Panels prepared by their family: merged rows where none has a form of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.model import families as declared
from mixcompare.prepared import families
from mixcompare.prepared.compress import PreparedPanel, compress
from mixcompare.prepared.identification import cautions, check_identified
from mixcompare.prepared.prior_table import prior_table
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.rows import Rows, merge_rows
from mixcompare.simulate.prior_draws import draw_priors

PARTS: dict[str, Any] = {
    "unit": "unit",
    "n_components": 2,
    "unit_weights": "w",
    "family": "counted",
}


def table() -> pd.DataFrame:
    """Counts with many equal rows."""
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(9), 12)
    values = {"x": rng.integers(3, size=108), "y": rng.integers(4, size=108)}
    sorted_by_unit = pd.DataFrame({"unit": unit, "w": 0.5 + unit % 2, **values})
    return sorted_by_unit.sample(frac=1, random_state=1)


@pytest.fixture(autouse=True)
def _family(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family without a form of its own."""
    monkeypatch.setattr(declared, "FAMILIES", dict(declared.FAMILIES))
    declared.register_family(declared.Family("counted", "counts", links=("log",)))


def prepared(data: pd.DataFrame, **changes: Any) -> Problem:
    spec = mc.MixtureSpec("y ~ x", **{**PARTS, **changes})
    return Problem.of(spec, mc.build_panel(spec, data))


@pytest.fixture
def problem() -> Problem:
    return prepared(table())


def test_equal_rows_of_a_unit_are_merged_and_nothing_is_lost(problem: Problem) -> None:
    rows = problem.rows
    assert len(rows.counts) < 108
    assert rows.counts.sum() == 108
    assert (np.diff(rows.carrier) >= 0).all()
    for g in range(9):
        of_unit = rows.carrier == g
        x, y = (np.repeat(values[of_unit], rows.counts[of_unit].astype(int), axis=0)
                for values in (rows.covariates[:, 1], rows.outcomes[:, 0]))  # fmt: skip
        raw = table()[lambda t, g=g: t["unit"] == g]
        assert sorted(zip(x, y, strict=True)) == sorted(zip(raw["x"], raw["y"], strict=True))
        pairs = {*zip(rows.covariates[of_unit, 1], rows.outcomes[of_unit, 0], strict=True)}
        assert len(pairs) == of_unit.sum()


def test_what_the_units_are_does_not_depend_on_the_family(problem: Problem) -> None:
    rows, factors = problem.rows, compress(problem.panel)
    for name in ("n_rows", "degrees_of_freedom", "column_mean", "column_sd", "raw_norm",
                 "unit_labels", "unit_weights", "replicated"):  # fmt: skip
        np.testing.assert_array_equal(getattr(rows, name), getattr(factors, name), err_msg=name)
    one, other = rows.pooled_rows, factors.pooled_rows
    np.testing.assert_allclose(one.T @ one, other.T @ other, rtol=1e-12)
    with pytest.raises(TypeError, match="Rows"):
        _ = problem.factors


def test_one_unit_alone_or_left_out(problem: Problem) -> None:
    rest, alone = problem.without_unit(4), problem.only_unit(4)
    kept = problem.rows.carrier != 4
    np.testing.assert_array_equal(rest.rows.outcomes, problem.rows.outcomes[kept])
    np.testing.assert_array_equal(rest.rows.carrier, problem.rows.carrier[kept])
    assert rest.rows.n_rows[4] == 0
    assert rest.rows.n_units == 9
    np.testing.assert_array_equal(alone.rows.outcomes, problem.rows.outcomes[~kept])
    assert not alone.rows.carrier.any()
    assert alone.panel.unit_labels.tolist() == [4]
    np.testing.assert_array_equal(merge_rows(alone.panel).counts, alone.rows.counts)


def test_what_only_normal_outcomes_need_is_not_asked_of_others(problem: Problem) -> None:
    check_identified(problem)
    assert cautions(problem) == ()
    exact = prepared(table().assign(y=lambda t: t["x"]))
    check_identified(exact)
    normal = prepared(table().assign(y=lambda t: t["x"]), family="normal")
    with pytest.raises(mc.DataError, match="exactly"):
        check_identified(normal)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": lambda t: 0 * t["x"] + 1}, "rank deficient"),
        ({"x": lambda t: t.groupby("unit").cumcount(), "y": lambda _: 1}, "1 distinct unit"),
        ({"y": lambda t: t["y"] - 0.5}, "whole numbers from 0 on"),
        ({"y": lambda t: -t["y"]}, "in the unit 0; outcomes of the family 'counted'"),
    ],
)
def test_data_that_do_not_suit_are_refused(change: dict[str, Any], words: str) -> None:
    wrong = prepared(table().assign(**change))
    with pytest.raises(mc.DataError, match=words):
        check_identified(wrong)


def test_absorbed_effects_need_a_form_without_them() -> None:
    assert isinstance(prepared(table(), absorb="unit", family="normal").prepared, PreparedPanel)
    with pytest.raises(mc.SpecificationError, match="absorb"):
        prepared(table(), absorb="unit")


def test_priors_of_coefficients_are_on_the_scale_of_the_link(problem: Problem) -> None:
    priors = problem.priors
    panel = problem.panel
    assert panel.unit_weights is not None
    weights = panel.unit_weights[panel.unit]
    mean = np.average(panel.outcomes[:, 0], weights=weights)
    x = panel.covariates[:, 1]
    spread = np.sqrt(np.average((x - np.average(x, weights=weights)) ** 2, weights=weights))
    np.testing.assert_allclose(priors.coefficient_mean[:, 0], [np.log(mean), 0.0])
    np.testing.assert_allclose(priors.coefficient_sd[:, 0], [2.5, 2.5 / spread])
    assert priors.covariance_scale.size == 0
    words = prior_table(problem)
    assert words["parameter"].tolist() == ["weights", "coefficients[Intercept]", "coefficients[x]"]
    fixed = problem.with_fixed_priors()
    np.testing.assert_allclose(fixed.priors.coefficient_sd, priors.coefficient_sd)
    drawn = draw_priors(problem, 5, np.random.default_rng(0))
    assert set(drawn) == {"weights", "coefficients"}
    with pytest.raises(mc.SpecificationError, match="no covariance"):
        _ = prepared(table(), priors=mc.Priors(covariance_df=5)).priors


def test_a_family_may_register_a_form_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "PREPARATIONS", dict(families.PREPARATIONS))
    seen: list[Any] = []

    def noted(panel: mc.Panel, kernels: str) -> Rows:
        seen.append(kernels)
        return merge_rows(panel)

    families.register_preparation("counted", noted)
    spec = mc.MixtureSpec("y ~ x", **PARTS)
    assert isinstance(Problem.of(spec, mc.build_panel(spec, table()), "numpy").prepared, Rows)
    assert seen == ["numpy"]
