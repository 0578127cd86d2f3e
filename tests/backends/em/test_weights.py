"""A unit of weight w counts like w units with the same rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.comparison.classifications import agreement_table
from mixcompare.comparison.optima import optima_table
from mixcompare.labels.metrics import relative_entropy
from mixcompare.study.file import methods
from mixcompare.study.mechanism.generate import DataSet
from mixcompare.study.task.extract import keep
from tests.em_cases import simulate


def replicated(table: pd.DataFrame) -> pd.DataFrame:
    times = table["times"].to_numpy()
    labels = table["unit"].astype(str)
    return pd.concat(table.assign(unit=labels + f"#{i}")[times > i] for i in range(3))


@pytest.mark.parametrize("estimator", ["ml", "map"])
@pytest.mark.parametrize("membership", [None, "~ income"])
@pytest.mark.parametrize("standard_errors", ["observed", "sandwich"])
def test_weights_count_like_copies(
    estimator: str, membership: str | None, standard_errors: str
) -> None:
    table = simulate(units=60, rows=(2, 5), k=2, seed=6)
    table["times"] = np.random.default_rng(0).integers(1, 4, size=60)[table["unit"]]
    model: dict[str, Any] = {
        "unit": "unit",
        "n_components": 2,
        "membership": membership,
        "common": "~ x2",
    }
    once = mc.MixtureSpec("y1 ~ x1 + x2", **model)
    weighted = mc.MixtureSpec("y1 ~ x1 + x2", **model, unit_weights="times")
    options: dict[str, Any] = {
        "starts": 8,
        "estimator": estimator,
        "standard_errors": standard_errors,
    }
    one = mc.fit(weighted, table, **options)
    other = mc.fit(once, replicated(table), **options)
    assert objective(one) == pytest.approx(objective(other), rel=1e-11)
    ours, theirs = one.summary(), other.summary()
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=2e-6, atol=1e-8)
    np.testing.assert_allclose(ours["se"], theirs["se"], rtol=1e-5)


def test_so_they_do_in_every_measure_of_the_classes() -> None:
    table = simulate(units=60, rows=(2, 5), k=2, seed=6)
    table["times"] = np.random.default_rng(0).integers(1, 4, size=60)[table["unit"]]
    once = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)
    weighted = replace(once, unit_weights="times")
    one = mc.fit(weighted, table, starts=8)
    other = mc.fit(once, replicated(table), starts=8)
    assert one.n_independent == other.n_independent == table.groupby("unit")["times"].first().sum()
    assert methods.bic(one) == pytest.approx(methods.bic(other), rel=1e-11)
    entropies = [
        relative_entropy(f.responsibilities.to_numpy(), f.replicated) for f in (one, other)
    ]
    assert entropies[0] == pytest.approx(entropies[1], rel=1e-6)
    unweighted = relative_entropy(one.responsibilities.to_numpy())
    assert abs(entropies[0] - unweighted) > 1e-4
    selections = [
        mc.select(spec, data, n_components=[2], starts=8)
        for spec, data in ((weighted, table), (once, replicated(table)))
    ]
    tables = [selection.table.loc[2] for selection in selections]
    # One n wherever BIC is told: to select, by a study's method and among its measures.
    chosen = selections[0].fits[2]
    data = DataSet(table, None, None, None)
    measured = keep(chosen, data, ()).criteria
    assert tables[0]["bic"] == methods.bic(chosen) == measured["bic"]
    for column in ("bic", "sabic", "icl", "entropy_r2", "smallest_class"):
        assert tables[0][column] == pytest.approx(tables[1][column], rel=1e-6), column
    ours, theirs = (
        agreement_table(
            f.responsibilities.to_numpy(), f.responsibilities.to_numpy()[:, ::-1], f.replicated
        )["value"]
        for f in (one, other)
    )
    pd.testing.assert_series_equal(
        ours.drop("adjusted Rand index"), theirs.drop("adjusted Rand index"), rtol=1e-6
    )
    smallest = [optima_table(f)["smallest_class"].iloc[0] for f in (one, other)]
    assert smallest[0] == pytest.approx(smallest[1], rel=1e-6)


def objective(fit: mc.Fit) -> float:
    return fit.log_likelihood + float(fit.tree["estimate"].attrs["log_prior"])


def test_a_common_factor_changes_the_size_but_not_the_place() -> None:
    table = simulate(units=60, k=2, seed=6)
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2, unit_weights="w")
    one, quarter = (mc.fit(spec, table.assign(w=w), starts=6) for w in (1.0, 0.25))
    assert quarter.log_likelihood == pytest.approx(0.25 * one.log_likelihood, rel=1e-10)
    ours, theirs = quarter.summary(), one.summary()
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-5)
    np.testing.assert_allclose(ours["se"], 2 * theirs["se"], rtol=1e-4)


def test_compiled_passes_take_weights_and_membership_too() -> None:
    table = simulate(units=60, k=2, seed=6)
    spec = mc.MixtureSpec(
        "y1 ~ x1 + x2",
        unit="unit",
        n_components=2,
        unit_weights="count",
        membership="~ income",
        common="~ x1",
    )
    one, other = (mc.fit(spec, table, starts=6, kernels=k) for k in ("numpy", "numba"))
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(one.summary()["estimate"], other.summary()["estimate"], rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (lambda t: t["unit"] * 1.0, "'w' is 0.0 for the unit 0"),
        (lambda t: np.arange(len(t)) + 1.0, "'w' is read once per unit"),
        (lambda t: "heavy", "'w' is of type"),
    ],
)
def test_bad_weights_are_refused(weights, words: str) -> None:  # type: ignore[no-untyped-def]
    table = simulate(units=20)
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2, unit_weights="w")
    with pytest.raises(mc.DataError) as raised:
        mc.build_panel(spec, table.assign(w=weights))
    assert words in str(raised.value)


def test_bootstrap_counts_units() -> None:
    table = simulate(units=60, k=2, seed=6)
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2, unit_weights="count")
    fit = mc.fit(spec, table, starts=6)
    booted = mc.bootstrap(fit, replicates=20, seed=1).tree["bootstrap"]
    assert booted.attrs["failures"] + booted.sizes["draw"] == 20
    assert float(booted["coefficients"].std("draw").min()) > 0
