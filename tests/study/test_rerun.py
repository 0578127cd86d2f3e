"""`mixcompare rerun`: the same fit to the bit, of any backend, and what a failed task shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.base.errors import OptionError
from mixcompare.cli.app import app
from mixcompare.study.file.load import build_study
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from mixcompare.study.task.seeds import fit_seed
from tests import faulty_fits
from tests.faulty_fits import faulty_tables
from tests.study_cases import content, invoke, toml


def finished(folder: Path, tables: dict[str, Any], **options: Any) -> tuple[Path, str, Path]:
    """Arguments that name a study that has run."""
    path = folder / "study.toml"
    path.write_text(toml(tables))
    run_study(path, folder / "out", report=False, **options)
    return path, "--output", folder / "out"


def single(**changes: Any) -> dict[str, Any]:
    """The small study without a grid, of one replicate and one method."""
    tables = content(run__replicates=1, **changes)
    del tables["grid"], tables["methods"]["five"]
    return tables


@pytest.fixture(scope="module")
def em(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    return finished(tmp_path_factory.mktemp("em"), content())


def test_em_gives_every_number_again(em: tuple[Path, str, Path], tmp_path: Path) -> None:
    shown = invoke("rerun", *em, "--task", 9, "--save", tmp_path / "fit.nc")
    with open_store(em[2] / "study.sqlite", create=False) as store:
        tasks, criteria = store.frame("tasks").set_index("task"), store.frame("criteria")
    own = criteria[(criteria["task"] == 9) & (criteria["name"] == "log_likelihood")]
    exact = float(own["value"].iloc[0])
    assert repr(exact) in shown
    assert str(tasks["seed"][9]) in shown
    # Eight estimands of five numbers, eight criteria and six diagnostics.
    assert "all 54 as in the store, to the bit" in shown
    assert mc.load(tmp_path / "fit.nc").log_likelihood == exact
    with pytest.raises(OptionError, match="no task 999"):
        invoke("rerun", *em, "--task", 999)


def test_change_since_is_named_and_so_are_the_numbers_that_it_moved(
    em: tuple[Path, str, Path], tmp_path: Path
) -> None:
    shown = invoke("rerun", *em, "--task", 9, "--seed", 5)
    assert re.search(r"changed since +\[run\] seed", shown)
    assert re.search(r"numbers +\d+ are not the store's: coefficients\[1, Intercept\]: est", shown)
    other = tmp_path / "other.toml"
    other.write_text(toml(content(methods__one={"backend": "em", "starts": 9})))
    assert re.search(
        r"changed since +\[methods.one\]", invoke("rerun", other, *em[1:], "--task", 1)
    )


def test_posterior_has_the_same_draws(tmp_path: Path) -> None:
    nuts = {"backend": "pymc", "draws": 40, "tune": 60, "chains": 2}
    tables = single(methods__one=nuts, run__keep_fits=True)
    # In a process of its own, as a study's fits usually are.
    study = finished(tmp_path, tables, workers=1)
    shown = invoke("rerun", *study, "--task", 1, "--save", tmp_path / "again.nc")
    assert "as in the store, to the bit" in shown
    kept = mc.load(tmp_path / "out" / "fits" / "one-s001-r00001.nc")
    again = mc.load(tmp_path / "again.nc")
    for name, draws in kept.tree["posterior"].data_vars.items():
        assert draws.shape[:2] == (2, 40)
        np.testing.assert_array_equal(draws, again.tree["posterior"][str(name)])


def test_fit_that_took_too_long_is_done_without_a_limit(tmp_path: Path) -> None:
    study = finished(tmp_path, single(run__seconds_per_fit=1e-4))
    shown = invoke("rerun", *study, "--task", 1)
    assert re.search(r"in the store +timeout: interrupted after 0.0001 s", shown)
    assert "without a time limit" in shown
    assert re.search(r"status +converged", shown)
    assert "none in the store to compare with" in shown


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[None]:
    with faulty_fits.known(tmp_path):
        yield


def test_error_is_raised_again_below_its_seed_and_message(tmp_path: Path, faulty: None) -> None:
    study = finished(tmp_path, faulty_tables("none"))
    with open_store(tmp_path / "out" / "study.sqlite", create=False) as store:
        tasks = store.frame("tasks")
    task = tasks.loc[tasks["method"] == "bad", "task"].item()
    done = CliRunner().invoke(app, ["rerun", *map(str, study), "--task", str(task)])
    assert isinstance(done.exception, RuntimeError)
    assert re.search(r"in the store +error: RuntimeError: a fault of its own", done.stdout)
    assert str(fit_seed(4, "all", 0, "bad")) in done.stdout


def test_task_that_has_not_run_is_run(tmp_path: Path) -> None:
    tables = content()
    study = finished(tmp_path, tables, methods=["one"])
    with open_store(tmp_path / "out" / "study.sqlite", create=True) as store:
        store.plan([(s.label, s.factors) for s in build_study(tables).scenarios], [(0, 0, "five")])
    shown = invoke("rerun", *study, "--task", 7)
    assert re.search(r"in the store +not run yet", shown)
    assert re.search(r"status +converged", shown)
