"""Compression keeps every cross-product; data that cannot identify a model are refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixcompare.base.errors import DataError
from mixcompare.data.panel import Panel, build_panel
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel, compress
from mixcompare.prepared.identification import check_identified
from mixcompare.prepared.problem import Problem
from tests.places import REFERENCE

FORMULA = "y1 + y2 ~ 0 + x1 + x2 + x3"
COLUMNS = ["x1", "x2", "x3", "y1", "y2"]

lengths_of_units = st.lists(st.integers(1, 200), min_size=1, max_size=6)


def table(lengths: list[int], cells: int = 1, seed: int = 0) -> pd.DataFrame:
    """Units of the given lengths whose rows lie in random cells."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(len(lengths)), lengths)
    values = {name: rng.normal(loc=3, size=unit.size) for name in COLUMNS}
    return pd.DataFrame({"unit": unit, "cell": rng.integers(0, cells, unit.size), **values})


def spec(formula: str = FORMULA, **options: Any) -> MixtureSpec:
    return MixtureSpec(formula, **{"unit": "unit", "n_components": 1, **options})


def prepared(data: pd.DataFrame, absorb: str | None = None) -> PreparedPanel:
    return compress(build_panel(spec(absorb=absorb), data))


def projected(data: pd.DataFrame, columns: list[str] = COLUMNS) -> tuple[NDArray[Any], int]:
    """Rows after regression on explicit cell dummies, and the rank of the dummies."""
    rows = data[columns].to_numpy()
    dummies = pd.get_dummies(data["cell"], dtype=float).to_numpy()
    coefficients, _, rank, _ = np.linalg.lstsq(dummies, rows, rcond=None)
    return rows - dummies @ coefficients, int(rank)


def cross_products(factor: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.einsum("grq,grs->gqs", factor, factor))


