"""Files of kept fits: each holds the fit that the store tells of, whatever ran before."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mixcompare as mc
from mixcompare.study.file import methods as study_methods
from mixcompare.study.file.load import build_study
from mixcompare.study.run import run_study as study_run
from mixcompare.study.run.lock import only_runner
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from mixcompare.study.task.kept import fit_file
from tests.stand_in_posterior import stand_in
from tests.study_cases import content

type WriteStudy = Callable[..., Path]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Options of the fits that each report was made of, by backend, and how many were made."""
    seen: list[dict[str, Any]] = []

    def fit(spec: mc.MixtureSpec, data: Any, backend: str, seed: int, **options: Any) -> mc.Fit:
        em = mc.fit(spec, data, starts=options.get("starts", 2), seed=seed, progress=False)
        made = em if backend == "em" else stand_in(em, draws=50)
        made.tree.attrs |= {"seed": seed, "options": json.dumps(options)}
        seen.append({"made": backend})
        return made

    class Fake:
        verdicts = None
        conclusion = ""
        remedies = ()

        def __init__(self, fits: tuple[mc.Fit, ...]) -> None:
            seen.append({f.backend: f.options for f in fits})

    monkeypatch.setattr(study_methods, "fit", fit)
    monkeypatch.setattr(study_run, "compare", lambda *fits: Fake(fits))
    written = lambda _, folder, **__: folder / "report.html"  # noqa: E731
    monkeypatch.setattr(study_run, "write_comparison", written)
    return seen


def test_quick_run_leaves_the_fits_of_a_whole_one_alone(
    write_study: WriteStudy, compared: list[dict[str, Any]], tmp_path: Path
) -> None:
    path, out = write_study(), tmp_path / "out"
    run_study(path, out)
    whole = compared[-1]
    before = {name: (out / name).read_bytes() for name in ("em.nc", "pymc.nc")}
    run_study(path, out, quick=True)
    assert compared[-1]["em"]["starts"] == study_run.QUICK["em"]["starts"] == 10
    assert {p.name for p in (out / "fits-quick").iterdir()} == {"em.nc", "pymc.nc"}
    assert len(compared) == 6
    run_study(path, out)
    assert compared[-1] == whole == {
        "em": {"starts": 5},
        "pymc": {"draws": 300, "tune": 300, "chains": 2},
    }  # fmt: skip
    assert len(compared) == 7  # a comparison, and no fit
    assert before == {name: (out / name).read_bytes() for name in before}


@pytest.mark.parametrize(
    ("fault", "digests"),
    [
        ("one bit", True),
        ("other options", True),
        ("other options", False),  # as earlier versions left a store
        ("gone", False),
    ],
)
def test_file_that_is_not_the_stores_fit_is_made_again(
    write_study: WriteStudy,
    compared: list[dict[str, Any]],
    tmp_path: Path,
    fault: str,
    digests: bool,
) -> None:
    path, out = write_study(), tmp_path / "out"
    run_study(path, out)
    file = out / "em.nc"
    if fault == "gone":
        file.unlink()
    elif fault == "one bit":
        content_, at = bytearray(file.read_bytes()), file.read_bytes().index(b"converged")
        content_[at] ^= 1
        file.write_bytes(content_)
    else:
        run_study(path, tmp_path / "else", quick=True)
        shutil.copy(tmp_path / "else" / "fits-quick" / "em.nc", file)
    if not digests:
        with sqlite3.connect(out / "study.sqlite") as connection:
            connection.execute("DELETE FROM fits")
        connection.close()
    made = len(compared)
    finished = run_study(path, out)
    assert finished.renewed == ("em",)
    assert compared[made:-1] == [{"made": "em"}]
    assert compared[-1]["em"] == {"starts": 5}
    assert run_study(path, out).renewed == ()


def test_store_and_fits_of_an_earlier_version_are_used(
    write_study: WriteStudy, compared: list[dict[str, Any]], tmp_path: Path
) -> None:
    path, out = write_study(), tmp_path / "out"
    run_study(path, out)
    with sqlite3.connect(out / "study.sqlite") as connection:
        connection.execute("DROP TABLE fits")
    connection.close()
    assert run_study(path, out).renewed == ()
    assert [own for own in compared if "made" in own] == [{"made": "em"}, {"made": "pymc"}]


def kept_tables(levels: list[float], **changes: Any) -> dict[str, Any]:
    tables = content(run__keep_fits=True, run__replicates=1, **changes)
    tables["grid"] = {"crossed": {"simulate.separation": levels}}
    del tables["methods"]["five"]
    return tables


