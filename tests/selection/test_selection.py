"""Choice of the number of classes: criteria by hand, missed maxima, tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.cli.app import app
from mixcompare.fits import criteria
from mixcompare.selection import candidates as module
from mixcompare.selection.candidates import split
from tests.places import REFERENCE


def separated(units: int = 45, seed: int = 0) -> pd.DataFrame:
    """Three classes far apart, five rows a unit."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), 5)
    x = rng.normal(size=unit.size)
    z = unit % 3
    y = 6.0 * z + (z - 1.0) * x + rng.normal(size=unit.size)
    return pd.DataFrame({"unit": unit, "x": x, "y": y})


SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def selection() -> mc.Selection:
    return mc.select(
        SPEC,
        separated(),
        n_components=[3, 1, 2],
        starts=8,
        seed=1,
        replicates=9,
        replicate_starts=3,
    )


def test_the_table_is_made_of_the_fits(selection: mc.Selection) -> None:
    table = selection.table
    assert list(table.index) == [1, 2, 3]
    for k, fit in selection.fits.items():
        l, d = fit.log_likelihood, fit.n_parameters  # noqa: E741
        tau = fit.responsibilities.to_numpy()
        assert table.loc[k, "aic"] == pytest.approx(-2 * l + 2 * d)
        assert table.loc[k, "bic"] == pytest.approx(-2 * l + d * np.log(45))
        assert table.loc[k, "bic_rows"] == pytest.approx(-2 * l + d * np.log(225))
        assert table.loc[k, "sabic"] == pytest.approx(-2 * l + d * np.log(47 / 24))
        assert table.loc[k, "smallest_class"] == pytest.approx(tau.sum(axis=0).min())
        entropy = -np.sum(tau * np.log(np.where(tau > 0, tau, 1)))
        expected = 1 - entropy / (45 * np.log(k)) if k > 1 else 1.0
        assert table.loc[k, "entropy_r2"] == pytest.approx(expected)
    assert set(selection.choices["n_components"]) == {3}
    assert "bic 3" in repr(selection)
    assert "<table" in selection._repr_html_()


def test_icl_is_the_completed_likelihood(selection: mc.Selection) -> None:
    """log f(y, z) at the most probable classes z: the joint density, not the posterior."""
    fit = selection.fits[2]
    tau = fit.responsibilities.to_numpy()
    joint = fit.tree["estimate"]["log_likelihood"].to_numpy()[:, None] + np.log(
        np.maximum(tau, 1e-300)
    )
    completed = joint.max(axis=1).sum()
    by_hand = -2 * completed + fit.n_parameters * np.log(45)
    assert selection.table.loc[2, "icl"] == pytest.approx(by_hand)
    assert selection.table["icl"][1] == selection.table["bic"][1]
    counted = np.arange(1.0, 46.0)
    repeated = np.repeat(tau, counted.astype(int), axis=0)
    assert criteria.icl(-1.0, 3, tau, counted) == pytest.approx(criteria.icl(-1.0, 3, repeated))


def test_bootstrap_tests_tell_a_class_that_is_there(selection: mc.Selection) -> None:
    tests = selection.tests
    assert tests is not None
    assert list(tests["null"]) == [1, 2]
    assert (tests["p_value"] == 0.1).all()  # the least that nine replicates can give
    assert (tests["statistic"] > 10 * tests["critical"]).all()
    np.testing.assert_array_equal(tests["replicates"] + tests["failures"], 9)
    gain = np.diff(selection.table["log_likelihood"])
    np.testing.assert_allclose(tests["statistic"], 2 * gain)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_to_the_bit(selection: mc.Selection) -> None:
    more: dict[str, Any] = {"starts": 8, "seed": 1, "replicates": 9, "replicate_starts": 3}
    shared = mc.select(SPEC, separated(), n_components=[1, 2, 3], workers=2, **more)
    assert shared.tests is not None
    assert selection.tests is not None
    pd.testing.assert_frame_equal(shared.tests, selection.tests, check_exact=True)


def test_a_class_that_is_not_there_is_not_significant() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(30), 4)
    table = {"unit": unit, "x": rng.normal(size=120), "y": rng.normal(size=120)}
    found = mc.select(SPEC, table, n_components=[1, 2], starts=8, replicates=9, replicate_starts=2)
    assert found.tests is not None
    assert found.tests["p_value"][0] > 0.1
    assert found.best() == 1


def test_a_fit_does_not_depend_on_the_range(selection: mc.Selection) -> None:
    alone = mc.select(SPEC, separated(), n_components=[2], starts=8, seed=1)
    assert alone.fits[2].log_likelihood == selection.fits[2].log_likelihood
    assert alone.tests is None