@settings(deadline=None, max_examples=40)
@given(lengths_of_units)
def test_cross_products_of_units_are_kept(lengths: list[int]) -> None:
    data = table(lengths)
    result = prepared(data)
    for g, (_, unit) in enumerate(data.groupby("unit")):
        rows = unit[COLUMNS].to_numpy()
        np.testing.assert_allclose(cross_products(result.factor)[g], rows.T @ rows, rtol=1e-12)
    assert result.factor.shape == (len(lengths), min(max(lengths), 5), 5)
    np.testing.assert_array_equal(result.n_rows, lengths)
    np.testing.assert_array_equal(result.degrees_of_freedom, lengths)
    rows = data[COLUMNS].to_numpy()
    np.testing.assert_allclose(result.column_mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(result.column_sd, rows.std(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(result.raw_norm, np.linalg.norm(rows, axis=0), rtol=1e-12)


@settings(deadline=None, max_examples=40)
@given(lengths_of_units, st.integers(1, 20), st.integers(0, 99))
def test_absorption_equals_projection_on_the_dummies(
    lengths: list[int], cells: int, seed: int
) -> None:
    data = table(lengths, cells, seed).sample(frac=1, random_state=seed)
    result = prepared(data, "unit:cell")
    squares = np.zeros(5)
    for g, (_, unit) in enumerate(data.groupby("unit")):
        rows, rank = projected(unit)
        assert result.degrees_of_freedom[g] == len(unit) - rank
        np.testing.assert_allclose(
            cross_products(result.factor)[g], rows.T @ rows, rtol=1e-11, atol=1e-11
        )
        squares += (rows**2).sum(axis=0)
    total = max(result.total_degrees_of_freedom, 1)
    np.testing.assert_allclose(result.column_sd, np.sqrt(squares / total), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(result.column_mean, 0)


def test_one_row_units_stay_as_they_are() -> None:
    data = table([1] * 30)
    result = compress(build_panel(spec(unit=None), data))
    assert result.factor.shape == (30, 1, 5)
    np.testing.assert_array_equal(result.factor[:, 0], data[COLUMNS])


def test_a_unit_of_100_000_rows_beside_one_row_units() -> None:
    data = table([1, 100_000, 1, 1, 7])
    result = prepared(data)
    assert result.factor.shape == (5, 5, 5)
    np.testing.assert_array_equal(result.factor[[0, 2, 3], 1:], 0)
    for g in range(5):
        rows = data.loc[data.unit == g, COLUMNS].to_numpy()
        np.testing.assert_allclose(cross_products(result.factor)[g], rows.T @ rows, rtol=1e-12)


def test_units_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table([40] * 50 + [3] * 10 + [90, 6, 5])
    whole = prepared(data)
    monkeypatch.setattr("mixcompare.prepared.factorise._BATCH_VALUES", 1000)
    np.testing.assert_allclose(prepared(data).factor, whole.factor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("absorb", [None, "unit:cell"])
def test_passes_over_a_few_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch, absorb: str | None
) -> None:
    data = table([40] * 5 + [3] * 10 + [90, 6, 5], cells=4)
    whole = prepared(data, absorb)
    monkeypatch.setattr("mixcompare.data.within._ROWS_AT_A_TIME", 16)
    parts = prepared(data, absorb)
    for name in ("factor", "column_mean", "column_sd", "raw_norm"):
        one, other = getattr(parts, name), getattr(whole, name)
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


# Numerical safety


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_compression_is_equivariant_to_scale(scale: float) -> None:
    data = table([30, 50, 4], cells=3)
    for absorb in (None, "unit:cell"):
        base = cross_products(prepared(data, absorb).factor)
        scaled = cross_products(prepared(data.assign(y1=data.y1 * scale), absorb).factor)
        factor = np.array([1, 1, 1, scale, 1])
        np.testing.assert_allclose(scaled / np.outer(factor, factor), base, rtol=1e-12, atol=1e-12)


def test_absorption_of_means_of_1e8_loses_only_what_the_data_have_lost() -> None:
    data = table([60, 80], cells=5)
    shift = 1e8 * (1 + data.cell)
    moved = data.assign(y1=data.y1 + shift, x1=data.x1 + shift)
    # What the shifted columns still hold: the shift itself rounds them.
    rounded = data.assign(y1=moved.y1 - shift, x1=moved.x1 - shift)
    np.testing.assert_allclose(
        cross_products(prepared(moved, "unit:cell").factor),
        cross_products(prepared(rounded, "unit:cell").factor),
        rtol=1e-9,
        atol=1e-7,
    )


def test_residual_squares_survive_an_offset_of_1e8() -> None:
    """The residual sum of squares of each unit on an intercept, without cancellation."""
    formula = spec("y ~ x1 + x2")
    offset = compress(build_panel(formula, REFERENCE / "sim_offset_1e8.csv"))
    base = compress(build_panel(formula, REFERENCE / "sim_base.csv"))

    def residual(p: PreparedPanel) -> NDArray[Any]:
        return np.array([np.linalg.qr(factor, mode="r")[3, 3] ** 2 for factor in p.factor])

    # y itself carries 1.5e-8 of rounding.
    np.testing.assert_allclose(residual(offset), residual(base), rtol=1e-5, atol=1e-6)


# Identification


def check(formula: str, data: pd.DataFrame, **options: Any) -> None:
    model = spec(formula, **options)
    check_identified(Problem.of(model, build_panel(model, data)))


def regression(**columns: Any) -> pd.DataFrame:
    data = table([6] * 12, cells=2).rename(columns={"y1": "y"})
    return data.assign(**columns)


@pytest.mark.parametrize("value", [0.0, 3.0, 1e8, 0.1, 1e-300])
def test_a_constant_outcome(value: float) -> None:
    with pytest.raises(DataError, match="outcome 'y' is constant"):
        check("y ~ x1", regression(y=value))
    with pytest.raises(DataError, match="'y' is constant within the absorbed cells"):
        check("y ~ x1", regression(y=value), absorb="unit")


def test_an_outcome_that_is_constant_within_cells_only() -> None:
    data = regression()
    steps = data.assign(y=data.unit + 0.1)
    check("y ~ x1", steps)
    with pytest.raises(DataError, match="'y' is constant within the absorbed cells"):
        check("y ~ x1", steps, absorb="unit")


def test_the_constant_one_of_several_outcomes_is_named() -> None:
    with pytest.raises(DataError, match="outcome 'y2' is constant"):
        check("y + y2 ~ x1", regression(y2=5.0))


def test_covariates_without_variation_in_the_cells_are_all_named() -> None:
    data = regression(a=lambda d: 1e6 + d.unit * 0.1, b=7.0)
    with pytest.raises(DataError, match="covariate 'a', 'b' does not vary"):
        check("y ~ a + x1 + b", data, absorb="unit")


def test_exactly_collinear_columns_are_named() -> None:
    base = pd.read_csv(REFERENCE / "sim_base.csv")
    with pytest.raises(DataError, match=r"deficient at 'x2': .* combination of 'x1' in"):
        check("y ~ x1 + x2", base.assign(x2=2 * base.x1))
    with pytest.raises(DataError, match=r"at 'k': .* combination of 'Intercept', 'x1', 'x3' in"):
        check("y ~ x1 + x2 + x3 + k", regression(k=lambda d: 1 + 3 * d.x1 - d.x3))
    with pytest.raises(DataError, match=r"at 'k': .* combination of 'Intercept'"):
        check("y ~ x1 + k", regression(k=5.0))
    with pytest.raises(DataError, match="at 'k': all its values are zero"):
        check("y ~ x1 + k", regression(k=0.0))
    with pytest.raises(DataError, match=r"at 'k': .* combination of 'x1'"):
        check("y ~ x1 + k", regression(k=lambda d: 2 * d.x1 + d.unit), absorb="unit")


def test_more_covariates_than_rows() -> None:
    data = regression().iloc[:3]
    with pytest.raises(DataError, match="rank deficient at 'x3'"):
        check("y ~ x1 + x2 + x3", data)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_nearly_collinear_columns_are_accepted(scale: float) -> None:
    noise = np.random.default_rng(5).normal(size=72)
    check("y ~ x1 + k", regression(k=lambda d: scale * (d.x1 + 1e-7 * noise)))


def test_a_calendar_year_and_its_square_are_accepted() -> None:
    year = np.tile(np.arange(1990, 1996), 12)
    check("y ~ year + I(year**2)", regression(year=year))
    check("y ~ year + I(year**2)", regression(year=year), absorb="unit")


def test_outcomes_with_a_large_mean_or_scale_are_accepted() -> None:
    for name in ("sim_offset_1e8.csv", "sim_scale_1e8.csv"):
        data = pd.read_csv(REFERENCE / name)
        check("y ~ x1 + x2", data, n_components=2)
        check("y ~ x1 + x2", data, absorb="unit", n_components=2)


@pytest.mark.parametrize("absorb", [None, "unit"])
def test_an_exact_fit(absorb: str | None) -> None:
    with pytest.raises(DataError, match="explain outcome 'y2' exactly"):
        check("y + y2 ~ x1 + x2", regression(y2=lambda d: 2 * d.x1 - d.x2 + 1), absorb=absorb)
    with pytest.raises(DataError, match="explain outcome 'y' exactly"):
        check("y ~ x1 + y", regression(), absorb=absorb)


def test_collinear_outcomes_are_refused_with_full_covariance_only() -> None:
    data = regression(y2=lambda d: 2 * d.y + d.x1)
    with pytest.raises(DataError, match="outcomes 'y', 'y2' are exactly collinear"):
        check("y + y2 ~ x1", data)
    for covariance in ("diagonal", "spherical"):
        check("y + y2 ~ x1", data, covariance=covariance)
    check("y + y2 ~ 1", data)


def test_more_components_than_distinct_units() -> None:
    few = regression().query("unit < 3")
    check("y ~ x1", few, n_components=3)
    with pytest.raises(DataError, match="n_components=4 is more than the 3 distinct"):
        check("y ~ x1", few, n_components=4)
    again = pd.concat([few, few.assign(unit=few.unit + 10)])
    check("y ~ x1", again, n_components=3)
    with pytest.raises(DataError, match="more than the 3 distinct"):
        check("y ~ x1", again, n_components=4)
    rows = pd.DataFrame({"y": [1.0, 2.0, 1.0, 2.0, 2.0, 4.0]})
    check("y ~ 1", rows, unit=None, n_components=3)
    with pytest.raises(DataError, match="more than the 3 distinct"):
        check("y ~ 1", rows, unit=None, n_components=4)


def test_units_that_absorption_empties_do_not_count() -> None:
    data = regression()
    data.loc[data.unit < 10, "cell"] = data.index[data.unit < 10]
    check("y ~ x1", data, absorb="unit:cell", n_components=2)
    with pytest.raises(DataError, match="more than the 2 distinct"):
        check("y ~ x1", data, absorb="unit:cell", n_components=3)


def test_cells_of_single_rows_leave_nothing() -> None:
    data = regression()
    data["cell"] = data.index
    with pytest.raises(DataError, match="every absorbed cell has a single row"):
        check("y ~ x1", data, absorb="unit:cell")


def test_zero_rows_of_padding_do_not_change_the_rank() -> None:
    panel: Panel = build_panel(spec("y ~ x1 + x2"), regression())
    assert compress(panel).factor.shape == (12, 4, 4)


def test_copies_of_a_unit_in_another_row_order_are_not_distinct() -> None:
    """Rows have a canonical order, so reordered copies are one distinct unit, not several."""
    x, y = np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, 0.5, 3.0, 2.0])
    orders = [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]]
    data = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(4), 4),
            "x": np.concatenate([*(x[o] for o in orders), x]),
            "y": np.concatenate([*(y[o] for o in orders), y + np.eye(4)[1]]),
        }
    )
    spec = MixtureSpec("y ~ x", unit="unit", n_components=3)
    with pytest.raises(DataError, match="more than the 2 distinct"):
        check_identified(Problem.of(spec, build_panel(spec, data)))


# Numbers that doubles cannot hold


@pytest.mark.parametrize("name", ["y", "x1"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v * 1e160, r"in \d+ row\(s\), first in row \d+ .*divide the column"),
        (lambda v: v.where(v.index != 3, -1e300), r"is -1e\+300 in 1 row\(s\), first in row 3"),
        (lambda v: v * 1e-160, "too small for a double. Multiply the column"),
        (lambda v: v + 1e12, r"offset of 1e\+12: a double has 16 digits"),
        (lambda v: v - 1e14, r"offset of -?1e\+14: a double has 16 digits"),
        (lambda v: v + 1e16, r"offset of 1e\+16.*Subtract a constant"),
    ],
)
def test_the_range_of_doubles_is_named_and_not_a_constant(
    name: str, change: Any, words: str
) -> None:
    data = regression()
    data[name] = change(data[name])
    with pytest.raises(DataError, match=rf"'{name}'.* {words}|'{name}' {words}"):
        check("y ~ x1", data)


@pytest.mark.parametrize("factor", [1e60, 1e-60])
def test_large_and_small_numbers_are_fine(factor: float) -> None:
    data = regression()
    check("y ~ x1", data.assign(y=data.y * factor, x1=data.x1 / factor))
