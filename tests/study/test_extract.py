"""What a study keeps of a fit, against counts by hand and by brute force."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.study.file.load import build_study
from mixcompare.study.measures.from_store import measure_tables
from mixcompare.study.mechanism.generate import DataSet, generate
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from mixcompare.study.task.extract import Kept, keep
from mixcompare.study.task.seeds import data_stream
from tests.stand_in_posterior import stand_in
from tests.study_cases import content

SAME = 1e-6


def overlapping() -> dict[str, Any]:
    """Three classes so close that starts end in several optima."""
    tables = content(
        model__n_components=3,
        simulate__separation=0.5,
        simulate__weights=[0.5, 0.3, 0.2],
        simulate__covariance=1.0,
        simulate__coefficients={"Intercept": [0.0, 1.5, -1.5], "x": [1.0, -1.0, 0.0]},
    )
    del tables["grid"]
    return tables


@pytest.fixture(scope="module")
def fitted() -> tuple[mc.Fit, DataSet, Kept]:
    (scenario,) = build_study(overlapping()).scenarios
    data = generate(scenario, lambda: pytest.fail("no real table"), data_stream(1, "all", 0))
    fit = mc.fit(scenario.spec, data.panel(scenario.spec), starts=20, seed=2)
    return fit, data, keep(fit, data, [])


def test_starts_are_counted_by_their_likelihood(fitted: tuple[mc.Fit, DataSet, Kept]) -> None:
    fit, _, kept = fitted
    starts = fit.tree["starts"]
    status, reached = starts["status"].to_numpy(), starts["log_likelihood"].to_numpy()
    usable = ~np.isin(status, ["degenerate", "failed"])
    best = reached[usable].max()
    share = (usable & (best - reached < SAME * abs(best))).sum() / 20
    assert 0 < share < 1
    found = kept.diagnostics
    assert found["share_at_best_optimum"] == pytest.approx(share)
    assert found["unusable_starts"] == (~usable).sum()
    ordered = np.sort(reached[usable])
    assert found["distinct_optima"] == 1 + (np.diff(ordered) > SAME * abs(best)).sum() > 1
    assert found["iterations"] == starts["iterations"].sum()
    assert found["standard_errors_withheld"] == 0


def test_withheld_standard_errors_are_counted(fitted: tuple[mc.Fit, DataSet, Kept]) -> None:
    fit, data, _ = fitted
    short = mc.fit(fit.spec, fit.panel, starts=1, max_iterations=1)
    assert short.tree["standard_errors"].attrs["reason"]
    kept = keep(short, data, [])
    assert kept.diagnostics["standard_errors_withheld"] == 1
    assert all(np.isnan(row.standard_error) for row in kept.estimates)
    assert all(np.isfinite(row.estimate) for row in kept.estimates)


def test_classification_by_brute_force(fitted: tuple[mc.Fit, DataSet, Kept]) -> None:
    fit, data, kept = fitted
    assert data.classes is not None
    tau, truth = fit.responsibilities.to_numpy(), data.classes.argmax(axis=1)
    briers = [
        ((tau[:, order] - data.classes) ** 2).sum(axis=1).mean()
        for order in itertools.permutations(range(3))
    ]
    assert kept.criteria["brier_score"] == pytest.approx(min(briers))
    pairs = list(itertools.combinations(range(len(truth)), 2))
    guess = tau.argmax(axis=1)
    together = sum(truth[a] == truth[b] and guess[a] == guess[b] for a, b in pairs)
    first = sum(truth[a] == truth[b] for a, b in pairs)
    second = sum(guess[a] == guess[b] for a, b in pairs)
    chance = first * second / len(pairs)
    expected = (together - chance) / ((first + second) / 2 - chance)
    assert kept.criteria["adjusted_rand_index"] == pytest.approx(expected)


def test_criteria_by_hand(fitted: tuple[mc.Fit, DataSet, Kept]) -> None:
    fit, _, kept = fitted
    total = float(fit.tree["estimate"]["log_likelihood"].sum())
    assert kept.criteria["log_likelihood"] == pytest.approx(total, rel=1e-14)
    # Two weights, six coefficients, three variances; thirty units.
    assert kept.criteria["bic"] == pytest.approx(11 * np.log(30) - 2 * total)
    assert kept.criteria["n_parameters"] == 11
    assert kept.criteria["n_components"] == 3
    assert kept.criteria["components_recovered"] == 1


def test_switches_of_chains_by_hand(fitted: tuple[mc.Fit, DataSet, Kept]) -> None:
    fit, data, _ = fitted
    posterior = stand_in(fit, draws=60, chains=2, switch_every=20)
    diverging = np.arange(120).reshape(2, 60) < 7
    stats = posterior.tree["sample_stats"].to_dataset()
    stats = stats.assign(diverging=(("chain", "draw"), diverging))
    posterior = posterior.attached({"sample_stats": stats})
    found = keep(posterior, data, []).diagnostics
    permutation = posterior.tree["alignment"]["permutation"].to_numpy()
    labellings = [[tuple(row) for row in chain] for chain in permutation.tolist()]
    every = [labelling for chain in labellings for labelling in chain]
    switches = [sum(a != b for a, b in itertools.pairwise(chain)) for chain in labellings]
    assert found["labellings"] == len(set(every)) > 1
    assert found["switches_per_chain"] == np.mean(switches) > 0
    most = max(every.count(labelling) for labelling in set(every))
    assert found["share_relabelled"] == pytest.approx(1 - most / len(every))
    assert found["divergences"] == 7
    by_chain = posterior.tree["log_likelihood"]["outcomes"].sum("unit").mean("draw").to_numpy()
    assert found["lowest_chain"] == pytest.approx(by_chain.min())
    assert found["highest_chain"] == pytest.approx(by_chain.max()) != found["lowest_chain"]
    assert found["cautions"] == len(posterior.cautions)


def test_best_optimum_is_the_best_of_all_methods_of_the_same_model(tmp_path: Path) -> None:
    tables = overlapping()
    tables["methods"] |= {
        "five": {"backend": "em", "starts": 5},
        "two": {"backend": "em", "starts": 1, "n_components": 2},
        "mode": {"backend": "em", "starts": 1, "estimator": "map"},
    }
    tables["run"]["replicates"] = 5
    study = build_study(tables)
    run_study(study, tmp_path, report=False)
    with open_store(tmp_path / "study.sqlite", create=False) as store:
        fits, criteria = measure_tables(study, store)["fits"], store.frame("criteria")
    found = fits[(fits["measure"] == "best_optimum_found") & (fits["sample"] == "all")]
    value = found.set_index("method")["value"]
    reached = criteria[criteria["name"] == "log_likelihood"].pivot_table(
        index="replicate", columns="method", values="value"
    )
    best = reached[["one", "five"]].max(axis=1)
    assert sorted(value.index) == ["five", "one"]
    for method in ("one", "five"):
        assert value[method] == (best - reached[method] < SAME * best.abs()).mean()
    assert value["one"] < 1
    assert fits[fits["measure"] == "seconds"]["value"].gt(0).all()
