"""Criteria of the posterior by number of classes, from fits that were not sampled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.cli.app import app
from mixcompare.selection import load_selection
from mixcompare.selection import standing as module
from mixcompare.selection.candidates import Candidate, climb_higher, renew_falls
from tests.places import STUDIES
from tests.selection.test_selection import SPEC, separated
from tests.stand_in_posterior import stand_in

GALAXIES = STUDIES / "data" / "galaxies.csv"


def not_sampled(spec: mc.MixtureSpec, panel: mc.Panel, **options: Any) -> mc.Fit:
    """Normal draws in place of NUTS; one class has chains apart, and its evidence is far off."""
    k = spec.n_components
    em = mc.fit(spec, panel, starts=6, seed=2)
    made = stand_in(em, draws=options["draws"], chains=2, seed=k, switch_every=50)
    if options.get("sampler") == "smc":
        assert set(options) == {"backend", "seed", "draws", "sampler"}
        runs = em.log_likelihood - 9.0 + np.array([0.0, 0.1]) - 100 * (k == 1)
        stats = xr.Dataset({"log_marginal_likelihood": ("chain", runs)})
        made.tree["sample_stats"] = xr.DataTree(stats)
    if k == 1:
        made.tree.attrs["status"] = "not converged"
    return made


@pytest.fixture(scope="module")
def selection() -> mc.Selection:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit", not_sampled)
        return mc.select(
            SPEC,
            separated(),
            n_components=[2, 1, 3],
            starts=8,
            seed=1,
            posterior=("loo", "bridge", "smc"),
            sampling={"draws": 150, "tune": 50},
        )


@pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")
def test_loo_and_its_differences_are_arvizs(selection: mc.Selection) -> None:
    table = selection.table
    trees = {
        str(k): az.loo(
            xr.DataTree.from_dict(
                {n: fit.tree[n].to_dataset() for n in ("posterior", "log_likelihood")}
            ),
            var_name="outcomes",
            pointwise=True,
        )
        for k, fit in selection.posteriors.items()
    }
    compared = az.compare(trees, round_to="none")
    for k in (1, 2, 3):
        line = compared.loc[str(k)]
        assert table.loc[k, "elpd_loo"] == pytest.approx(trees[str(k)].elpd)
        assert table.loc[k, "elpd_loo_se"] == pytest.approx(trees[str(k)].se)
        assert table.loc[k, "elpd_difference"] == pytest.approx(-abs(line["elpd_diff"]))
        # ArviZ divides by n here, though by n - 1 in the standard error of elpd.
        assert table.loc[k, "elpd_difference_se"] == pytest.approx(line["dse"] * np.sqrt(45 / 44))
        assert table.loc[k, "high_pareto_k"] == (trees[str(k)].pareto_k > 0.7).sum()
    assert selection.best("loo") == int(compared.index[0]) == table["elpd_loo"].idxmax()


def test_a_posterior_that_fails_twice_is_shown_and_not_ranked(selection: mc.Selection) -> None:
    table = selection.table
    assert list(table["posterior_restarts"]) == list(table["smc_restarts"]) == [1, 0, 0]
    for column in ("posterior_unranked", "smc_unranked"):
        assert list(table[column] == "") == [False, True, True]
        assert "So it was, too, with another seed" in str(table.loc[1, column])
    assert table[["elpd_loo", "log_evidence_bridge", "log_evidence_smc"]].notna().all(axis=None)
    note = selection.choices["note"].to_dict()
    assert "K = 1 not ranked" in note["loo"]
    assert "contradict each other at K = 1" in note["bridge"]
    assert "contradict" not in note["loo"]
    assert note["bic"] == selection.notes[selection.best("bic")]
    # Were the first the best, it would not be chosen.
    best = table.assign(elpd_loo=[0.0, *table["elpd_loo"][1:]])
    assert replace(selection, table=best).best("loo") == selection.best("loo")


def test_nothing_can_be_ranked(selection: mc.Selection) -> None:
    bad = replace(selection, table=selection.table.assign(posterior_unranked="Not converged."))
    choices = bad.choices
    assert choices["n_components"].isna()[["loo", "bridge"]].all()
    assert choices.loc["loo", "note"] == "K = 1, 2 and 3 not ranked"
    assert choices["n_components"].notna()["smc"]
    assert "loo none (K = 1, 2 and 3 not ranked)" in repr(bad)
    with pytest.raises(mc.OptionError, match="no number of classes can be ranked by 'loo'"):
        bad.best("loo")
    mc.plot(bad)


def test_two_estimates_of_the_evidence_are_held_together(selection: mc.Selection) -> None:
    table = selection.table
    centre, runs = selection.fits[2].log_likelihood - 9.0, np.exp([0.0, 0.1])
    smc, error = table.loc[2, ["log_evidence_smc", "log_evidence_smc_error"]]
    assert smc == pytest.approx(centre + np.log(runs.mean()))
    assert error == pytest.approx(runs.std(ddof=1) / np.sqrt(2) / runs.mean())
    joint = np.hypot(table["log_evidence_bridge_error"], table["log_evidence_smc_error"])
    away = (table["log_evidence_bridge"] - table["log_evidence_smc"]).abs()
    np.testing.assert_array_equal(table["evidence_apart"], away > 2 * joint)
    assert table.loc[1, "evidence_apart"]
    assert table.loc[1, "posterior_status"] == "not converged"
    # Of the order of BIC / -2, to which it tends in large samples.
    np.testing.assert_allclose(table["log_evidence_bridge"], -table["bic"] / 2, atol=15)
    assert {"loo", "bridge", "smc"} <= set(selection.choices.index)
    assert selection.best("bridge") == table["log_evidence_bridge"].idxmax()


def test_shown_and_saved(selection: mc.Selection, tmp_path: Path) -> None:
    axes = [ax for ax in mc.plot(selection).axes if ax.get_visible()]
    titles = [ax.get_title() for ax in axes]
    assert titles[3:] == ["Cross-validation (PSIS-LOO)", "Marginal likelihood"]
    for ax in axes[3:]:
        assert ax.get_legend_handles_labels()[1].count("not ranked") >= 1
    saved = selection.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load_selection(saved).choices, selection.choices)
    assert mc.load(saved / "pymc_3.nc").backend == "pymc"
    read = pd.read_csv(saved / "selection.csv", index_col=0)
    np.testing.assert_allclose(read["elpd_difference"], selection.table["elpd_difference"])
    # A selection of before posteriors were judged has no such columns.
    judged = [f"{of}_{what}" for of in ("posterior", "smc") for what in ("restarts", "unranked")]
    read.drop(columns=[*judged, "smc_status"]).to_csv(saved / "selection.csv")
    of_before = load_selection(saved)
    assert list(of_before.table["posterior_unranked"] != "") == [True, False, False]
    assert of_before.best("loo") == selection.best("loo")


def test_only_what_is_asked_for_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    samplers: list[str] = []

    def noted(spec: mc.MixtureSpec, panel: mc.Panel, **options: Any) -> mc.Fit:
        samplers.append(options.get("sampler", "nutpie"))
        return not_sampled(spec, panel, **options)

    monkeypatch.setattr(module, "fit", noted)
    more: dict[str, Any] = {"starts": 4, "sampling": {"draws": 60}}
    found = mc.select(SPEC, separated(), n_components=[2], posterior=["smc"], **more)
    assert samplers == ["smc"]
    assert not found.posteriors
    assert "elpd_loo" not in found.table
    assert "evidence_apart" not in found.table
    assert sum(ax.get_visible() for ax in mc.plot(found).axes) == 4


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fit", not_sampled)
    path = tmp_path / "panel.csv"
    separated().to_csv(path, index=False)
    asked = ["select", str(path), "--formula", "y ~ x", "--unit", "unit", "--to", "2"]
    more = ["--starts", "4", "--posterior", "loo", "--posterior", "bridge", "--draws", "60"]
    done = CliRunner().invoke(app, [*asked, *more])
    assert done.exit_code == 0, done.output
    note = "(K = 1 not ranked)"
    said = {"elpd_difference", "log_evidence_bridge", f"loo: 2 {note}", f"bridge: 2 {note}"}
    assert said <= _words(done.output)
    assert "1 classes, not ranked by NUTS: made for a test" in done.output
    refused = CliRunner().invoke(app, [*asked, "--posterior", "waic"])
    assert refused.exit_code != 0


def _words(text: str) -> set[str]:
    lines = [line.strip() for line in text.splitlines()]
    return {word for line in lines for word in line.split()} | set(lines)


def test_a_draw_above_ems_maximum_restarts_it() -> None:
    panel = mc.build_panel(SPEC, separated())
    good = mc.fit(SPEC, panel, starts=6, seed=1)
    even = np.full((panel.n_units, 2), 0.5)
    poor = mc.fit(SPEC, panel, starts=0, initial=even, max_iterations=2)
    assert poor.log_likelihood < good.log_likelihood - 1
    drawn = stand_in(good, draws=60, chains=1)
    height = drawn.log_likelihood
    candidate = Candidate(2, poor, 1, True, poor.message)
    raised = climb_higher(candidate, drawn.highest_draw, height, {"starts": 1})
    assert raised.fit is not None
    assert raised.fit.log_likelihood == pytest.approx(good.log_likelihood, abs=1e-6)
    assert raised.rounds == 2
    assert "a draw led to" in raised.message
    same = climb_higher(raised, drawn.highest_draw, height, {"starts": 1})
    assert same is raised
    one = mc.fit(replace(SPEC, n_components=1), panel, starts=1)
    falls = [c.falls for c in renew_falls([Candidate(1, one, 1, False, ""), raised])]
    assert falls == [False, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"posterior": ("loo", "waic")}, "posterior must be different ones of loo, bridge, smc"),
        ({"posterior": ("smc", "smc")}, "posterior must be different ones"),
        ({"sampling": {"draws": 100}}, "no criterion of the posterior is asked for"),
        ({"posterior": ("bridge",), "n_components": [8]}, "at most 6 classes, not 8"),
        ({"posterior": ("loo",), "sampling": {"sampler": "advi"}}, "must have a sampler of"),
        ({"posterior": ("loo",), "sampling": {"drwas": 9}}, "has no option 'drwas'"),
    ],
)
def test_options_that_are_not_valid(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mc.OptionError, match=message):
        mc.select(SPEC, separated(), **{"n_components": [1, 2], **options})
