"""What a selection says of spurious maxima and of optima found once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.cli.app import app
from mixcompare.selection import load_selection
from mixcompare.selection.selection import Selection

SPEC = mc.MixtureSpec("y ~ 1", n_components=1)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame({"y": np.random.default_rng(3).normal(size=120)})


@pytest.fixture(scope="module")
def selection(table: pd.DataFrame) -> Selection:
    return mc.select(SPEC, table, n_components=[1, 2, 4], starts=20, seed=2)


def test_spurious_maxima_are_noted_beside_each_number_of_classes(selection: Selection) -> None:
    table = selection.table
    assert table.loc[4, "spurious"] != "none"
    assert "spurious" in selection.notes[4]
    assert "spurious maximum" in str(table.loc[4, "cautions"])
    assert selection.notes[1] == str(table.loc[1, "cautions"]) == ""
    assert table.loc[1, "spurious"] == "none"


def test_choices_leave_spurious_estimates_out(selection: Selection, table: pd.DataFrame) -> None:
    marked = selection.table.assign(spurious=["none", "none", "estimate"], aic=[3.0, 2.0, 1.0])
    parts = {n: getattr(selection, n) for n in ("fits", "tests", "posteriors", "loo")}
    avoiding = Selection(table=marked, asked={}, **parts)
    keeping = Selection(table=marked, asked={"spurious": "keep"}, **parts)
    assert avoiding.best("aic") == 2
    assert keeping.best("aic") == 4
    only = Selection(table=marked.assign(spurious="estimate"), asked={}, **parts)
    assert only.best("aic") == 4


def test_notes_survive_saving(selection: Selection, tmp_path: Path) -> None:
    again = load_selection(selection.save(tmp_path / "k"))
    assert again.notes == selection.notes
    texts = ["message", "cautions", "spurious", "notes"]
    assert again.table[texts].equals(selection.table[texts])
    assert again.choices.equals(selection.choices)
    assert repr(again) == repr(selection)


def test_the_command_says_so(selection: Selection, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table.to_csv(path, index=False)
    arguments = ["select", str(path), "--formula", "y ~ 1", "--from", "4", "--to", "4"]
    result = CliRunner().invoke(app, [*arguments, "--starts", "20", "--seed", "2"])
    assert result.exit_code == 0
    assert "notes" in result.output
    assert f"bic: 4 ({selection.notes[4]})" in result.output
    assert "4 classes: A spurious maximum" in result.output or (
        "4 classes: The estimate is a spurious maximum" in result.output
    )
