"""What a run on a real panel leaves in the output folder, with PyMC replaced by a stand-in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mixcompare as mc
from mixcompare import DataError, OptionError
from mixcompare.reproduction.origin import Origin
from mixcompare.study.file import methods as study_methods
from mixcompare.study.run import run_study as study_run
from mixcompare.study.run.run_study import run_study
from mixcompare.study.task.seeds import fit_seed
from tests.stand_in_posterior import stand_in

type WriteStudy = Callable[..., Path]
type Calls = list[dict[str, Any]]

VERDICTS = pd.DataFrame({"section": ["all"], "verdict": ["agree"], "statement": ["They agree."]})


class FakeComparison:
    """A comparison in which nothing is compared."""

    verdicts = VERDICTS
    conclusion = "They agree."
    remedies = ()


def write_fake(comparison: FakeComparison, folder: Path, **told: Any) -> Path:
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / "estimates.csv").write_text(repr(told))
    (folder / "report.html").write_text("a report")
    return folder / "report.html"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace MCMC and comparison; returns the arguments of the fits that were asked for."""
    seen: Calls = []

    def fit(spec: mc.MixtureSpec, data: Any, backend: str, seed: int, **options: Any) -> mc.Fit:
        seen.append({"backend": backend, "seed": seed, **options})
        em = mc.fit(spec, data, starts=2, seed=1)
        return em if backend == "em" else stand_in(em, draws=50)

    monkeypatch.setattr(study_methods, "fit", fit)
    monkeypatch.setattr(study_run, "compare", lambda *fits: FakeComparison())
    monkeypatch.setattr(study_run, "write_comparison", write_fake)
    return seen


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


STORE = {"study.sqlite", ".study.sqlite.lock"}
WRITTEN = {"em.nc", "pymc.nc", "study.toml", "report.html", "tables/estimates.csv"} | STORE


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
        {"backend": "em", "seed": fit_seed(0, "all", 0, "em"), "starts": 5},
        {
            "backend": "pymc",
            "seed": fit_seed(0, "all", 0, "pymc"),
            "draws": 300,
            "tune": 300,
            "chains": 2,
        },
    ]


def test_the_report_is_told_the_study_its_data_and_answers(
    write_study: WriteStudy, calls: Calls, tmp_path: Path
) -> None:
    path = write_study(("[methods.em]", '[checklist]\n"GRoLTS 7" = "linear"\n[methods.em]'))
    report = run_study(path, tmp_path / "out").report
    assert report is not None
    expected: dict[str, Any] = {
        "title": None,
        "origin": Origin(study=path.read_text(), file="tiny.csv"),
        "answers": {"GRoLTS 7": "linear"},
        "models": [],
        "selection": None,
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
    seeds = [fit_seed(9, "all", 0, name) for name in ("em", "pymc")]
    assert calls[0] == {"backend": "em", "seed": seeds[0], "progress": False, **quick["em"]}
    assert calls[1] == {"backend": "pymc", "seed": seeds[1], "progress": False, **quick["pymc"]}


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


def test_failure_leaves_the_earlier_report_and_the_finished_fits(
    write_study: WriteStudy, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DataError("too bad")

    path = write_study()
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("an earlier report")
    with monkeypatch.context() as patch:
        patch.setattr(study_run, "compare", fail)
        with pytest.raises(DataError, match="too bad"):
            run_study(path, out)
    assert (out / "report.html").read_text() == "an earlier report"
    assert len(calls) == 2
    run_study(path, out)
    assert (out / "report.html").read_text() == "a report"
    assert len(calls) == 2


def test_method_that_fails_is_named_and_runs_again(
    write_study: WriteStudy, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataError("no luck")

    path = write_study()
    with monkeypatch.context() as patch:
        patch.setattr(study_methods, "fit", fail)
        with pytest.raises(DataError, match="method em failed: DataError: no luck"):
            run_study(path, tmp_path / "out")
    run_study(path, tmp_path / "out")
    assert len(calls) == 2


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


def test_several_methods_on_a_real_panel_stand_side_by_side(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    more = '[methods.sandwich]\nbackend = "em"\nstandard_errors = "sandwich"\nstarts = 2\n'
    path = write_study(("[methods.pymc]", f"{more}[methods.pymc]"))
    report = run_study(path, tmp_path / "out", methods=["em", "sandwich"]).report
    assert report is not None
    page = report.read_text()
    assert "coefficients[2, x]" in page
    assert {"em.nc", "sandwich.nc"} <= files(tmp_path / "out")
