"""How long EM searches, what its starts are, and what it says of an optimum found once."""

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.backends.em.choice import Chooser
from mixcompare.backends.em.emissions.normal.starts import chi_squared_median
from mixcompare.backends.em.options import FIRST_STARTS, Options
from mixcompare.backends.em.runs import Started
from mixcompare.backends.em.search import search
from mixcompare.backends.em.starts import moved, starting_occupancies
from tests.em_cases import Case, build
from tests.places import REFERENCE

# The package has a function of this name.
searching = import_module("mixcompare.backends.em.search")
TONES = REFERENCE / "tonedata.csv"
TONE_SPEC = mc.MixtureSpec("tuned ~ stretchratio", n_components=2)
HIGHEST = 145.4168


@pytest.fixture(scope="module")
def hard() -> pd.DataFrame:
    """Units whose classes are hardly told apart, so that optima are many."""
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(24), 12)
    y = rng.normal(size=(10, len(unit))) + 0.6 * rng.normal(size=(10, 24))[:, unit]
    columns = {f"y{j}": column for j, column in enumerate(y)}
    return pd.DataFrame({"unit": unit, **columns})


OUTCOMES = " + ".join(f"y{j}" for j in range(10))
HARD_SPEC = mc.MixtureSpec(f"{OUTCOMES} ~ 1", unit="unit", n_components=2)


def heights(started: list[Started]) -> list[float]:
    return [s.run.objective[-1] for s in started if s.run.usable]


@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_class_is_found(seed: int) -> None:
    """141.198 is what 200 starts of the same scale in all classes find (mixtools, tone data)."""
    fit = mc.fit(TONE_SPEC, TONES, seed=seed)
    assert fit.log_likelihood == pytest.approx(HIGHEST, abs=1e-3)
    assert fit.status == "converged"
    assert fit.covariance.to_numpy().min() == pytest.approx(2.047e-5, rel=1e-3)
    assert fit.cautions == ()


def test_elemental_starts_have_a_scale_of_each_class() -> None:
    fit = mc.fit(TONE_SPEC, TONES, kinds="elemental", starts=60, seed=0)
    found = fit.tree["starts"]["log_likelihood"].to_numpy() > HIGHEST - 0.01
    assert found.mean() > 0.08  # with one scale for both classes it is a thousandth


@pytest.mark.parametrize("degrees", [1.0, 2.0, 5.0, 40.0])
def test_median_of_chi_squared(degrees: float) -> None:
    from scipy.stats import chi2

    found = chi_squared_median(np.array([degrees]))[0]
    assert found == pytest.approx(chi2(degrees).median() / degrees, rel=0.04)


def test_an_easy_search_ends_with_the_first_starts() -> None:
    case = build("full", "component")
    fit = mc.fit(case.spec, case.panel, seed=1)
    explicit = mc.fit(case.spec, case.panel, starts=FIRST_STARTS, seed=1)
    assert fit.tree["starts"].sizes["start"] == FIRST_STARTS
    assert fit.log_likelihood == explicit.log_likelihood
    assert fit.tree["starts"].attrs["found_again"]
    assert fit.options["starts"] is None


def test_a_hard_search_goes_on_until_two_lines_meet(hard: pd.DataFrame) -> None:
    explicit = mc.fit(HARD_SPEC, hard, starts=FIRST_STARTS, seed=3)
    fit = mc.fit(HARD_SPEC, hard, seed=3)
    starts = fit.tree["starts"]
    assert starts.sizes["start"] > FIRST_STARTS
    assert fit.log_likelihood > explicit.log_likelihood + 1
    assert {"moved", *fit.options["kinds"]} == set(starts["kind"].to_numpy())
    assert starts.attrs["found_again"]
    assert (starts["optimum"].to_numpy() == 0).sum() >= 2
    assert fit.cautions == ()
    # Every start has its end; the paths are those of the first and of what was best.
    assert np.isfinite(starts["log_likelihood"].to_numpy()).all()
    kept = np.isfinite(starts["log_likelihood_history"].to_numpy()).any(axis=1)
    assert kept[:FIRST_STARTS].all()
    assert not kept.all()


def test_the_same_seed_gives_the_same_search(hard: pd.DataFrame) -> None:
    one, other = (mc.fit(HARD_SPEC, hard, seed=5).tree["starts"].to_dataset() for _ in range(2))
    assert one.drop_vars(["message"]).equals(other.drop_vars(["message"]))


