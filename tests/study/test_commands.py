"""plan, status, rerun and export at the prompt, and the report of a simulation study."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.base.errors import MixCompareError
from mixcompare.study.file.load import build_study, load_study
from mixcompare.study.run.lock import only_runner
from mixcompare.study.run.pace import pace
from mixcompare.study.run.plan import replicates_for_coverage
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from tests.study_cases import content, invoke, toml


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study that has run: study.toml and out/."""
    folder = tmp_path_factory.mktemp("study")
    tables = content(run__replicates=6, aims={"text": "To see.\n\nAnd to know."})
    # Neither converges in one iteration nor has enough units for three classes.
    tables["methods"]["short"] = {"backend": "em", "starts": 1, "max_iterations": 1}
    (folder / "study.toml").write_text(toml(tables).replace("\n\nAnd", "\\n\\nAnd"))
    run_study(folder / "study.toml", folder / "out")
    return folder


def test_plan_counts_fits_and_says_how_many_replicates_it_takes(finished: Path) -> None:
    shown = invoke("plan", finished / "study.toml", "--no-pilot")
    assert "2 scenarios" in shown
    assert "36 fits" in shown
    assert "separation=0.7" in shown
    assert "475 replicates" in shown
    assert replicates_for_coverage(0.005) == 1900  # Morris et al. (2019, section 5.3)
    timed = invoke("plan", finished / "study.toml", "--methods", "one")
    assert "12 fits" in timed
    assert re.search(r"About [\d.]+ seconds on one core, half on two\.", timed)


def test_status_counts_what_is_done(finished: Path) -> None:
    shown = invoke("status", finished / "study.toml", "--output", finished / "out")
    assert "36 of 36 fits" in shown
    assert "0 fits left" in shown
    with pytest.raises(MixCompareError, match="has the study been run"):
        invoke("status", finished / "study.toml", "--output", finished / "nowhere")


def test_time_left_weighs_what_is_left_by_how_long_it_takes() -> None:
    # Two workers: a fit of 1 s and one of 3 s in two seconds each time; only short ones are left.
    clock = pd.Timestamp("2026-01-01T00:00:00+00:00")
    done = [
        {"method": name, "outcome": "converged", "seconds": seconds,
         "finished": (clock + pd.Timedelta(seconds=2 * i + late)).isoformat()}
        for i in range(60)
        for name, seconds, late in (("short", 1.0, 0), ("long", 3.0, 1))
    ]  # fmt: skip
    left = [{"method": "short"}] * 50
    found = pace(pd.DataFrame([*left, *done]))
    assert found is not None
    assert found.recent == 100
    assert found.rate == pytest.approx(1.0)
    assert found.seconds_left == pytest.approx(50 / 2, rel=0.02)
    assert pace(pd.DataFrame([{**done[0]}, *left])) is None
    assert pace(pd.DataFrame([{**done[0], "outcome": None, "finished": None}])) is None


