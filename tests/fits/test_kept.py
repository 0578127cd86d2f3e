"""What a fit works out of its tree, once."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends import fitting
from mixcompare.fits import fit as fits
from mixcompare.prepared import families
from tests.em_cases import simulate

SPEC = mc.MixtureSpec("y1 ~ x1", unit="unit", absorb="unit:cell", n_components=2)


@pytest.fixture
def fresh() -> mc.Fit:
    return mc.fit(SPEC, simulate(units=40, seed=3), starts=3, seed=1)


def test_a_fit_that_was_just_made_is_neither_read_nor_prepared_again(
    fresh: mc.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits, "panel_from_dataset", None)
    monkeypatch.setattr(families, "PREPARATIONS", {})
    assert fresh.panel.n_units == 40
    assert fresh.problem.prepared.n_units == 40
    assert fresh.problem.panel is fresh.panel


def test_a_loaded_one_is_read_once_and_is_the_same(fresh: mc.Fit, tmp_path: Path) -> None:
    loaded = mc.load(fresh.save(tmp_path / "fit.nc"))
    assert loaded.panel is loaded.panel
    assert loaded.problem is loaded.problem
    assert loaded.problem.panel is loaded.panel
    for name in ("outcomes", "covariates", "unit", "unit_labels", "cell", "row"):
        ours, theirs = getattr(fresh.panel, name), getattr(loaded.panel, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours.dtype == theirs.dtype, name
    np.testing.assert_array_equal(fresh.problem.factors.factor, loaded.problem.factors.factor)
    assert (
        fresh.degrees_of_freedom
        == loaded.degrees_of_freedom
        == (loaded.problem.prepared.total_degrees_of_freedom)
    )


def test_labels_of_texts_are_read_as_they_were(tmp_path: Path) -> None:
    table = simulate(units=40, seed=3).assign(unit=lambda t: "é" + t["unit"].astype(str))
    fresh = mc.fit(mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2), table, starts=3)
    loaded = mc.load(fresh.save(tmp_path / "fit.nc"))
    assert fresh.panel.unit_labels.tolist() == loaded.panel.unit_labels.tolist()
    assert fresh.panel.unit_labels.dtype == loaded.panel.unit_labels.dtype


def test_copies_are_the_tree_alone(fresh: mc.Fit) -> None:
    _ = fresh.problem
    for other in (pickle.loads(pickle.dumps(fresh)), copy.copy(fresh), copy.deepcopy(fresh)):
        assert set(vars(other)) == {"stored", "trust"}
        assert other.log_likelihood == fresh.log_likelihood


def test_large_problems_are_let_go_and_prepared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_KEPT_VALUES", 10)
    fit = mc.fit(SPEC, simulate(units=40, seed=3), starts=3, seed=1, kernels="numpy")
    assert "panel" in vars(fit)
    assert "problem" not in vars(fit)
    assert fit.problem.prepared.n_units == 40
