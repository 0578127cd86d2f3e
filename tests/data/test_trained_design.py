"""The formula on new rows, with the state of the rows that were fitted."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.data.new_rows import new_rows
from mixcompare.data.panel import Panel, build_panel
from mixcompare.data.trained_design import trained_design
from mixcompare.fits.storage import panel_from_dataset, panel_to_dataset
from mixcompare.model.spec import MixtureSpec

FORMULAS = [
    "y ~ 1",
    "log(z) + y ~ 1",
    "y ~ x",
    "y ~ g",
    "y ~ 0 + g",
    "y ~ C(year) * x",
    "y ~ C(g, contr.sum) + x",
    "y ~ C(g, contr.treatment(base='c'))",
    "y ~ bs(x, df=5) + z",
    "y ~ cr(x, df=4)",
    "y ~ poly(x, 3) + scale(z)",
    "y ~ center(x):g + log(z)",
    "scale(y) + log(z) ~ x + bs(z, df=4)",
    "y ~ b + cat + flag",
    "y ~ np.exp(x) + I(x**2) + x.clip(0)",
    "y ~ C(when)",
    "y ~ C(when.dt.year) + x",
    "y ~ band",
]

METHODS = (".clip(", ".dt.", ".mean(", ".min(", ".rank(", ".shift(")


def frame(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    x, z = rng.normal(size=60), rng.uniform(1, 2, size=60)
    table = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(15), 4),
            "x": x,
            "z": z,
            "y": x + rng.normal(size=60),
            "g": rng.choice(list("dcba"), size=60),
            "year": rng.choice([2001, 2003, 2007], size=60),
            "b": rng.random(60) < 0.5,
            "flag": pd.array(rng.random(60) < 0.5, dtype="boolean"),
            "cat": pd.Categorical(rng.choice(list("uvw"), size=60), categories=list("wvut")),
            "when": rng.choice(pd.to_datetime(["2020-01-05", "2021-03-01", "2020-07-01"]), size=60),
            "band": pd.cut(z, [0, 1.3, 1.6, 3]),
            "w": np.repeat(rng.normal(size=15), 4),
            "region": np.repeat(rng.choice(["n", "s", "e"], size=15), 4),
        }
    )
    return table.sample(frac=1, random_state=1).reset_index(drop=True).assign(**columns)


def stored(formula: str, **options: Any) -> tuple[MixtureSpec, Panel]:
    """A panel as it comes back from a file; methods of columns need trust."""
    options.setdefault("trust", any(method in formula for method in METHODS))
    spec = MixtureSpec(formula, **{"unit": "unit", "n_components": 2, **options})
    return spec, panel_from_dataset(panel_to_dataset(build_panel(spec, frame())))


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_fitted_rows_have_the_same_design_bit_for_bit(formula: str) -> None:
    spec, panel = stored(formula, membership="~ region + bs(w, df=3)")
    rows = new_rows(spec, panel, frame(), "error")
    order = np.argsort(panel.row)
    assert rows.covariates.tobytes() == panel.covariates[order].tobytes()
    assert rows.outcomes is not None
    assert rows.outcomes.tobytes() == panel.outcomes[order].tobytes()
    assert rows.concomitants is not None
    assert panel.concomitants is not None
    assert rows.concomitants.tobytes() == panel.concomitants.tobytes()
    assert rows.unit_labels.tolist() == panel.unit_labels.tolist()
    np.testing.assert_array_equal(rows.unit, panel.unit[order])


@pytest.mark.parametrize("formula", FORMULAS)
def test_some_rows_have_the_design_that_they_have_among_all(formula: str) -> None:
    spec, panel = stored(formula)
    design = panel.covariates[np.argsort(panel.row)]
    for some in (slice(0, 1), slice(7, 8), slice(20, 40)):
        rows = new_rows(spec, panel, frame().iloc[some], "error")
        np.testing.assert_allclose(rows.covariates, design[some], rtol=1e-12, atol=1e-14)


def test_a_file_of_texts_is_read_like_the_table(tmp_path: Path) -> None:
    spec, panel = stored("y ~ C(year) + g + b + cat + band")
    frame().to_csv(tmp_path / "new.csv", index=False)
    rows = new_rows(spec, panel, tmp_path / "new.csv", "error")
    np.testing.assert_array_equal(rows.covariates, panel.covariates[np.argsort(panel.row)])


@pytest.mark.parametrize(
    ("formula", "column", "value", "message"),
    [
        ("y ~ g", "g", "zz", r"'g' is 'zz' in row 17 .*no training row has \(known: a, b, c, d\)"),
        ("y ~ x + C(year)", "year", 1999, r"'year' is 1999 in row 17 .*known: 2001, 2003, 2007"),
        ("y ~ x:cat", "cat", "t", r"'cat' is 't' in row 17 .*known: w, v, u\)"),
        ("y ~ C(when.dt.year)", "when", pd.Timestamp("1999-01-01"), "'when' is .*1999.* in row 17"),
        ("y ~ x", "x", "much", "'x' is 'much' in row 17 .*training data have numbers"),
        ("y ~ b", "b", 2, "'b' is 2 in row 17 .*training data are true or false"),
        ("y ~ bs(x, df=4)", "x", 99.0, r"beyond .* First in row 17 \(counted from 0\): x=99.0"),
        ("y ~ log(z)", "z", -1.0, r"'log\(z\)' is nan in 1 row\(s\), first in row 17"),
        ("scale(y) ~ x", "y", np.inf, r"'scale\(y\)' is .* first in row 17"),
        ("y ~ x", "y", "high", "'y' is 'high' in row 17 .*have numbers"),
    ],
)
def test_values_that_were_not_in_training(
    formula: str, column: str, value: Any, message: str
) -> None:
    spec, panel = stored(formula)
    values = frame()[column].astype(object)
    values[17] = value
    with pytest.raises(mc.DataError, match=message):
        new_rows(spec, panel, frame(**{column: values}), "error")


@pytest.mark.parametrize(
    "term", ["I(x - x.mean())", "x.rank()", "x.shift(fill_value=0)", "I(x - x.min())"]
)
def test_terms_that_depend_on_other_rows_are_refused(term: str) -> None:
    spec, panel = stored(f"y ~ {term}")
    with pytest.raises(mc.DataError, match="depends on the other rows"):
        new_rows(spec, panel, frame().iloc[:3], "error")


def test_missing_values() -> None:
    spec, panel = stored("y + z ~ x", membership="~ w")
    data = frame()
    data.loc[[3, 4], ["y", "z"]] = np.nan  # to be predicted
    data.loc[5, "x"] = np.nan
    data.loc[6, "z"] = np.nan
    with pytest.raises(mc.DataError, match=r"missing values \(x: 1; first in row 5"):
        new_rows(spec, panel, data, "error")
    with pytest.raises(mc.DataError, match=r"missing values \(z: 1; first in row 5"):
        new_rows(spec, panel, data.drop(index=5), "error")
    rows = new_rows(spec, panel, data, "drop")
    assert rows.row.tolist() == [r for r in range(60) if r not in (5, 6)]
    assert np.flatnonzero(~rows.observed).tolist() == [3, 4]
    with pytest.raises(mc.DataError, match="unknown column 'z'"):
        new_rows(spec, panel, data.drop(columns="z"), "drop")
    with pytest.raises(mc.DataError, match="unknown column 'w'"):
        new_rows(spec, panel, data.drop(columns="w"), "drop")
    with pytest.raises(mc.DataError, match="'w' is read once per unit"):
        new_rows(spec, panel, frame(w=np.arange(60.0)), "error")


def test_panels() -> None:
    spec, panel = stored("y ~ scale(x)")
    same = build_panel(spec, frame())
    np.testing.assert_array_equal(
        new_rows(spec, panel, same, "error").covariates, panel.covariates[np.argsort(panel.row)]
    )
    with pytest.raises(mc.DataError, match="transformations of its own"):
        new_rows(spec, panel, build_panel(spec, frame().iloc[:30]), "error")
    with pytest.raises(mc.DataError, match="covariate_names are Intercept, x; the fit's are"):
        new_rows(spec, panel, build_panel(stored("y ~ x")[0], frame()), "error")


def test_a_fit_of_a_panel_without_columns_predicts_panels_only() -> None:
    spec, built = stored("y ~ x")
    bare = Panel(
        **{
            name: getattr(built, name)
            for name in Panel.__dataclass_fields__
            if name not in {"columns", "source"}
        }
    )
    made = mc.fit(spec, bare, starts=3)
    assert mc.predict(made, bare)["fitted"].shape == (60, 1)
    with pytest.raises(mc.DataError, match="made from a Panel without the columns"):
        mc.predict(made, frame())


def test_a_changed_panel_is_noticed() -> None:
    spec, panel = stored("y ~ scale(x)")
    panel.covariates[:, 1] *= 2
    with pytest.raises(mc.DataError, match="do not give its covariates again"):
        trained_design(spec, panel)


def test_saved_fits_predict_the_same(tmp_path: Path) -> None:
    spec = MixtureSpec("y ~ bs(x, df=4) + g", unit="unit", n_components=2)
    made = mc.fit(spec, frame(), starts=5)
    again = mc.load(made.save(tmp_path / "fit.nc"))
    data = frame().iloc[10:20].assign(unit=5)
    one, other = mc.predict(made, data), mc.predict(again, data)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], other[name])