def test_status_can_be_asked_while_the_study_runs(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(toml(content()))
    run_study(path, tmp_path / "out", methods=["five"], report=False)
    file = tmp_path / "out" / "study.sqlite"
    # As a runner in the middle of writing a task's rows.
    with only_runner(file), open_store(file, create=True) as store, store.transaction() as own:
        own.execute("DELETE FROM estimates")
        shown = invoke("status", path, "--output", tmp_path / "out")
        assert "6 of 6 fits" in shown


def test_progress_tells_rate_time_left_and_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = content(methods__many={"backend": "em", "n_components": 31, "starts": 1})
    run_study(build_study(tables), tmp_path, progress=True, report=False)
    shown = capsys.readouterr().err
    assert "18/18" in shown
    assert "6 failed" in shown
    assert re.search(r"[\d.]+/s", shown)


def test_fits_are_kept_when_asked(tmp_path: Path) -> None:
    tables = content(run__keep_fits=True, run__replicates=2)
    del tables["grid"]
    run_study(build_study(tables), tmp_path, report=False)
    kept = sorted((tmp_path / "fits").iterdir())
    names = [
        f"{method}-s001-r{replicate:05d}.nc" for method in ("five", "one") for replicate in (1, 2)
    ]
    assert [path.name for path in kept] == names
    with open_store(tmp_path / "study.sqlite", create=False) as store:
        criteria = store.frame("criteria").set_index(["name", "method", "replicate"])["value"]
    assert mc.load(kept[1]).log_likelihood == criteria["log_likelihood", "five", 1]


def test_export_writes_the_same_tables_in_both_formats(finished: Path, tmp_path: Path) -> None:
    invoke("export", finished / "study.toml", tmp_path / "t", "--output", finished / "out")
    names = {"tasks", "estimates", "criteria", "diagnostics", "performance", "fits", "counts"}
    for name in names:
        parquet = pd.read_parquet(tmp_path / "t" / f"{name}.parquet")
        assert len(parquet) == len(pd.read_csv(tmp_path / "t" / f"{name}.csv")) > 0
    frame = pd.read_parquet(tmp_path / "t" / "performance.parquet")
    estimates = pd.read_parquet(tmp_path / "t" / "estimates.parquet")
    key = {"scenario": "separation=1.0", "method": "five", "estimand": "coefficients[1, x]"}
    if not len(frame[frame["scenario"] == key["scenario"]]):
        key["scenario"] = "separation=1"
    own = estimates[(estimates[list(key)] == pd.Series(key)).all(axis=1)]
    found = frame[(frame[list(key)] == pd.Series(key)).all(axis=1)]
    bias = found[(found["measure"] == "bias") & (found["sample"] == "all")]
    assert bias["value"].item() == pytest.approx((own["estimate"] - own["truth"]).mean())
    assert bias["n"].item() == 6


def test_fits_that_did_not_converge_are_counted_apart(finished: Path) -> None:
    counts = pd.read_csv(finished / "out" / "tables" / "counts.csv")
    short = counts[counts["method"] == "short"]
    assert short["not_converged"].tolist() == [6, 6]
    performance = pd.read_csv(finished / "out" / "tables" / "performance.csv")
    assert set(performance.loc[performance["method"] == "short", "sample"]) == {"all"}


class _Page(HTMLParser):
    """Ids, local links and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        if own.get("id"):
            self.ids.append(str(own["id"]))
        if tag == "a" and own.get("href"):
            self.links.append(str(own["href"]))
        if own.get("src"):
            self.loaded.append(str(own["src"])[:5])


def test_report_stands_alone_and_describes_the_study(finished: Path) -> None:
    text = (finished / "out" / "report.html").read_text()
    page = _Page()
    page.feed(text)
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert set(page.loaded) <= {"data:"}
    for part in ("To see.", "And to know.", "30 units of 3 to 6 rows", "one", "short", "Zip plot",
                 "mixcompare rerun", "36 of 36 fits finished"):  # fmt: skip
        assert part in text
    assert "mathdefault" not in text
    figures = {path.stem for path in (finished / "out" / "figures").iterdir()}
    assert {"zip", "paired", "bland-altman"} <= figures
    assert any(name.startswith("lollipop") for name in figures)


def test_report_of_a_study_half_done_says_so(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(toml(content()))
    run_study(path, tmp_path / "out", methods=["five"])
    text = (tmp_path / "out" / "report.html").read_text()
    assert "6 of 6 fits finished" in text
    run_study(path, tmp_path / "out", methods=["one"], report=False)
    with open_store(tmp_path / "out" / "study.sqlite", create=False) as store:
        assert len(store.frame("tasks")) == 12


def test_report_of_a_quick_run_says_so(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(toml(content()))
    run_study(path, tmp_path / "quick", methods=["one"], quick=True)
    assert "This is a quick run" in (tmp_path / "quick" / "report.html").read_text()
    run_study(path, tmp_path / "whole", methods=["one"])
    assert "quick run" not in (tmp_path / "whole" / "report.html").read_text()


def test_failures_are_listed_with_their_messages(tmp_path: Path) -> None:
    tables = content(methods__many={"backend": "em", "n_components": 31, "starts": 1})
    path = tmp_path / "study.toml"
    path.write_text(toml(tables))
    finished = run_study(path, tmp_path / "out")
    assert finished.counts is not None
    assert finished.counts.set_index("method").loc["many", "error"] == 6
    assert "DataError" in (tmp_path / "out" / "report.html").read_text()
    shown = invoke("status", path, "--output", tmp_path / "out")
    assert re.search(r"task \d+ .*many\): error: DataError", shown)


def test_relative_precision_is_against_the_baseline(finished: Path) -> None:
    frame = pd.read_csv(finished / "out" / "tables" / "performance.csv")
    own: Any = frame[frame["measure"] == "relative_precision"]
    assert set(own["method"]) == {"five", "short"}
    study = load_study(finished / "study.toml")
    with open_store(finished / "out" / "study.sqlite", create=False) as store:
        estimates = store.frame("estimates")
    wide = estimates[
        (estimates["estimand"] == "weights[1]")
        & (estimates["scenario"] == study.scenarios[0].label)
    ].pivot_table(index="replicate", columns="method", values="estimate")
    expected = 100 * (wide["one"].var() / wide["short"].var() - 1)
    row = own[
        (own["estimand"] == "weights[1]")
        & (own["method"] == "short")
        & (own["scenario"] == study.scenarios[0].label)
        & (own["sample"] == "all")
    ]
    assert np.isclose(row["value"].item(), expected)