def held(out: Path, tables: dict[str, Any]) -> dict[tuple[str, int], float]:
    """Log-likelihood of the file by label and replicate."""
    study = build_study(tables)
    return {
        (s.label, r): mc.load(out / "fits" / fit_file(study, i, r, "one")).log_likelihood
        for i, s in enumerate(study.scenarios)
        for r in range(1)
    }


def stored(out: Path) -> dict[tuple[str, int], float]:
    with open_store(out / "study.sqlite", create=False) as store:
        criteria = store.frame("criteria")
    own = criteria[criteria["name"] == "log_likelihood"]
    keys = zip(own["scenario"], own["replicate"], strict=True)
    return dict(zip(keys, own["value"], strict=True))


def test_grid_that_grows_leaves_every_kept_fit_its_own(tmp_path: Path) -> None:
    run_study(build_study(kept_tables([0.5, 1.0])), tmp_path, report=False)
    larger = kept_tables([0.25, 0.5, 1.0])
    run_study(build_study(larger), tmp_path, report=False)
    assert held(tmp_path, larger) == stored(tmp_path)
    assert len(list((tmp_path / "fits").iterdir())) == 3


def test_quick_run_of_a_simulation_leaves_kept_fits_alone(tmp_path: Path) -> None:
    tables = kept_tables([1.0])
    study = build_study(tables)
    run_study(study, tmp_path, report=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "fits").iterdir()}
    run_study(study, tmp_path, report=False, quick=True)
    assert {path.name for path in (tmp_path / "fits-quick").iterdir()} == set(before)
    assert before == {name: (tmp_path / "fits" / name).read_bytes() for name in before}


def test_names_by_place_are_found_by_what_the_files_hold(tmp_path: Path) -> None:
    tables = kept_tables([0.5, 1.0])
    study = build_study(tables)
    run_study(study, tmp_path, report=False)
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("DROP TABLE fits")
    connection.close()
    fits = tmp_path / "fits"
    for place in range(2):
        for replicate in range(1):
            name = f"one-s{place + 1:03d}-r{replicate + 1:05d}.nc"
            (fits / fit_file(study, place, replicate, "one")).rename(fits / name)
    strange = mc.load(fits / "one-s001-r00001.nc")
    strange.tree.attrs["seed"] = 5
    strange.save(fits / "one-s009-r00001.nc")
    larger = kept_tables([0.25, 0.5, 1.0])
    run_study(build_study(larger), tmp_path, report=False)
    assert held(tmp_path, larger) == stored(tmp_path)
    assert [p.name for p in fits.glob("one-s*")] == ["one-s009-r00001.nc"]


def test_names_are_safe_and_each_labels_own() -> None:
    long = "y ~ " + "x+" * 90 + "x"
    formulas = ("y ~ x", "y ~ X", "y ~x", "y ~ I(x/2)", "y ~ I(x**2)", long)
    levels = [{"simulate.formula": formula, "simulate.units": 30} for formula in formulas]
    tables = content(methods__a={"backend": "em"})
    tables["grid"] = {"listed": levels}
    study = build_study(tables)
    names = [
        fit_file(study, place, replicate, method)
        for place in range(len(levels))
        for replicate in (0, 99_999, 100_000)
        for method in study.methods
    ]
    assert len({name.casefold() for name in names}) == len(names) == 6 * 3 * 3
    assert all(len(name) < 130 and not set(name) & set('<>:"/\\|?* ()~') for name in names)


def test_what_killed_runs_left_half_written_goes(tmp_path: Path) -> None:
    tables = kept_tables([1.0])
    left = ["a.nc.0f0f0f0f.part", "fits/one.nc.0f0f0f0f.part", "fits-quick/em.nc.1a.part"]
    folders = [".mixcompare-abcdefgh", "selection/.mixcompare-x0_zabcd"]
    mine = ["notes.part", "fits/mine.nc"]
    for name in (*left, *mine, *(f"{folder}/x.svg" for folder in folders)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    with (
        open_store(tmp_path / "study-quick.sqlite", create=True),
        only_runner(tmp_path / "study-quick.sqlite"),
    ):
        run_study(build_study(tables), tmp_path, report=False)
        assert all((tmp_path / name).exists() for name in (*left, *folders))
    run_study(build_study(tables), tmp_path, report=False)
    assert not any((tmp_path / name).exists() for name in (*left, *folders))
    assert all((tmp_path / name).exists() for name in mine)
