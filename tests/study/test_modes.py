"""Whether chains are at the best mode: against normal posteriors, and counts by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixcompare.study.file.load import build_study
from mixcompare.study.measures.from_store import measure_tables
from mixcompare.study.measures.modes import at_best_mode, lowest_mean
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from tests.study_cases import content


def fit(method: str, replicate: int, outcome: str, **values: float) -> pd.DataFrame:
    """What a store has of a fit."""
    keys = {"scenario": "all", "replicate": replicate, "method": method, "outcome": outcome}
    rows: dict[str, Any] = {"name": [*values], "value": [*values.values()]}
    return pd.DataFrame({"task": hash((method, replicate)), **keys, **rows})


def chains(method: str, replicate: int, outcome: str, lowest: float, **more: float) -> pd.DataFrame:
    values = {"log_likelihood": -95.0, "n_parameters": 8.0, "cautions": 0.0, **more}
    return fit(method, replicate, outcome, lowest_chain=lowest, **values)


def judged(*fits: pd.DataFrame) -> dict[Any, float]:
    rows = at_best_mode(pd.concat(fits))
    return rows.set_index(["name", "method", "replicate"])["value"].to_dict()


@pytest.mark.parametrize("d", [2, 11, 60])
def test_chains_of_a_normal_posterior_are_at_its_mode(d: int) -> None:
    rng = np.random.default_rng(d)
    draws = -500.0 - rng.chisquare(d, size=(200, 100)) / 2
    lowest = float(lowest_mean(np.array(-500.0), np.array(d)))
    assert draws.mean(axis=1).min() > lowest
    # The same chains at a mode that is lower by six standard deviations are not.
    assert (draws.mean(axis=1) - 6 * np.sqrt(d / 2)).max() < lowest


def test_the_best_mode_is_the_highest_of_all_methods_of_a_replicate() -> None:
    # Eight parameters: a chain may lie 4 + 6 below the mode.
    found = judged(
        fit("em", 0, "converged", log_likelihood=-100.0, n_parameters=8.0, cautions=0.0),
        chains("near", 0, "converged", -104.9),
        chains("far", 0, "converged", -105.1),
        fit("em", 1, "converged", log_likelihood=-90.0, n_parameters=8.0, cautions=0.0),
        chains("near", 1, "converged", -99.9),
        chains("far", 1, "converged", -100.1),
    )
    reached = {key[1:]: value for key, value in found.items() if key[0] == "all_chains_at_best"}
    assert reached == {("near", 0): 1, ("far", 0): 0, ("near", 1): 1, ("far", 1): 0}


def test_a_maximum_that_only_a_search_found_is_known() -> None:
    found = judged(
        fit("em", 0, "converged", log_likelihood=-100.0, n_parameters=8.0, cautions=0.0),
        chains("old", 0, "converged", -104.0),
        chains("new", 0, "converged", -104.0, highest_maximum=-80.0),
    )
    assert not found["all_chains_at_best", "old", 0]
    assert not found["all_chains_at_best", "new", 0]


def test_only_what_neither_status_nor_caution_says_is_unmarked() -> None:
    found = judged(
        chains("best", 0, "converged", -99.0),
        chains("silent", 0, "converged", -400.0),
        chains("warned", 0, "converged", -400.0, cautions=1.0),
        chains("stuck", 0, "not converged", -400.0),
    )
    unmarked = [key[1] for key, value in found.items() if key[0] != "all_chains_at_best" and value]
    assert unmarked == ["silent"]


def test_fits_without_chains_are_not_judged() -> None:
    em = fit("em", 0, "converged", log_likelihood=-100.0, n_parameters=8.0, cautions=0.0)
    assert judged(em) == {}
    # Nor those that were stored before their chains' heights were kept.
    assert judged(em, fit("old", 0, "converged", log_likelihood=-99.0)) == {}


def test_a_study_says_how_often_all_chains_are_at_the_best_mode(tmp_path: Any) -> None:
    pymc = {"backend": "pymc", "draws": 40, "tune": 100, "chains": 2}
    other = {**pymc, "n_components": 1}
    methods = {"em": {"backend": "em", "starts": 5}, "pymc": pymc, "one-class": other}
    run_study(build_study(content(methods=methods, grid={})), tmp_path, report=False)
    with open_store(tmp_path / "study.sqlite", create=False) as store:
        study = build_study(content(methods=methods, grid={}))
        fits, kept = measure_tables(study, store)["fits"], store.frame("diagnostics")
    reached = fits[(fits["measure"] == "all_chains_at_best") & (fits["sample"] == "all")]
    # A model of one class has another likelihood, whose height is no reproach to it.
    assert reached.set_index("method")["value"].to_dict() == {"pymc": 1.0, "one-class": 1.0}
    assert reached["n"].tolist() == [3, 3]
    wide = kept.pivot_table("value", ["method", "replicate"], "name")
    assert wide["search_seconds"].loc[["pymc", "one-class"]].gt(0).all()
    assert (wide["highest_maximum"] > wide["highest_chain"]).loc[["pymc", "one-class"]].all()
    assert (wide["lowest_chain"] <= wide["highest_chain"]).loc[["pymc", "one-class"]].all()
