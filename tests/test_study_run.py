"""What a run leaves in the output folder, with fits and report replaced by small fakes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mixcompare import DataError, OptionError
from mixcompare.reproduction.origin import Origin
from mixcompare.study import run as study_run
from mixcompare.study.run import run_study

type WriteStudy = Callable[..., Path]
type Calls = list[dict[str, Any]]

VERDICTS = pd.DataFrame({"section": ["all"], "verdict": ["agree"], "statement": ["They agree."]})


class FakeComparison:
    """A comparison whose report tells what it was made with."""

    verdicts = VERDICTS

    def report(self, folder: Path, **told: Any) -> Path:
        (folder / "tables").mkdir()
        (folder / "tables" / "estimates.csv").write_text(repr(told))
        (folder / "report.html").write_text("a report")
        return folder / "report.html"


class FakeFit:
    def save(self, path: Path) -> None:
        path.write_text("a fit")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace fits and comparison; returns the arguments of the fits that were asked for."""
    seen: Calls = []

    def fit(spec: object, data: object, **options: Any) -> FakeFit:
        seen.append(options)
        return FakeFit()

    monkeypatch.setattr(study_run, "fit", fit)
    monkeypatch.setattr(study_run, "_compare", lambda *fits: FakeComparison())
    return seen


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


WRITTEN = {"em.nc", "pymc.nc", "study.toml", "report.html", "tables/estimates.csv"}


def test_run_leaves_fits_report_and_study_file(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    path = write_study()
    finished = run_study(path, tmp_path / "new" / "deep")
    assert finished.report == tmp_path / "new" / "deep" / "report.html"
    assert finished.verdicts is VERDICTS
    assert files(tmp_path / "new" / "deep") == WRITTEN
    assert (tmp_path / "new" / "deep" / "study.toml").read_text() == path.read_text()
    assert calls == [
        {"backend": "em", "seed": 0, "starts": 5},
        {"backend": "pymc", "seed": 0, "draws": 300, "tune": 300, "chains": 2},
    ]


def test_the_report_is_told_the_study_its_data_and_answers(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    path = write_study(("[methods.em]", '[checklist]\n"GRoLTS 7" = "linear"\n[methods.em]'))
    report = run_study(path, tmp_path / "out").report
    expected = {
        "title": None,
        "origin": Origin(study=path.read_text(), file="tiny.csv"),
        "answers": {"GRoLTS 7": "linear"},
    }
    assert (report.parent / "tables" / "estimates.csv").read_text() == repr(expected)


def test_output_is_as_readable_as_any_new_folder(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    run_study(write_study(), tmp_path / "out")
    (tmp_path / "other").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_output_folder_is_the_studys_own_unless_given(
    write_study: WriteStudy, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_study(write_study()).report == Path("reports/tiny/report.html")
    assert files(tmp_path / "reports" / "tiny") == WRITTEN


def test_quick_and_seed_replace_the_studys_values(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    run_study(write_study(), tmp_path / "out", quick=True, seed=9, progress=False)
    quick = study_run.QUICK
    assert calls[0] == {"backend": "em", "seed": 9, "progress": False, **quick["em"]}
    assert calls[1] == {"backend": "pymc", "seed": 9, "progress": False, **quick["pymc"]}


def test_earlier_report_is_replaced_and_other_files_stay(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("an earlier report")
    (out / "notes.md").write_text("mine")
    run_study(write_study(), out)
    assert files(out) == WRITTEN | {"notes.md"}
    assert (out / "report.html").read_text() == "a report"
    assert (out / "notes.md").read_text() == "mine"


def test_failure_leaves_the_earlier_report_as_it_was(
    write_study: WriteStudy, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DataError("too bad")

    monkeypatch.setattr(study_run, "_compare", fail)
    path = write_study()
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("an earlier report")
    before = files(tmp_path)
    with pytest.raises(DataError, match="too bad"):
        run_study(path, out)
    assert files(tmp_path) == before
    with pytest.raises(DataError, match="too bad"):
        run_study(path, tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("output", ["tiny.csv", "tiny.csv/below", "tiny.csv/far/below"])
def test_folder_that_cannot_be_written_is_refused_before_any_fit(
    write_study: WriteStudy, calls: Calls, tmp_path: Path, output: str
) -> None:
    path = write_study()
    before = files(tmp_path)
    with pytest.raises(OptionError, match=r"cannot write the output folder .*tiny\.csv"):
        run_study(path, tmp_path / output)
    assert not calls
    assert files(tmp_path) == before


def test_bad_option_of_the_second_method_is_refused_before_the_first_fit(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="draws"):
        run_study(write_study(("draws = 300", "draws = -1")), tmp_path / "out")
    assert not calls


def test_missing_values_are_dropped_only_when_the_study_says_so(
    write_study: WriteStudy, calls: Calls, tiny_csv: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(tiny_csv)
    frame.loc[3, "x"] = None
    frame.to_csv(tiny_csv, index=False)
    with pytest.raises(DataError, match=r"missing values \(x: 1"):
        run_study(write_study(), tmp_path / "out")
    assert not calls
    run_study(write_study(("[model]", 'missing = "drop"\n[model]')), tmp_path / "out")
    assert len(calls) == 2
