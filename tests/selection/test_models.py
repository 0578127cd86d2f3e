"""Several specifications of one data set: names, criteria, prediction, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.fits import criteria
from mixcompare.report import models_section as section
from mixcompare.report import sections, write_comparison
from mixcompare.selection.models import arrange_models, models_table
from tests.places import REFERENCE
from tests.stand_in_posterior import stand_in

TABLE = pd.read_csv(REFERENCE / "faithful.csv")
SPEC = mc.MixtureSpec("eruptions + waiting ~ 1", n_components=2)
# By mclust's letters for what varies.
STRUCTURES: dict[str, dict[str, Any]] = {
    "VVV": {"covariance": "full", "covariance_by": "component"},
    "EEE": {"covariance": "full", "covariance_by": "shared"},
    "VII": {"covariance": "spherical", "covariance_by": "component"},
}


@pytest.fixture(scope="module")
def maxima() -> dict[str, mc.Fit]:
    return {
        name: mc.fit(replace(SPEC, **changes), TABLE, starts=10, seed=1)
        for name, changes in STRUCTURES.items()
    }


@pytest.fixture(scope="module")
def posteriors(maxima: dict[str, mc.Fit]) -> dict[str, mc.Fit]:
    return {name: stand_in(em, draws=100, chains=2, seed=3) for name, em in maxima.items()}


def test_models_are_named_by_what_varies(maxima: dict[str, mc.Fit]) -> None:
    models = arrange_models(list(maxima.values()))
    assert list(models) == [
        "full covariance by component",
        "full covariance shared",
        "spherical covariance by component",
    ]
    assert [model.em for model in models.values()] == list(maxima.values())
    three = SPEC.but(n_components=3, covariance="diagonal")
    other = mc.fit(three, TABLE, starts=5, seed=1)
    assert list(arrange_models([maxima["VVV"], other])) == [
        "K 2, full covariance",
        "K 3, diagonal covariance",
    ]
    shared = [maxima["VVV"], maxima["EEE"]]
    assert list(arrange_models(shared)) == ["covariance by component", "covariance shared"]


def test_the_highest_maximum_stands_for_a_model(maxima: dict[str, mc.Fit]) -> None:
    early = mc.fit(SPEC, TABLE, starts=1, criterion="q", tolerance=0.01, acceleration="none")
    (model,) = arrange_models([early, maxima["VVV"]]).values()
    assert model.em is maxima["VVV"]
    assert model.posterior is None


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # ArviZ's own; here it is a column
def test_criteria_and_predictions(maxima: dict[str, mc.Fit], posteriors: dict[str, mc.Fit]) -> None:
    frame = models_table(arrange_models([*maxima.values(), *posteriors.values()]))
    for (_, row), em in zip(frame.iterrows(), maxima.values(), strict=True):
        expected = criteria.bic(em.log_likelihood, em.n_parameters, len(TABLE))
        assert row["bic"] == pytest.approx(expected)
        assert row["n_parameters"] == em.n_parameters
    peer = az.compare(
        {name: az.loo(p.tree, var_name="outcomes") for name, p in posteriors.items()},
        round_to="none",
    ).loc[list(posteriors)]
    np.testing.assert_allclose(frame["elpd"], peer["elpd"])
    np.testing.assert_allclose(frame["elpd_difference"].abs(), peer["elpd_diff"].abs(), atol=1e-9)
    np.testing.assert_allclose(frame["elpd_difference_se"], peer["dse"], atol=1e-9)
    assert frame["elpd_difference"].max() == 0


def test_draws_that_have_not_converged_rank_nothing(maxima: dict[str, mc.Fit]) -> None:
    good = stand_in(maxima["VVV"], draws=300, seed=3)
    far = np.array([20.0 * (p.variable == "coefficients") for p in maxima["EEE"].parameters])
    apart = stand_in(maxima["EEE"], draws=300, offset=far, seed=3)
    frame = models_table(arrange_models([maxima["VVV"], maxima["EEE"], good, apart]))
    assert frame["elpd"].notna().tolist() == [True, False]
    assert frame["elpd_difference"].iloc[0] == 0
    assert frame["unranked"].iloc[0] == ""
    assert "lacks a higher mode" in frame["unranked"].iloc[1]


def test_a_model_may_lack_a_backend(maxima: dict[str, mc.Fit]) -> None:
    frame = models_table(arrange_models([maxima["VVV"], stand_in(maxima["EEE"], seed=1)]))
    assert frame["bic"].notna().tolist() == [True, False]
    assert frame["elpd"].notna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (SPEC, slice(1, None)),
        (SPEC.but(formula="eruptions ~ 1"), slice(None)),
        (replace(SPEC, unit_weights="w"), slice(None)),
    ],
    ids=["rows", "outcomes", "weights"],
)
def test_other_data_are_refused(
    maxima: dict[str, mc.Fit], spec: mc.MixtureSpec, rows: slice
) -> None:
    other = mc.fit(spec, TABLE.assign(w=1.0).iloc[rows], starts=2)
    with pytest.raises(mc.DataError, match="same units, outcomes, rows"):
        arrange_models([maxima["VVV"], other])


def test_the_report_ranks_them(
    maxima: dict[str, mc.Fit],
    posteriors: dict[str, mc.Fit],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        write_comparison, "drawings", lambda _: {o.anchor: () for o in sections.SECTIONS}
    )
    comparison = mc.compare(maxima["VVV"], posteriors["VVV"], climbs=2)
    others = [maxima["EEE"], maxima["VII"], posteriors["EEE"]]
    page = mc.write_report(comparison, tmp_path, models=others).read_text("utf-8")
    assert f'<section id="{section.ANCHOR}">' in page
    assert "This report is on the model full covariance by component." in page
    assert "full covariance by component: least by AIC; BIC, n = units; " in page
    grolts = pd.read_csv(tmp_path / "tables" / "grolts.csv").set_index("item")
    assert grolts.loc["6b", "answered"] == "automatic"
    assert "model_3 = mc.fit(mc.MixtureSpec(" in page
    assert "mc.write_report(comparison, ..., models=[model_1, model_2, model_3])" in page
    table = pd.read_csv(tmp_path / "tables" / "models.csv")
    assert len(table) == 3
    assert table["elpd"].notna().tolist() == [True, True, False]
