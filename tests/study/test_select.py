"""A study of a real panel that asks how many classes there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.reproduction.carried import read_record
from mixcompare.selection import load_selection, standing
from mixcompare.study.file import methods as study_methods
from mixcompare.study.file.load import build_study, load_study
from mixcompare.study.run import select_k as module
from mixcompare.study.run.run_study import run_study
from tests.stand_in_posterior import stand_in
from tests.study_cases import content

type WriteStudy = Callable[..., Path]

SELECT = """
[select]
n_components = [1, 2]
starts = 3
posterior = ["loo"]
sampling = { draws = 60 }

[methods.em]"""


def not_sampled(spec: mc.MixtureSpec, panel: Any, backend: str, seed: int, **_: Any) -> mc.Fit:
    em = mc.fit(spec, panel, starts=4, seed=1)
    return em if backend == "em" else stand_in(em, draws=60, chains=2)


@pytest.fixture
def no_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (study_methods, standing):
        monkeypatch.setattr(place, "fit", not_sampled)


@pytest.mark.usefixtures("no_sampler")
def test_the_report_has_the_choice(write_study: WriteStudy, tmp_path: Path) -> None:
    path = write_study(("[methods.em]", SELECT))
    finished = run_study(path, tmp_path / "out")
    assert finished.report is not None
    text = finished.report.read_text("utf-8")
    assert 'id="selection"' in text
    assert 'id="table-selection-posterior"' in text
    kept = load_selection(tmp_path / "out" / "selection")
    assert list(kept.table.index) == [1, 2]
    assert kept.fits[2].options["starts"] == 3
    assert kept.posteriors[2].backend == "pymc"
    sums = pd.Series({k: own.elpd for k, own in kept.loo.items()})
    np.testing.assert_allclose(sums, kept.table["elpd_loo"])
    assert kept.best("bic") == 2
    record = read_record(finished.report)
    assert record["selection"]["asked"] == kept.asked
    assert kept.asked["n_components"] == [1, 2]


@pytest.mark.usefixtures("no_sampler")
def test_it_is_made_again_only_when_something_has_changed(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SELECT.replace("[1, 2]", "[1]\nworkers = 2")
    path = write_study(("[methods.em]", asked))
    study = load_study(path)
    em = mc.fit(study.spec, study.read_data(), starts=2, seed=1)
    made: list[dict[str, Any]] = []

    def noted(*given: Any, **asked: Any) -> mc.Selection:
        made.append(asked)
        return mc.select(*given, **asked)

    monkeypatch.setattr(module, "select", noted)

    def choose(seed: int = 0, options: Any = None) -> mc.Selection | None:
        compared: Any = SimpleNamespace(em=em)
        table, methods = study.tables.select, study.methods
        return module.choose(table, methods, compared, tmp_path, seed=seed, options=options or {})

    first, second = choose(), choose()
    assert first is not None
    assert second is not None
    assert len(made) == 1
    assert second.loo[1].elpd == pytest.approx(first.loo[1].elpd)
    choose(seed=1)
    assert len(made) == 2
    assert [m["workers"] for m in made] == [2, 2]
    choose(seed=1, options={"em": {"starts": 2}, "pymc": {"draws": 50}})
    assert [m["starts"] for m in made] == [3, 3, 2]
    assert [m["sampling"]["draws"] for m in made] == [60, 60, 50]


def test_a_selection_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spec = mc.MixtureSpec("y ~ 1", n_components=1)
    made = mc.select(spec, {"y": rng.normal(size=40)}, n_components=[1, 2], starts=3, replicates=3)
    read = load_selection(made.save(tmp_path / "saved"))
    assert made.tests is not None
    assert read.tests is not None
    pd.testing.assert_frame_equal(read.table, made.table, check_dtype=False)
    pd.testing.assert_frame_equal(read.tests, made.tests, check_dtype=False)
    assert repr(read) == repr(made)
    assert read.asked == made.asked
    assert read.loo == {}
    with pytest.raises(mc.DataError, match="holds no selection"):
        load_selection(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[1, 2]", "[]", r"\[select\] n_components = \[\]: .*at least 1 item"),
        ("[1, 2]", "[2, 2]", r"line 13: \[select\] n_components must be different whole"),
        ('["loo"]', '["waic"]', r"\[select.*posterior.*'loo', 'bridge' or 'smc'"),
        ("starts = 3", "strats = 3", r"\[select\] backend 'em' has no option 'strats'"),
        ("draws = 60", "drwas = 60", r"\[select\] backend 'pymc' has no option 'drwas'"),
        ("starts = 3", "replicates = -1", r"\[select\] replicates = -1"),
    ],
)
def test_a_slip_is_named(write_study: WriteStudy, old: str, new: str, expected: str) -> None:
    path = write_study(("[methods.em]", SELECT.replace(old, new)))
    with pytest.raises(mc.OptionError, match=expected):
        load_study(path)


def test_a_simulation_cannot_ask_for_it() -> None:
    with pytest.raises(mc.OptionError, match=r"\[select\] belongs to the comparison"):
        build_study(content(select__n_components=[1, 2]))
