"""Tables of every kind become the same data frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mixcompare.base.errors import DataError
from mixcompare.data.panel import build_panel
from mixcompare.data.tables import read_table
from mixcompare.model.spec import MixtureSpec

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
    message = r"latin\.csv cannot be read: line 2 has the byte 0xfc.*'ü'.*UTF-8.*encoding='latin-1'"
    with pytest.raises(DataError, match=message):
        read_table(path)
    path.write_bytes(("x,g\n" + "1,u\n" * 50_000 + "1,ü\n").encode("latin-1"))
    with pytest.raises(DataError, match="line 50002 has the byte 0xfc"):
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
    for text in ("y,x\nfirst,1,2\nsecond,3,4\n", '"y";"x"\n"first";1,5;2\n"second";3;4\n'):
        path.write_text(text)
        with pytest.raises(DataError, match="Name every column"):
            read_table(path)


DELIMITED: dict[str, dict[str, Any]] = {
    "R's write.csv2.csv": {"sep": ";", "decimal": ",", "quoting": 2},
    "semicolons and points.csv": {"sep": ";"},
    "tabs.csv": {"sep": "\t"},
    "tabs and commas.tsv": {"sep": "\t", "decimal": ","},
    "commas.tsv": {"sep": ","},
    "bars.csv": {"sep": "|"},
    "quoted decimal commas.csv": {"decimal": ",", "quoting": 1},
    "compressed.csv.gz": {"sep": ";", "decimal": ","},
    "from a spreadsheet.csv": {"sep": "\t", "encoding": "utf-16"},
}


@pytest.mark.parametrize("name", DELIMITED)
def test_other_separators_decimal_commas_and_encodings(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    frame().to_csv(path, index=False, **DELIMITED[name])
    expected = build_panel(SPEC, frame()).fingerprint
    assert build_panel(SPEC, path).fingerprint == expected


def test_commas_that_are_no_decimal_signs(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('g;x\n"1,2";0.5\n"2,3";1.5\n')
    assert read_table(path)["g"].tolist() == ["1,2", "2,3"]
    path.write_text('g,x\n"1,200",2\n"2,300",3\n')  # thousands?
    assert read_table(path)["g"].tolist() == ["1,200", "2,300"]


def test_a_separator_that_cannot_be_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("height, cm;weight, kg\n1,5;2,5\n1,6;3,5\n")
    with pytest.raises(DataError, match=r"several ways \(3 by commas or 2 by semicolons\)"):
        read_table(path)


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        (["01", "1"], ["01", "1"]),
        (["1E2", "100"], ["100", "1E2"]),
        (["1.0", "1"], ["1", "1.0"]),
        (["-0", "0"], ["-0", "0"]),
        (["2", "10"], [2, 10]),
        ([" 2", " 10"], [2, 10]),
        ([str(2**53), str(2**53 + 1)], [2**53, 2**53 + 1]),
        (["9223372036854775807", "3"], [3, 2**63 - 1]),
        (["18446744073709551616", "18446744073709551617"],) * 2,
    ],
)
@pytest.mark.parametrize("gap", [False, True])
def test_identifiers_are_read_as_written(
    labels: list[str], read: list[Any], gap: bool, tmp_path: Path
) -> None:
    table = frame().assign(unit=np.repeat(labels, 12), cell=labels * 12).astype({"unit": object})
    if gap:
        table.loc[0, "unit"] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    spec = MixtureSpec("y ~ x", unit="unit", absorb="unit:cell", n_components=2)
    panel = build_panel(spec, tmp_path / "t.csv", missing="drop")
    assert panel.unit_labels.tolist() == read
    assert panel.cell is not None
    assert panel.cell.max() == 3


def test_large_integers_survive_a_missing_one() -> None:
    units = [None, *(2**53 + i // 4 for i in range(23))]
    table = frame().assign(unit=pd.array(units, dtype="Int64"))
    spec = MixtureSpec("y ~ x", unit="unit", n_components=2)
    mapping = table.drop(columns="unit").to_dict("list") | {"unit": units}
    for data in (table, pl.from_pandas(table), pa.table(table), mapping):
        panel = build_panel(spec, data, missing="drop")
        assert panel.unit_labels.tolist() == [2**53 + i for i in range(6)]
    with pytest.raises(DataError, match=r"'unit' is 9007199254740992 in row 1.*Int64"):
        build_panel(spec, table.astype({"unit": float}), missing="drop")


def test_large_integers_in_parquet(tmp_path: Path) -> None:
    units = [None, *(2**53 + i // 4 for i in range(23))]
    table = frame().assign(unit=pd.array(units, dtype="Int64"))
    table.to_parquet(tmp_path / "t.parquet")
    spec = MixtureSpec("y ~ x", unit="unit", n_components=2)
    panel = build_panel(spec, tmp_path / "t.parquet", missing="drop")
    assert panel.unit_labels.tolist() == [2**53 + i for i in range(6)]


def test_known_units_are_found_as_they_are_written(tmp_path: Path) -> None:
    import mixcompare as mc

    table = frame().assign(unit=np.repeat(["01", "1", "1E2", "100"], 6))
    table.to_csv(tmp_path / "t.csv", index=False)
    fit = mc.fit(MixtureSpec("y ~ x", unit="unit", n_components=1), tmp_path / "t.csv", starts=1)
    later = tmp_path / "later.csv"
    table[6:18].to_csv(later, index=False)
    assert mc.predict(fit, later, units="known")["unit"].to_numpy().tolist() == ["1", "1E2"]
    table[:6].assign(unit="001").to_csv(later, index=False)
    with pytest.raises(DataError, match="the first is unit=001"):
        mc.predict(fit, later, units="known")


def test_errors_name_the_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = ["unit,x,y", "", '"a', 'b",1,2', "", "c,2,1", "c,3,"]
    path.write_text("\n".join(lines) + "\n")
    spec = MixtureSpec("y ~ x", unit="unit", n_components=1)
    with pytest.raises(DataError, match=r"first in row 2 \(line 7 of t\.csv"):
        build_panel(spec, path)
    path.write_text("\n".join([*lines[:-1], "c,inf,3"]) + "\n")
    with pytest.raises(DataError, match=r"'x' is inf in 1 row.*in row 2 \(line 7 of t\.csv"):
        build_panel(spec, path)
