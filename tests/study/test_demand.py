"""Numbers that nobody means, and slips that would show late: refused before anything is made."""

import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest

import mixcompare as mc
from mixcompare import DataError, OptionError
from mixcompare.base.machine import check_memory, lasting, memory, size
from mixcompare.study.file.custom import call
from mixcompare.study.file.load import build_study
from mixcompare.study.run import run_study as study_run
from mixcompare.study.run.demand import demand
from mixcompare.study.run.plan import make_plan
from mixcompare.study.run.run_study import run_study
from tests.study_cases import content, invoke, toml

TABLE = {
    "id": [i // 3 for i in range(60)],
    "x": [i % 7 for i in range(60)],
    "y": [(i * i) % 11 + 9.0 * (i < 30) + i / 97 for i in range(60)],
}
SPEC = mc.MixtureSpec("y ~ x", unit="id", n_components=2)
THOUSAND = [i / 1001 for i in range(1000)]
HUGE: list[tuple[dict[str, Any], str]] = [
    ({"simulate__units": 10**15}, r"memory: \d+ PB .*limit is \d+ GB"),
    ({"simulate__periods": 10**13}, "memory: "),
    ({"simulate__cells": 10**14}, "memory: "),
    ({"run__replicates": 10**12}, r"fits: 4,000,000,000,000, and the limit is 1,000,000"),
    ({"methods__one": {"backend": "em", "replicates": 10**12}}, "fits: "),
    ({"model__n_components": 10**9}, "memory: "),
    ({"methods__one": {"backend": "em", "n_components": 10**9}}, "memory: "),
    ({"methods__one": {"backend": "em", "choose_components": [2, 10**9]}}, "memory: "),
    ({"methods__one": {"backend": "em", "bootstrap": {"replicates": 10**12}}}, "memory: "),
    ({"run__workers": 10**6}, "workers: 1,000,000, and the limit is"),
    ({"grid__crossed": {"simulate.units": [30, 10**15]}}, "memory: .*units=1000000000000000"),
    (
        {"grid__crossed": {"simulate.separation": THOUSAND, "simulate.missing_rows": THOUSAND}},
        r"\[grid\] makes 1,000,000 scenarios, and the limit is 10,000",
    ),
    ({"methods__one": {"backend": "em", "starts": 10**12}}, r"starts = 10{12} would take at least"),
    ({"methods__one": {"backend": "pymc", "draws": 10**12}}, r"draws = 10{12} .*memory"),
    ({"methods__one": {"backend": "pymc", "tune": 10**12}}, r"tune = 10{12} .*years"),
]


@pytest.mark.parametrize(("changes", "expected"), HUGE)
def test_numbers_that_nobody_means_are_refused_at_once(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    (tmp_path / "study.toml").write_text(toml(content(**changes)))
    for command in ("run", "plan"):
        began = time.process_time()
        with pytest.raises(OptionError, match=expected) as caught:
            invoke(command, tmp_path / "study.toml", *["-o", tmp_path / "out"] * (command == "run"))
        assert time.process_time() - began < 1
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_whoever_says_yes_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixcompare.study.run.demand.MOST_FITS", 11)
    monkeypatch.setattr("mixcompare.study.file.load._MOST_SCENARIOS", 1)
    path = tmp_path / "study.toml"
    path.write_text(toml(content()))
    with pytest.raises(OptionError, match=r"2 scenarios, and the limit is 1.*--yes .yes=True"):
        mc.load_study(path)
    with pytest.raises(OptionError, match=r"fits: 12, and the limit is 11\..*--yes .yes=True"):
        run_study(build_study(content(), yes=True), tmp_path, report=False)
    with pytest.raises(OptionError, match="scenarios"):
        invoke("plan", path)
    assert "12 fits" in invoke("plan", path, "--yes", "--no-pilot")
    invoke("run", path, "--yes", "--no-report", "-o", tmp_path)
    assert "12 of 12 fits" in invoke("status", path, "-o", tmp_path)


def test_plan_prints_what_is_asked_beside_the_limits() -> None:
    plan = make_plan(build_study(content(run__replicates=500)))
    found = demand(plan, {}, 2)
    assert found.fits == 2000
    # 30 units of at most 6 rows, 5 or more columns and 2 classes, in each of two workers.
    assert 2 * 8 * 30 * (6 * 5 + 2) < found.memory < 1e5
    assert 2 <= found.seconds < 200
    assert not found.exceeded()
    assert [row["asked"] for row in found.table()][:2] == ["fits", "memory"]
    assert found.table()[0]["at least"] == "2,000"


def test_plan_tells_times_as_people_do(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(toml(content(run__replicates=40_000)))
    shown = invoke("plan", tmp_path / "study.toml", "--methods", "one")
    assert not re.search(r"\de[+-]\d|cpu_hours", shown)
    assert re.search(r"About [\d.,]+ (minutes|hours) on one core, half on two\.", shown)
    assert re.search(r"[\d.]+ (ms|seconds) ", shown)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"), (0.0123, "12 ms"), (0.26, "0.3 seconds"), (119.0, "119 seconds"),
        (120.0, "2.0 minutes"), (7199.0, "120 minutes"), (26.0, "26 seconds"),
        (5 * 86_400.0, "5.0 days"), (3.2e11, "10,147 years"),
    ],
)  # fmt: skip
def test_times_are_readable(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_sizes_are_readable_and_memory_is_the_machines() -> None:
    assert [size(n) for n in (0, 999, 8192, 2.5e9, 4e14)] == [
        "0.0 bytes", "999 bytes", "8.2 kB", "2.5 GB", "400 TB",
    ]  # fmt: skip
    check_memory(memory(), "all of it")
    with pytest.raises(OptionError, match=r"more would take at least .* of memory; this machine"):
        check_memory(memory() + 1, "more")


@pytest.mark.parametrize(
    "asked",
    [
        lambda: mc.fit(SPEC, TABLE, starts=10**12),
        lambda: _fit_classes(10**9),
        lambda: mc.fit(SPEC, TABLE, backend="pymc", draws=10**12),
        lambda: mc.fit(SPEC, TABLE, backend="pymc", draws=10**9),
        lambda: mc.fit(SPEC, TABLE, backend="pymc", tune=10**12),
        lambda: mc.fit(SPEC, TABLE, backend="pymc", chains=10**10),
        lambda: mc.fit(SPEC, TABLE, backend="pymc", cores=10**6),
        lambda: mc.fit(SPEC, TABLE, seed=2**200),
        lambda: mc.select(SPEC, TABLE, n_components=[10**9]),
        lambda: mc.select(SPEC, TABLE, n_components=range(1, 10**9)),
        lambda: mc.select(SPEC, TABLE, n_components=itertools.count(1)),
        lambda: mc.select(SPEC, TABLE, starts=10**12),
        lambda: mc.select(SPEC, TABLE, replicates=10**12),
        lambda: mc.select(SPEC, TABLE, replicates=9, replicate_starts=10**12),
        lambda: mc.select(SPEC, TABLE, replicates=9, workers=10**6),
        lambda: mc.select(SPEC, TABLE, seed=2**200),
        lambda: mc.bootstrap(mc.fit(SPEC, TABLE, starts=1), replicates=10**12),
        lambda: mc.prior_predictive(SPEC, TABLE, draws=10**12),
        lambda: mc.predictive_draws(mc.fit(SPEC, TABLE, starts=1), draws=10**12, seed=1),
    ],
)  # fmt: skip
def test_a_plain_fit_or_search_of_such_numbers_is_a_sentence(asked: Any) -> None:
    with pytest.raises((OptionError, DataError)) as caught:
        asked()
    assert "\n" not in str(caught.value)


def _fit_classes(count: int) -> mc.Fit:
    return mc.fit(mc.MixtureSpec("y ~ x", unit="id", n_components=count), TABLE)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"simulate__weights": [float("nan"), 0.5]}, "nan: must be a finite number"),
        ({"simulate__weights": [float("inf"), 0.5]}, "inf: must be a finite number"),
        ({"simulate__weights": [1.5, -0.5]}, "must be positive numbers that sum to 1"),
        ({"simulate__covariance": float("nan")}, r"covariance = nan: must be finite numbers"),
        ({"simulate__covariance": [1.0, float("inf")]}, "must be finite numbers, and inf is none"),
        ({"simulate__covariance": ["a", "b"]}, "must be finite numbers, and 'a' is none"),
        ({"simulate__coefficients": {"Intercept": [0.0, float("nan")], "x": [1.0, 2.0]}},
         "Intercept = .*must be finite numbers, and nan is none"),
        ({"simulate__covariates": {"x": {"distribution": "uniform", "low": 2.0, "high": 1.0}}},
         r"low = 2 must be below high = 1"),
        ({"simulate__covariates": {"x": {"distribution": "uniform", "low": -1e308, "high": 1e308}}},
         "the range between them a finite number"),
        ({"simulate__covariates": {"x": {"distribution": "normal", "mean": float("nan")}}},
         "mean = nan: must be a finite number"),
        ({"simulate__separation": float("inf")}, "separation = inf: must be a finite number"),
        ({"grid__crossed": {"simulate.separation": [1.0, float("nan")]}}, "separation = nan"),
        ({"run__seed": 2**200}, r"\[run\] seed = \d+: must be less than 9223372036854775808"),
        ({"run__seconds_per_fit": float("inf")}, "seconds_per_fit = inf: must be a finite number"),
        ({"run__seconds_per_fit": 1e300}, r"seconds_per_fit = 1e\+300: must be less than or equal"),
        ({"checklist": {"GRoLTS 99": "yes"}}, r"\[checklist\] no checklist has the item 'GRo"),
    ],
)  # fmt: skip
def test_values_that_are_no_numbers_are_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(OptionError, match=expected) as caught:
        build_study(content(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"simulate__covariance": [[1.0, 0.5], [0.2, 1.0]]}, "covariance must be a variance"),
        ({"simulate__covariance": [[1.0], 0.5]}, "is no array"),
        ({"report__focus": "weight[1]"}, r"focus = 'weight\[1\]' \(did you mean 'weights\[1\]'"),
        ({"report__focus": "weights[1]", "estimands": {"parameters": ["x"]}}, r"is no estimand"),
        ({"run__seed": 3, "model__formula": "y ~ x + x2"}, "covariate 'x2'"),
    ],
)
def test_what_only_the_data_tell_is_named_before_the_first_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr(study_run, "run_tasks", None)
    with pytest.raises(DataError, match=expected):
        run_study(build_study(content(**changes)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_covariance_that_is_not_symmetric_is_refused(tmp_path: Path) -> None:
    tables = content(model__formula="y + z ~ x", simulate__covariance=[[1.0, 0.5], [0.2, 1.0]])
    tables["simulate"]["coefficients"] = {"Intercept": [[0.0, 1.0]] * 2, "x": [[1.0, 2.0]] * 2}
    with pytest.raises(DataError, match="must be symmetric"):
        run_study(build_study(tables), tmp_path / "out")


def test_focus_on_a_real_estimand_is_taken(tmp_path: Path) -> None:
    tables = content(report__focus="coefficients[2, x]", run__replicates=1)
    run_study(build_study(tables), tmp_path, methods=["one"], report=False)


def test_function_that_fails_or_exits_is_an_error_that_names_it() -> None:
    for name, said in (("raises", r"ValueError\('no luck'\)"), ("exits", r"SystemExit\(3\)")):
        with pytest.raises(DataError, match=rf"the function '{__name__}:{name}' .*{said}"):
            call(f"{__name__}:{name}")


def raises() -> None:
    raise ValueError("no luck")


def exits() -> None:
    raise SystemExit(3)


def test_answers_to_no_item_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mixcompare.report import write_comparison as module

    monkeypatch.setattr(module, "provenance", None)
    with pytest.raises(OptionError, match="no checklist has the item 'GRoLTS 3z'"):
        module.write_comparison(object(), tmp_path / "out", answers={"GRoLTS 3z": "no"})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
