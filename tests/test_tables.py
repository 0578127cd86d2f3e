"""Tables of every kind become the same data frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mixcompare.errors import DataError
from mixcompare.panel import build_panel
from mixcompare.spec import MixtureSpec
from mixcompare.tables import read_table

SPEC = MixtureSpec("y ~ x + C(g) + I(k**2)", unit="unit", n_components=2)


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 24
    return pd.DataFrame(
        {
            "unit": [f"u{i}" for i in rng.integers(0, 6, n)],
            "x": rng.normal(size=n),
            "k": rng.integers(-5, 5, n),
            "g": [["a", "b", "ü"][i] for i in rng.integers(0, 3, n)],
            "y": rng.normal(size=n),
        }
    )


IN_MEMORY: dict[str, Callable[[pd.DataFrame], Any]] = {
    "polars": pl.from_pandas,
    "polars lazy": lambda f: pl.from_pandas(f).lazy(),
    "pyarrow": pa.table,
    "mapping of lists": lambda f: f.to_dict("list"),
    "mapping of arrays": lambda f: {name: f[name].to_numpy() for name in f},
    "pandas with another index": lambda f: f.set_index(np.arange(len(f))[::-1]),
    "pandas with a repeated index": lambda f: f.set_index(np.zeros(len(f))),
    "pandas with the unit as index": lambda f: f.set_index("unit", drop=False),
    "pandas nullable": lambda f: f.convert_dtypes(dtype_backend="numpy_nullable"),
    "pandas arrow": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "pandas objects": lambda f: f.astype(object),
    "pandas categories": lambda f: f.astype({"unit": "category", "g": "category"}),
    "polars enumeration and small integers": lambda f: pl.from_pandas(f).with_columns(
        pl.col("g").cast(pl.Enum(["a", "b", "ü"])), pl.col("k").cast(pl.Int8)
    ),
    "columns in another order": lambda f: f[f.columns[::-1]],
}
FILES: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "t.csv": lambda f, p: f.to_csv(p, index=False),
    "T.CSV": lambda f, p: f.to_csv(p, index=False),
    "t.csv.gz": lambda f, p: f.to_csv(p, index=False),
    "t.tsv": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    "t.tsv.xz": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    "a.b.parquet": lambda f, p: f.to_parquet(p),
    "t.pq": lambda f, p: f.to_parquet(p),
    "bom.csv": lambda f, p: f.to_csv(p, index=False, encoding="utf-8-sig"),
}


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_tables_in_memory_give_the_same_panel(kind: str) -> None:
    panel = build_panel(SPEC, IN_MEMORY[kind](frame()))
    assert panel.fingerprint == build_panel(SPEC, frame()).fingerprint
    assert panel.covariate_names == (
        "Intercept",
        "x",
        "C(g)[T.b]",
        "C(g)[T.ü]",
        "I(k ** 2)",
    )


@pytest.mark.parametrize("name", FILES)
def test_files_give_the_same_panel(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    FILES[name](frame(), path)
    expected = build_panel(SPEC, frame()).fingerprint
    assert build_panel(SPEC, path).fingerprint == expected
    assert build_panel(SPEC, str(path)).fingerprint == expected


def test_the_original_is_not_modified() -> None:
    given = frame().set_index(np.arange(24)[::-1])
    copy = given.copy(deep=True)
    build_panel(SPEC, given)
    pd.testing.assert_frame_equal(given, copy)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.csv", "", "cannot be read"),
        ("header.csv", "x,y\n", "no rows"),
        ("repeated.csv", "x,y,x\n1,2,3\n", "column names repeat: x"),
        ("repeated.tsv", "x\tx\n1\t2\n", "column names repeat: x"),
        ("text.parquet", "hello", "cannot be read"),
        ("text.csv.gz", "hello", "cannot be read"),
        ("ragged.csv", "x,y\n1,2\n1,2,3\n", "cannot be read"),
        ("table.txt", "x,y\n1,2\n", r"unknown kind of file.*\.csv"),
        ("table", "x,y\n1,2\n", "unknown kind of file"),
    ],
)
def test_bad_files(name: str, content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=reason):
        read_table(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("x,g\n1,ü\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv cannot be read"):
        read_table(path)


def test_absent_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "folder.csv")


def test_a_column_of_numbers_that_turns_to_text_late_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("u\n" + "1\n" * 600_000 + "a\n")
    assert set(read_table(path)["u"]) == {"1", "a"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (3, "data of type int"),
        (None, "data of type NoneType"),
        ([1, 2], "data of type list"),
        (np.zeros((3, 2)), "data of type ndarray"),
        (pd.Series([1.0]), "data of type Series"),
        ({"x": 1}, "not a table"),
        ({"x": [1, 2], "y": [1]}, "not a table"),
        ({}, "no rows"),
        (pd.DataFrame({"x": [1.0]}).iloc[:0], "no rows"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "column names repeat: x"),
        (pd.DataFrame([[1, 2]], columns=[0, "0"]), "column names repeat: 0"),
    ],
    ids=str,
)
def test_what_is_not_a_table(data: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_table(data)


def test_column_names_become_text() -> None:
    two_levels = pd.DataFrame({("a", "b"): [1.0]})
    assert list(read_table(two_levels).columns) == ["('a', 'b')"]
    assert list(read_table(pd.DataFrame({0: [1.0], 2020: [2.0]})).columns) == ["0", "2020"]


def test_header_that_is_one_field_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "row_names.csv"
    path.write_text("y,x\nfirst,1,2\nsecond,3,4\n")
    with pytest.raises(DataError, match="Name every column"):
        read_table(path)