def test_a_budget_that_ends_leaves_a_caution(
    hard: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_STARTS", 100)
    fit = mc.fit(HARD_SPEC, hard, seed=3)
    assert fit.tree["starts"].sizes["start"] == 100
    assert not fit.tree["starts"].attrs["found_again"]
    [caution] = fit.cautions
    assert "of 100 starts" in caution
    assert "where the search's budget ends" in caution


def test_work_ends_a_search(hard: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_MOST_WORK", 1.0)
    assert mc.fit(HARD_SPEC, hard, seed=3).tree["starts"].sizes["start"] == FIRST_STARTS


def test_a_number_of_starts_is_kept_to_and_once_is_a_caution(hard: pd.DataFrame) -> None:
    fit = mc.fit(HARD_SPEC, hard, starts=FIRST_STARTS, seed=3)
    starts = fit.tree["starts"]
    assert starts.sizes["start"] == FIRST_STARTS
    assert (starts["optimum"].to_numpy() == 0).sum() == 1
    [caution] = fit.cautions
    assert "reached by 1 of 50 starts" in caution
    assert "starts=200" in caution
    # A climb from a place of one's own is no search.
    climb = mc.fit(HARD_SPEC, hard, starts=0, initial=np.arange(24) % 2)
    assert climb.cautions == ()
    one = mc.fit(mc.MixtureSpec("y0 ~ 1", unit="unit", n_components=1), hard)
    assert one.cautions == ()
    assert one.tree["starts"].sizes["start"] == 1


def test_start_i_is_the_same_whatever_their_number() -> None:
    case = build("full", "component")
    few, many, default = (
        list(starting_occupancies(case.model, Options(starts=n), np.random.SeedSequence(4)))
        for n in (7, 13, None)
    )
    assert len(default) == FIRST_STARTS
    for first, second, third in zip(few, many, default, strict=False):
        assert first[0] == second[0] == third[0]
        np.testing.assert_array_equal(first[1], second[1])
        np.testing.assert_array_equal(first[1], third[1])


@pytest.mark.parametrize("kinds", ["random", ("kmeans", "random"), ("elemental",)])
def test_further_starts_go_on_where_the_first_ended(
    hard: pd.DataFrame, kinds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The random ones of a search are those of a given number, in their order."""
    monkeypatch.setattr(searching, "MOST_STARTS", 150)
    searched = mc.fit(HARD_SPEC, hard, kinds=kinds, seed=3).tree["starts"]
    given = mc.fit(HARD_SPEC, hard, kinds=kinds, starts=70, seed=3).tree["starts"]
    random = searched["kind"].to_numpy() != "moved"
    n = int(random.sum())
    assert n > FIRST_STARTS
    np.testing.assert_array_equal(
        searched["log_likelihood"].to_numpy()[random], given["log_likelihood"].to_numpy()[:n]
    )


@pytest.mark.parametrize("starts", [None, 12])
def test_short_runs(hard: pd.DataFrame, starts: int | None) -> None:
    fit = mc.fit(HARD_SPEC, hard, starts=starts, short_runs=3, continued=4, seed=3)
    counts = fit.tree["starts"]["status"].to_pandas().value_counts()
    assert fit.status == "converged"
    assert counts["short run"] > 0
    assert starts is None or counts.sum() == starts


def test_moved_starts_are_near_what_they_move() -> None:
    rng = np.random.default_rng(0)
    tau = np.eye(3)[rng.integers(3, size=60)]
    shares = []
    for _ in range(200):
        start = moved(tau, rng)
        np.testing.assert_array_equal(start.sum(axis=1), 1.0)
        shares.append(float((start != tau).any(axis=1).mean()))
    assert min(shares) > 0
    assert np.median(shares) < 0.6
    few = [float((moved(tau[:, :2] + tau[:, 2:] / 2, rng) > 0.5).any()) for _ in range(5)]
    assert all(few)


def test_lines_know_nothing_of_each_other(hard: pd.DataFrame) -> None:
    """A moved start belongs to the line that it was moved from."""
    case: Case = build("full", "component")
    started = search(case.model, Options(starts=9), np.random.SeedSequence(0))
    assert [s.line for s in started] == [i % 4 for i in range(9)]
    initial = np.arange(case.data.shape[0]) % 2
    options = Options(starts=2, initial=initial, kinds=("random",))
    started = search(case.model, options, np.random.SeedSequence(0))
    assert [s.line for s in started] == [-1, 0, 1]
    choice = Chooser(case.model, options).choose(started)
    assert choice is not None
    assert started[choice.best].run.objective[-1] == max(heights(started))