def test_a_missed_maximum_is_fitted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first fit of three classes is made to stop where two would do better."""
    calls: list[dict[str, Any]] = []
    real: Callable[..., mc.Fit] = mc.fit

    def lazy(spec: mc.MixtureSpec, panel: mc.Panel, **options: Any) -> mc.Fit:
        calls.append({"k": spec.n_components, **options})
        if spec.n_components == 3 and "initial" not in options:
            poor = np.full((panel.n_units, 3), 1 / 3)
            brief = {**options, "initial": poor, "starts": 0, "max_iterations": 2}
            return real(spec, panel, **brief)
        return real(spec, panel, **options)

    monkeypatch.setattr(module, "fit", lazy)
    found = mc.select(SPEC, separated(), n_components=range(2, 4), starts=4)
    again = [call for call in calls if call["k"] == 3]
    assert [call["starts"] for call in again] == [4, 12]
    assert again[1]["initial"].shape == (45, 3)
    assert found.table.loc[3, "rounds"] == 2
    assert not found.table["falls"].any()
    assert np.diff(found.table["log_likelihood"])[0] > 0


def test_a_fall_that_stays_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., mc.Fit] = mc.fit

    def poor(spec: mc.MixtureSpec, panel: mc.Panel, **options: Any) -> mc.Fit:
        if spec.n_components == 2:
            return real(spec, panel, **options)
        start = np.full((panel.n_units, 3), 1 / 3)
        return real(spec, panel, initial=start, starts=0, max_iterations=2)

    monkeypatch.setattr(module, "fit", poor)
    found = mc.select(SPEC, separated(), n_components=range(2, 4), starts=4)
    assert list(found.table["falls"]) == [False, True]
    assert found.table.loc[3, "rounds"] == 4
    legend = mc.plot(found).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["fall: missed"]


def test_too_many_classes_are_a_row_without_a_fit() -> None:
    spec = mc.MixtureSpec("y ~ x", n_components=1)
    found = mc.select(spec, separated(units=3), n_components=[1, 7], starts=2)
    assert list(found.fits) == [1]
    assert np.isnan(found.table["bic"][7])
    assert "none of the" in found.table["message"][7]
    assert found.best() == 1
    mc.plot(found)


def test_split_keeps_every_unit_whole() -> None:
    tau = np.random.default_rng(2).dirichlet([1, 1], size=9)
    parted = split(tau, 4, np.random.SeedSequence(1))
    assert parted.shape == (9, 4)
    np.testing.assert_allclose(parted.sum(axis=1), 1)
    assert (parted >= 0).all()


def test_old_faithful_as_mclust_has_it() -> None:
    """mclust's choice for these data is EEE with three classes; its BIC has the other sign."""
    table = pd.read_csv(REFERENCE / "faithful.csv")
    spec = mc.MixtureSpec("eruptions + waiting ~ 1", n_components=3, covariance_by="shared")
    found = mc.select(spec, table, n_components=range(1, 5), starts=4, tolerance=1e-9)
    assert found.best("bic") == found.best("bic_rows") == 3
    assert found.table.loc[3, "log_likelihood"] == pytest.approx(-1126.31592782, abs=1e-5)
    assert found.best("icl") == 2


def test_saved_and_plotted(selection: mc.Selection, tmp_path: Path) -> None:
    folder = mc.write_report(selection, tmp_path / "new")
    assert {p.name for p in folder.iterdir()} == {
        "asked.json",
        "em_1.nc",
        "em_2.nc",
        "em_3.nc",
        "selection.csv",
        "selection.svg",
        "tests.csv",
    }
    read = pd.read_csv(folder / "selection.csv", index_col=0)
    np.testing.assert_allclose(read["bic"], selection.table["bic"])
    figure = mc.plot(selection)
    assert [ax.get_xlabel() for ax in figure.axes] == ["number of classes"] * 3
    assert "mathdefault" not in (folder / "selection.svg").read_text("utf-8")


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    separated().to_csv(path, index=False)
    asked = ["select", str(path), "--formula", "y ~ x", "--unit", "unit", "--to", "3"]
    done = CliRunner().invoke(app, [*asked, "--starts", "6", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "bic: 3" in done.output
    assert (tmp_path / "out" / "selection.svg").is_file()
    alike = CliRunner().invoke(app, [*asked, "--starts", "2", "--common", "~ x"])
    assert alike.exit_code == 0, alike.output
    # Two classes of a line each have one slope less than without it.
    assert alike.output.split("\n")[3].split()[2] == "6"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": []}, "n_components must be different whole numbers"),
        ({"n_components": [1, 1]}, "n_components must be different whole numbers"),
        ({"n_components": [0, 1]}, "n_components must be different whole numbers"),
        ({"replicates": -1}, "replicates must be a whole number of at least 0"),
        ({"replicate_starts": 0}, "replicate_starts must be a whole number of at least 1"),
        ({"workers": 0}, "workers must be a whole number of at least 1"),
        ({"estimator": "map"}, "estimator must be 'ml'"),
        ({"initial": np.zeros(45, dtype=int)}, "initial suits one number of classes"),
        ({"satrts": 3}, "has no option 'satrts'"),
    ],
)
def test_options_that_are_not_valid(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mc.OptionError, match=message):
        mc.select(SPEC, separated(), **options)


def test_weighted_units_cannot_be_simulated() -> None:
    table = separated().assign(w=2.0)
    spec = mc.MixtureSpec("y ~ x", unit="unit", unit_weights="w", n_components=1)
    found = mc.select(spec, table, n_components=[1, 2], starts=4)
    d = found.fits[2].n_parameters
    assert found.table.loc[2, "bic"] == pytest.approx(
        -2 * found.fits[2].log_likelihood + d * np.log(90)
    )
    with pytest.raises(mc.OptionError, match="cannot have unit_weights"):
        mc.select(spec, table, n_components=[1, 2], starts=4, replicates=9)
