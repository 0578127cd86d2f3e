"""A table and a specification become a panel, or an error that names the culprit."""

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcompare.base.errors import DataError
from mixcompare.data.panel import Panel, build_panel
from mixcompare.model.spec import MixtureSpec
from tests.places import REFERENCE


def frame(**columns: Any) -> pd.DataFrame:
    """Ten units of four rows, with other columns put in."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(10), 4),
            "cell": np.tile([0, 0, 1, 1], 10),
            "g": np.tile(list("abcd"), 10),
            "x": rng.normal(size=40),
            "z": rng.uniform(1, 2, size=40),
            "y": rng.normal(size=40),
            "y2": rng.normal(size=40),
        }
    )
    return table.assign(**columns)


def panel(formula: str, data: Any = None, missing: Any = "error", **options: Any) -> Panel:
    spec = MixtureSpec(formula, **{"unit": "unit", "n_components": 2, **options})
    return build_panel(spec, frame() if data is None else data, missing=missing)


# The formula language


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ x", ["Intercept", "x"]),
        ("y ~ 0 + x", ["x"]),
        ("y ~ x - 1", ["x"]),
        ("y ~ 1", ["Intercept"]),
        ("y ~ x + I(x**2)", ["Intercept", "x", "I(x ** 2)"]),
        ("y ~ g", ["Intercept", "g[T.b]", "g[T.c]", "g[T.d]"]),
        ("y ~ 0 + g", ["g[a]", "g[b]", "g[c]", "g[d]"]),
        ("y ~ C(cell):x", ["Intercept", "C(cell)[0]:x", "C(cell)[1]:x"]),
        ("y ~ C(cell)*x", ["Intercept", "C(cell)[T.1]", "x", "C(cell)[T.1]:x"]),
        ("y ~ bs(x, df=3)", ["Intercept", *(f"bs(x, df=3)[{i}]" for i in (1, 2, 3))]),
        ("y ~ poly(x, 2)", ["Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]"]),
        ("y ~ log(z) + np.exp(x)", ["Intercept", "log(z)", "np.exp(x)"]),
        ("y ~ x.clip(0)", ["Intercept", "x.clip(0)"]),
        ("y ~ I(np.pi * x)", ["Intercept", "I(np.pi * x)"]),
    ],
)
def test_covariate_names(formula: str, names: list[str]) -> None:
    built = panel(formula, trust=".clip" in formula)
    assert built.covariate_names == tuple(names)
    assert built.covariates.shape == (40, len(names))


def test_values_of_transformed_columns() -> None:
    data = frame()
    built = panel("log(z) + y2 ~ I(x**2) + np.exp(x) + x:z", data)
    assert built.outcome_names == ("log(z)", "y2")
    data = data.iloc[built.row]
    np.testing.assert_array_equal(built.outcomes, np.column_stack([np.log(data.z), data.y2]))
    expected = np.column_stack([np.ones(40), data.x**2, np.exp(data.x), data.x * data.z])
    order = [built.covariate_names.index(n) for n in ("Intercept", "I(x ** 2)", "np.exp(x)", "x:z")]
    np.testing.assert_allclose(built.covariates[:, order], expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["my var", "a/b", "log(z)", "class", "ü", "a:b", "variable: x"])
def test_backticked_names(name: str) -> None:
    data = frame().rename(columns={"x": name})
    covariate = panel(f"y ~ `{name}`", data)
    assert covariate.covariate_names == ("Intercept", name)
    np.testing.assert_array_equal(covariate.covariates[:, 1], data[name].iloc[covariate.row])
    outcome = panel(f"`{name}` ~ z", data)
    assert outcome.outcome_names == (name,)
    np.testing.assert_array_equal(outcome.outcomes[:, 0], data[name].iloc[outcome.row])


@pytest.mark.parametrize("name", ["scale", "center", "log", "np", "bs"])
def test_columns_named_like_functions_count_as_columns(name: str) -> None:
    data = frame().rename(columns={"x": name})
    data.loc[3, name] = np.nan
    with pytest.raises(DataError, match=rf"missing values \({name}: 1"):
        panel(f"y ~ {name}", data)
    with pytest.raises(DataError, match=f"unknown column {name!r}"):
        panel(f"y ~ {name}")


def test_splines_and_polynomials_do_not_depend_on_the_row_order() -> None:
    data = frame()
    shuffled = data.sample(frac=1, random_state=3)
    one, other = (panel("y ~ bs(x, df=4) + poly(z, 2)", d) for d in (data, shuffled))
    np.testing.assert_array_equal(shuffled.index.to_numpy()[other.row], one.row)
    np.testing.assert_allclose(other.covariates, one.covariates, rtol=1e-12, atol=1e-14)


def test_raw_variables_are_kept_for_plots() -> None:
    data = frame(k=np.arange(40, dtype=np.int8), b=True)
    built = panel("y ~ log(z) + bs(k, df=3) + g + b", data)
    assert sorted(built.variables) == ["k", "z"]
    np.testing.assert_array_equal(built.variables["k"], np.arange(40.0)[built.row])


# Types of columns


@pytest.mark.parametrize(
    "values",
    [
        np.arange(40, dtype=np.int8),
        np.arange(40, dtype=np.uint8),
        np.arange(40, dtype=np.float32),
        pd.array(range(40), dtype="Int64"),
        pd.array(range(40), dtype="Float64"),
        pd.array(range(40), dtype="int16[pyarrow]"),
        pd.array(range(40), dtype="double[pyarrow]"),
        pd.Series(range(40), dtype=object),
        [decimal.Decimal(i) for i in range(40)],
        pd.arrays.SparseArray(np.arange(40.0)),
    ],
    ids=lambda v: str(getattr(v, "dtype", "decimal")),
)
def test_numbers_of_any_type_are_doubles_before_any_arithmetic(values: Any) -> None:
    built = panel("k ~ I((k - 20)**7) + bs(k, df=3) + x", frame(k=values))
    expected = panel("k ~ I((k - 20)**7) + bs(k, df=3) + x", frame(k=np.arange(40.0)))
    assert built.fingerprint == expected.fingerprint


def test_a_calendar_year_in_16_bits_has_its_true_square() -> None:
    year = np.tile(np.arange(1950, 1954, dtype=np.int16), 10)
    built = panel("y ~ I(year**2)", frame(year=year))
    np.testing.assert_array_equal(built.covariates[:, 1], year.astype(float) ** 2)


def test_huge_integers() -> None:
    built = panel("y ~ k", frame(k=[10**25 + i * 10**24 for i in range(40)]))
    np.testing.assert_allclose(built.covariates[:, 1], 1e25 + 1e24 * np.arange(40), rtol=1e-15)


def test_integer_levels_of_categories_keep_their_names() -> None:
    expected = ("Intercept", "C(k)[T.2001]", "C(k)[T.2002]")
    for dtype in ("int16", "Int64", "int32[pyarrow]", object):
        k = pd.Series(([2000, 2001, 2002] * 14)[:40]).astype(dtype)
        assert panel("y ~ C(k)", frame(k=k)).covariate_names == expected


@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]", object])
def test_booleans_are_zero_and_one(dtype: Any) -> None:
    values = pd.Series(np.arange(40) % 3 == 0).astype(dtype)
    built = panel("y ~ b", frame(b=values))
    assert built.covariate_names == ("Intercept", "b")
    np.testing.assert_array_equal(built.covariates[:, 1], built.row % 3 == 0)


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "category", object, "str"])
def test_texts_are_categories(dtype: Any) -> None:
    built = panel("y ~ g", frame(g=pd.Series(list("abcd") * 10).astype(dtype)))
    assert built.fingerprint == panel("y ~ g").fingerprint


def test_levels_that_do_not_occur_make_no_columns() -> None:
    g = pd.Categorical(list("abcd") * 10, categories=list("zdcba"))
    y = frame().y.where(frame().g != "c")
    built = panel("y ~ g", frame(g=g, y=y), missing="drop")
    assert built.covariate_names == ("Intercept", "g[T.b]", "g[T.a]")


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2020", periods=40),
        pd.to_timedelta(range(40), unit="D"),
        pd.period_range("2020", periods=40, freq="D"),
        np.arange(40) + 1j,
    ],
    ids=["date", "duration", "period", "complex"],
)
@pytest.mark.parametrize("formula", ["y ~ k", "k ~ x"])
def test_dates_and_complex_numbers_are_refused(formula: str, values: Any) -> None:
    with pytest.raises(DataError, match=r"'k' is of type .*neither a number nor a category"):
        panel(formula, frame(k=values))


def test_durations_that_a_formula_makes_are_refused() -> None:
    data = frame(k=pd.date_range("2020", periods=40))
    with pytest.raises(DataError, match="timedelta64"):
        panel("y ~ I(k - k.min())", data, trust=True)
    built = panel("y ~ I((k - k.min()).dt.days)", data, trust=True)
    np.testing.assert_array_equal(built.covariates[:, 1], np.arange(40))
    years = panel("y ~ C(k)", frame(k=pd.to_datetime(["2020-01-01", "2021-01-01"] * 20)))
    assert years.covariates.shape == (40, 2)


@pytest.mark.parametrize("formula", ["g ~ x", "C(cell) ~ x", "y + g ~ x", "bs(y, df=4) ~ x"])
def test_an_outcome_must_be_numeric(formula: str) -> None:
    with pytest.raises(DataError, match=r"outcome '.*' is not numeric"):
        panel(formula)


# Units and cells

UNITS: dict[str, list[Any]] = {
    "tuples": [(i, "a") for i in range(10)],
    "tuples of different lengths": [(i,) * (1 + i % 3) for i in range(10)],
    "integers and texts": [i if i % 2 else str(i) for i in range(10)],
    "an integer and its text": [1, "1", *range(2, 10)],
    "dates": [datetime.date(2020, 1, i + 1) for i in range(10)],
    "floats": [i + 0.5 for i in range(10)],
    "frozen sets": [frozenset([i]) for i in range(10)],
    "bytes": [bytes([65 + i]) for i in range(10)],
    "huge integers": [2**70 + i for i in range(10)],
    "texts with NUL": ["a", "a\0", *map(str, range(8))],
    "empty text": ["", *map(str, range(9))],
}


@pytest.mark.parametrize("kind", UNITS)
def test_units_of_any_hashable_type(kind: str) -> None:
    labels = pd.Series([UNITS[kind][i] for i in np.repeat(np.arange(10), 4)], dtype=object)
    for options in ({}, {"absorb": "unit"}):
        built = panel("y ~ x", frame(unit=labels), **options)
        assert built.n_units == 10
        assert len(set(built.unit_labels.tolist())) == 10
        assert all(isinstance(label, str) for label in built.unit_labels)
        for unit in range(10):
            assert {labels[row] for row in built.row[built.unit == unit]} == {
                labels[built.row[built.unit == unit][0]]
            }
        np.testing.assert_array_equal(np.bincount(built.unit), np.full(10, 4))


def test_booleans_and_categories_as_units() -> None:
    flags = panel("y ~ x", frame(unit=np.arange(40) < 20))
    assert flags.unit_labels.tolist() == ["False", "True"]
    ordered = pd.Categorical(list("abcd") * 10, categories=list("zdcba"), ordered=True)
    assert panel("y ~ x", frame(unit=ordered)).unit_labels.tolist() == ["d", "c", "b", "a"]


@pytest.mark.parametrize("dtype", ["int8", "uint64", "Int64", "int32[pyarrow]", "category", object])
def test_integer_units_stay_integers(dtype: Any) -> None:
    built = panel("y ~ x", frame(unit=frame().unit.astype(dtype)))
    assert built.unit_labels.dtype == np.int64
    assert built.fingerprint == panel("y ~ x").fingerprint


@pytest.mark.parametrize("option", [{}, {"absorb": "unit"}, {"unit": "cell", "absorb": "unit"}])
def test_labels_that_cannot_be_hashed_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"'unit' is \[0\] in row 0"):
        panel("y ~ x", frame(unit=[[i] for i in range(40)]), **option)


def test_without_a_unit_every_row_is_one() -> None:
    built = panel("y ~ x", unit=None)
    assert built.n_units == 40
    dropped = panel("y ~ x", frame(y=frame().y.where(frame().index > 1)), "drop", unit=None)
    assert dropped.unit_labels.tolist() == list(range(2, 40))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_unbalanced_panels_in_any_row_order(units: list[int], random: Any) -> None:
    table = pd.DataFrame({"unit": units, "y": np.arange(len(units), dtype=float)})
    shuffled = table.iloc[random.sample(range(len(units)), len(units))]
    spec = MixtureSpec("y ~ 1", unit="unit", n_components=1)
    built = build_panel(spec, shuffled)
    assert built.unit_labels.tolist() == sorted(set(units))
    assert (np.diff(built.unit) >= 0).all()
    np.testing.assert_array_equal(built.outcomes[:, 0], shuffled.y.to_numpy()[built.row])
    np.testing.assert_array_equal(
        built.unit_labels[built.unit], shuffled.unit.to_numpy()[built.row]
    )
    assert built.fingerprint == build_panel(spec, table).fingerprint


def test_shuffled_panel_with_text_units_holds_the_same_rows() -> None:
    spec = MixtureSpec("y ~ x1 + x2", unit="unit", n_components=2)
    base = build_panel(spec, REFERENCE / "sim_base.csv")
    other = build_panel(spec, REFERENCE / "sim_shuffled_strings.csv")
    assert other.n_units == base.n_units

    def rows(built: Panel) -> Any:
        return np.sort(np.column_stack([built.unit, built.outcomes, built.covariates]), axis=0)

    np.testing.assert_array_equal(rows(other), rows(base))


def test_cells_are_the_crossing_of_the_absorbed_columns() -> None:
    shuffled = frame().sample(frac=1, random_state=1)
    built = panel("y ~ x", shuffled, absorb="unit:cell")
    assert built.cell is not None
    assert (np.diff(built.cell) >= 0).all()
    assert built.cell.max() == 19
    table = shuffled.iloc[built.row]
    matched = set(zip(built.cell, table.unit, table.cell, strict=True))
    assert len(matched) == 20
    assert len({(unit, cell) for _, unit, cell in matched}) == 20


def test_a_cell_that_spans_two_units() -> None:
    message = r"cell cell=0 spans two units, unit=0 and 1\. .*absorb='unit:cell'"
    with pytest.raises(DataError, match=message):
        panel("y ~ x", absorb="cell")


def test_the_intercept_beside_absorbed_effects() -> None:
    assert panel("y ~ x + g", absorb="unit").covariate_names == ("x", "g[T.b]", "g[T.c]", "g[T.d]")
    assert panel("y ~ 0 + g", absorb="unit").covariate_names == ("g[T.b]", "g[T.c]", "g[T.d]")
    for formula in ("y ~ 1 + x", "y ~ 1"):
        with pytest.raises(DataError, match=r"asks for an intercept.*absorbed cells"):
            panel(formula, absorb="unit")
    for options in ({"absorb": "unit"}, {}):
        with pytest.raises(DataError, match="no covariate and no intercept"):
            panel("y ~ 0", **options)


@pytest.mark.parametrize("formula", ["y ~ Intercept + x", "y ~ Intercept", "y ~ 0 + Intercept"])
def test_a_column_with_the_name_of_the_constant_is_refused(formula: str) -> None:
    with pytest.raises(DataError, match="'Intercept'"):
        panel(formula, frame(Intercept=frame().z))


# Missing and infinite values


@pytest.mark.parametrize(
    "values",
    [
        [None, *range(39)],
        pd.array([None, *range(39)], dtype="Int64"),
        pd.array([None, *range(39)], dtype="Float64"),
        pd.array([None, *range(39)], dtype="double[pyarrow]"),
        pd.Series([np.nan, *map(float, range(39))]).astype("float32"),
        pd.Series([None, *range(39)], dtype=object),
        pd.Series([pd.NA, *range(39)], dtype=object),
    ],
    ids=str,
)
def test_missing_values_of_any_type(values: Any) -> None:
    data = frame(k=values)
    message = r"missing values \(k: 1; first in row 0.*missing='drop'.*--missing drop"
    with pytest.raises(DataError, match=message):
        panel("y ~ k", data)
    dropped = panel("y ~ k", data, "drop")
    complete = panel("y ~ k", frame(k=[0, *range(39)]).iloc[1:])
    assert dropped.fingerprint == complete.fingerprint
    assert (dropped.dropped.rows, dropped.dropped.units) == (1, 0)
    assert dropped.dropped.by_column == (("k", 1),)


def test_a_nan_inside_an_arrow_column_is_missing() -> None:
    import pyarrow as pa

    values = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([np.nan, None, *[1.0] * 38])))
    with pytest.raises(DataError, match=r"missing values \(k: 2;"):
        panel("y ~ k", frame(k=values))


def test_missing_values_are_counted_by_column_and_only_in_columns_used() -> None:
    data = frame()
    data.loc[[0, 1, 2, 3], "y"] = np.nan  # the whole of unit 0
    data.loc[[3, 9], "x"] = np.nan
    data.loc[30, "g"] = None
    data.loc[5, "y2"] = np.nan  # not used
    with pytest.raises(DataError, match=r"\(x: 2, y: 4; first in row 0") as caught:
        panel("y ~ bs(x, df=3)", data)
    assert "y2" not in str(caught.value)
    built = panel("y ~ log(x + 10) + g", data, "drop")
    assert built.dropped.rows == 6
    assert built.dropped.units == 1
    assert sorted(built.dropped.by_column) == [("g", 1), ("x", 2), ("y", 4)]
    assert built.n_rows == 34
    assert built.unit_labels.tolist() == list(range(1, 10))
    assert not set(built.row) & {0, 1, 2, 3, 9, 30}


def test_dropping_equals_the_complete_cases() -> None:
    spec = MixtureSpec("y ~ x1 + x2", unit="unit", n_components=2)
    table = pd.read_csv(REFERENCE / "sim_missing.csv")
    with pytest.raises(DataError, match="missing values") as caught:
        build_panel(spec, table)
    for name in ("y", "x1", "x2"):
        count = int(table[name].isna().sum())
        assert (f"{name}: {count}" in str(caught.value)) == (count > 0)
    dropped = build_panel(spec, table, missing="drop")
    complete = build_panel(spec, REFERENCE / "sim_missing_complete.csv")
    assert dropped.fingerprint == complete.fingerprint
    assert dropped.dropped.rows == 30
    assert dropped.dropped.units == table.unit.nunique() - complete.n_units


@pytest.mark.parametrize("role", ["unit", "cell"])
@pytest.mark.parametrize("value", [None, np.nan, pd.NA])
def test_a_missing_unit_or_cell_is_never_a_group(role: str, value: Any) -> None:
    labels = frame()[role].astype(object)
    labels[7] = value
    data = frame(**{role: labels})
    with pytest.raises(DataError, match=rf"missing values \({role}: 1; first in row 7"):
        panel("y ~ x", data, absorb="unit:cell")
    assert panel("y ~ x", data, "drop", absorb="unit:cell").n_rows == 39


def test_nothing_left() -> None:
    with pytest.raises(DataError, match=r"no complete row is left.*y: 40"):
        panel("y ~ x", frame(y=np.nan), "drop")


def test_the_missing_option_is_checked() -> None:
    with pytest.raises(DataError, match="missing must be one of error, drop, not 'ignore'"):
        panel("y ~ x", missing="ignore")


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("column", ["x", "y"])
def test_infinite_values_are_refused_with_their_row(column: str, missing: str) -> None:
    data = frame()
    data.loc[[17, 20], column] = -np.inf
    with pytest.raises(DataError, match=f"'{column}' is -inf in 2 row.*first in row 17"):
        panel("y ~ x", data, missing)


@pytest.mark.parametrize("dtype", ["float64", "Float64", "double[pyarrow]"])
@pytest.mark.parametrize(("value", "result"), [(-1.0, "nan"), (0.0, "-inf")])
def test_the_logarithm_of_what_is_not_positive(value: float, result: str, dtype: str) -> None:
    z = frame().z
    z[4] = value
    data = frame(z=z.astype(pd.api.types.pandas_dtype(dtype)))
    for formula in ("y ~ log(z)", "log(z) ~ x", "y ~ np.log(z)"):
        with pytest.raises(DataError, match=rf"log\(z\)' is {result} in 1 row.*first in row 4"):
            panel(formula, data)


# Names and formulas that fail


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("y ~ zzz", {}, r"unknown column 'zzz'; the data have: unit, cell, g, x"),
        ("y ~ X", {}, r"'X' \(did you mean 'x'\?\)"),
        ("yy2 ~ x", {}, r"'yy2' \(did you mean 'y2'\?\)"),
        ("y ~ log(xx)", {}, "unknown column 'xx'"),
        ("y ~ bs(Z, df=3)", {}, r"'Z' \(did you mean 'z'\?\)"),
        ("y ~ xx.clip(0)", {"trust": True}, "unknown column 'xx'"),
        ("y ~ `a b`", {}, "unknown column 'a b'"),
        ("y ~ x", {"unit": "Unit"}, r"'Unit' \(did you mean 'unit'\?\)"),
        ("y ~ x", {"absorb": "cel"}, r"'cel' \(did you mean 'cell'\?\)"),
        ("y ~ foo(x)", {"trust": True}, "fails on the data.*'foo' is not defined"),
        ("y ~ np.nope(x)", {"trust": True}, "fails on the data.*nope"),
        ("y ~ I(1/0)", {"trust": True}, "fails on the data.*division by zero"),
        ("y ~ log(g)", {}, "fails on the data"),
        ("y ~ bs(x, df=1)", {}, "fails on the data"),
        ("1 ~ x", {}, "outcome '1'"),
        ("0 ~ x", {}, "no outcome"),
    ],
)
def test_formulas_that_fail_on_the_data(
    formula: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        panel(formula, **options)


def test_the_fingerprint_sees_every_number_and_name() -> None:
    base = panel("y ~ x")
    changed = [frame(), frame(), frame()]
    changed[0]["y"] = changed[0]["y"].where(changed[0].index < 39, 0.0)
    changed[1]["x"] = changed[1]["x"].where(changed[1].index > 0, 0.0)
    changed[2].loc[0, "unit"] = 99
    prints = [base.fingerprint, *(panel("y ~ x", data).fingerprint for data in changed)]
    prints += [panel("y ~ x", absorb="unit").fingerprint, panel("y ~ 0 + x").fingerprint]
    assert len(set(prints)) == len(prints)
    assert panel("y ~ x", frame(y2=0.0, other=1)).fingerprint == base.fingerprint


# The order of rows


@pytest.mark.parametrize("most", [1, 3, 12, 200])
@pytest.mark.parametrize("values", [2, 1000])
@pytest.mark.parametrize("absorb", [None, "unit:cell"])
def test_rows_are_sorted_by_unit_cell_and_every_column(
    most: int, values: int, absorb: str | None
) -> None:
    rng = np.random.default_rng(most)
    unit = np.repeat(np.arange(150), rng.integers(1, most + 1, 150))
    data = {name: rng.integers(0, values, len(unit)) / 8 - 1.0 for name in ("x", "z", "y", "y2")}
    table = pd.DataFrame({"unit": unit, "cell": rng.integers(0, 3, len(unit)), **data})
    table = table.sample(frac=1, random_state=most, ignore_index=True)
    built = panel("y + y2 ~ x + z", table, absorb=absorb)
    cell = table.groupby(["unit", "cell"], sort=False).ngroup() * (absorb is not None)
    keys = [table[name] for name in ("y2", "y", "z", "x")]
    np.testing.assert_array_equal(built.row, np.lexsort((*keys, cell, table["unit"])))
