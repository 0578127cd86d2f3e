"""Panels prepared by their family: merged rows where none has a form of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.prepared import families
from mixcompare.prepared.compress import PreparedPanel, compress
from mixcompare.prepared.identification import cautions, check_identified
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.rows import Rows, merge_rows

SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, unit_weights="w")


def table() -> pd.DataFrame:
    """Counts with many equal rows."""
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(9), 12)
    values = {"x": rng.integers(3, size=108), "y": rng.integers(4, size=108)}
    sorted_by_unit = pd.DataFrame({"unit": unit, "w": 0.5 + unit % 2, **values})
    return sorted_by_unit.sample(frac=1, random_state=1)


@pytest.fixture
def problem(monkeypatch: pytest.MonkeyPatch) -> Problem:
    """The panel as that of a family without a form of its own."""
    monkeypatch.setattr(families, "family_of", lambda _: "counts")
    return Problem.of(SPEC, mc.build_panel(SPEC, table()))


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
    check_identified(problem.spec, problem.prepared)
    assert cautions(problem.spec, problem.panel, problem.prepared) == ()
    exact = table().assign(y=lambda t: t["x"])
    same = Problem.of(SPEC, mc.build_panel(SPEC, exact))
    check_identified(same.spec, same.prepared)
    flat = Problem.of(SPEC, mc.build_panel(SPEC, table().assign(x=1)))
    with pytest.raises(mc.DataError, match="rank deficient"):
        check_identified(flat.spec, flat.prepared)
    alike = table().assign(x=lambda t: t.groupby("unit").cumcount(), y=1)
    few = Problem.of(SPEC, mc.build_panel(SPEC, alike))
    with pytest.raises(mc.DataError, match="1 distinct unit"):
        check_identified(few.spec, few.prepared)


def test_absorbed_effects_need_a_form_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, absorb="unit")
    panel = mc.build_panel(spec, table())
    assert isinstance(Problem.of(spec, panel).prepared, PreparedPanel)
    monkeypatch.setattr(families, "family_of", lambda _: "counts")
    with pytest.raises(mc.SpecificationError, match="absorb"):
        Problem.of(spec, panel)


def test_a_family_may_register_a_form_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "_PREPARATIONS", dict(families._PREPARATIONS))
    monkeypatch.setattr(families, "family_of", lambda _: "counts")
    seen: list[Any] = []

    def half(panel: mc.Panel, kernels: str) -> Rows:
        seen.append(kernels)
        return merge_rows(panel)

    families.register_preparation("counts", half)
    panel = mc.build_panel(SPEC, table())
    assert isinstance(Problem.of(SPEC, panel, "numpy").prepared, Rows)
    assert seen == ["numpy"]
