"""A stray text in a column of numbers is named, or read as missing, and never a category."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mixcompare as mc
from mixcompare.data.panel import Panel, build_panel

FORMULA = "y ~ t + x"


def frame(**columns: Any) -> pd.DataFrame:
    """Twelve units of four rows."""
    rng = np.random.default_rng(0)
    table = {
        "unit": np.repeat(np.arange(12), 4),
        "t": np.tile(range(4), 12),
        "x": rng.normal(size=48).round(3),
        "y": rng.normal(size=48).round(3),
    }
    return pd.DataFrame(table).assign(**columns)


def stray(column: str, text: str, *rows: int) -> pd.DataFrame:
    table = frame().astype({column: object})
    table.loc[list(rows or [7]), column] = text
    return table


def panel(data: Any, formula: str = FORMULA, missing: Any = "error", **options: Any) -> Panel:
    spec = mc.MixtureSpec(formula, **{"unit": "unit", "n_components": 2, **options})
    return build_panel(spec, data, missing=missing)


def as_file(table: pd.DataFrame, folder: Path) -> Path:
    path = folder / "panel.csv"
    table.to_csv(path, index=False)
    return path


MARKERS = ("--", "..", "N.A.", "n/d", "*", " . ", "–", ".a", "missing")  # noqa: RUF001


@pytest.mark.parametrize(
    ("column", "text"),
    [*((column, text) for column in "txy" for text in ".-?"), *(("t", text) for text in MARKERS)],
)
def test_a_text_that_means_missing(column: str, text: str, tmp_path: Path) -> None:
    table = stray(column, text)
    path = as_file(table, tmp_path)
    for data, where in (
        (table, r"row 7 \(counted from 0\)"),
        (path, r"row 7 \(line 9 of panel"),
    ):
        with pytest.raises(mc.DataError, match=rf"'{column}' .*is '.*' in {where}") as raised:
            panel(data)
        assert repr(text) in str(raised.value)
        assert "missing='drop'" in str(raised.value)
        assert (f"C({column})" in str(raised.value)) == (column != "y")
        dropped = panel(data, missing="drop")
        assert dropped.fingerprint == panel(frame().drop(index=7)).fingerprint
        assert dropped.dropped.by_column == ((column, 1),)


@pytest.mark.parametrize(
    ("column", "text"), [("t", "abc"), ("x", "12 kg"), ("y", "1O"), ("x", "<0.1"), ("y", "TRUE")]
)
def test_any_other_text_is_an_error_with_either_option(
    column: str, text: str, tmp_path: Path
) -> None:
    table = stray(column, text, 7, 20)
    for data in (table, as_file(table, tmp_path), pl.from_pandas(table.astype({column: str}))):
        if column == "x" and isinstance(data, pl.DataFrame):
            data = data.with_columns(pl.col("t").cast(pl.Int64))
        for missing in ("error", "drop"):
            with pytest.raises(mc.DataError, match=rf"'{column}' .*is {text!r} in .* 2 such"):
                panel(data, missing=missing)


@pytest.mark.parametrize("text", ["1,5", "1,234", "1.234,5", "12%", "$3", "1 234", "€ 5"])
def test_numbers_that_are_written_for_people(text: str) -> None:
    for rows in ((7,), range(48)):
        with pytest.raises(mc.DataError, match=r"'x' is .* a point for the decimals.*C\(x\)"):
            panel(stray("x", text, *rows))


def test_half_of_a_column_of_measurements_may_be_stray() -> None:
    with pytest.raises(mc.DataError, match=r"'x' is 'low' in row 0 .*the first of 24 such rows"):
        panel(stray("x", "low", *range(24)))


def test_a_column_of_measurements_as_texts() -> None:
    with pytest.raises(mc.DataError, match=r"its numbers are texts.*to_numeric.*C\(x\)"):
        panel(frame().astype({"x": str}))
    with pytest.raises(mc.DataError, match=r"outcome 'y' is not numeric.*to_numeric"):
        panel(pl.from_pandas(frame().astype({"y": str})))


@pytest.mark.parametrize(
    ("codes", "levels"),
    [
        (["1", "2", "x"], 3),
        (["1", "2", "3", "4+"], 4),
        (["1", "2", "3", "4"], 4),  # texts in memory, as R's characters
        (["low", "high"], 2),
        (["1A", "2B", "3C"], 3),
        (["18-24", "25-34", "35+"], 3),
        (["-", "+", "0"], 3),
    ],
)
def test_codes_stay_categories(codes: list[str], levels: int) -> None:
    table = frame(t=(codes * 48)[:48])
    assert panel(table).covariates.shape[1] == levels + 1
    assert panel(table, missing="drop").covariates.shape[1] == levels + 1


def test_an_explicit_category_is_one_whatever_it_holds(tmp_path: Path) -> None:
    table = stray("t", "?")
    for data in (table, as_file(table, tmp_path)):
        names = panel(data, "y ~ C(t) + x").covariate_names
        assert "C(t)[T.?]" in names
    assert "t[T.?]" in panel(stray("t", "?").astype({"t": "category"})).covariate_names


def test_texts_inside_transformations_and_membership_and_weights() -> None:
    for formula in ("y ~ t + np.exp(x)", "log(x + 9) ~ t", "y ~ t:x", "y ~ bs(x, df=3)"):
        with pytest.raises(mc.DataError, match=r"'x' is '\?' in row 7"):
            panel(stray("x", "?"), formula)
    assert panel(frame(g=list("ab") * 24), "y ~ I(g == 'a')").covariates.shape == (48, 2)
    income = frame(income=np.repeat([*range(11), "?"], 4))
    with pytest.raises(mc.DataError, match=r"'income' is '\?' in row 44"):
        panel(income, membership="~ income")
    assert panel(income, membership="~ income", missing="drop").n_units == 11
    with pytest.raises(mc.DataError, match=r"unit_weights 'income' .*'\?' in row 44"):
        panel(income, unit_weights="income")


def test_rows_to_predict_for(tmp_path: Path) -> None:
    fit = mc.fit(mc.MixtureSpec(FORMULA, unit="unit", n_components=1), frame(), starts=1)
    expected = mc.predict(fit, frame().drop(index=[7, 8]).reset_index(drop=True))
    table = stray("x", "?").astype({"t": object})
    table.loc[8, "t"] = None
    for data, where in ((table, "row 7"), (as_file(table, tmp_path), r"row 7 \(line 9")):
        with pytest.raises(mc.DataError, match=rf"'x' is '\?' in {where}.*missing='drop'"):
            mc.predict(fit, data.drop(index=8) if data is table else as_file(table[:8], tmp_path))
        as_file(table, tmp_path)
        dropped = mc.predict(fit, data, missing="drop")
        np.testing.assert_array_equal(dropped["fitted"], expected["fitted"])
    with pytest.raises(mc.DataError, match=r"'y' is '\?' in row 7"):
        mc.predict(fit, stray("y", "?"))
    blind = mc.predict(fit, stray("y", "?"), missing="drop")
    assert np.isnan(blind["observed"]).sum() == 1
    with pytest.raises(mc.DataError, match="'x' is 'abc' in row 7"):
        mc.predict(fit, stray("x", "abc"), missing="drop")
