"""Spurious maxima: what is called one, what is not, and what becomes of them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions.emission import Spurious
from mixcompare.backends.em.emissions.normal.spurious import rounding_steps
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import OptionError
from mixcompare.data.panel import build_panel
from mixcompare.prepared.compress import compress
from tests.em_cases import normal_data
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y ~ 1", n_components=2)


def clump(values: FloatArray, size: int) -> IntArray:
    """Classes: 1 for the values that are closest together, 0 for the others."""
    order = np.argsort(values)
    ordered = values[order]
    first = int((ordered[size - 1 :] - ordered[: 1 - size]).argmin())
    classes = np.zeros(len(values), dtype=int)
    classes[order[first : first + size]] = 1
    return classes


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two overlapping classes, in which some rows are closest together by chance."""
    rng = np.random.default_rng(3)
    return pd.DataFrame({"y": np.concatenate([rng.normal(size=110), 2 + rng.normal(size=60)])})


@pytest.fixture(scope="module")
def kept(table: pd.DataFrame) -> mc.Fit:
    """The spurious maximum that the closest rows lead to."""
    initial = clump(table["y"].to_numpy(), 5)
    return mc.fit(SPEC, table, starts=12, initial=initial, spurious="keep", seed=1)


@pytest.fixture(scope="module")
def avoided(table: pd.DataFrame) -> mc.Fit:
    initial = clump(table["y"].to_numpy(), 5)
    return mc.fit(SPEC, table, starts=12, initial=initial, seed=1)


def found(table: pd.DataFrame, spec: mc.MixtureSpec = SPEC, **parameters: Any) -> Spurious | None:
    """The rule at given parameters, in the data's units."""
    model = mixture_of(spec, compress(build_panel(spec, table)))
    arrays = {name: np.asarray(values, dtype=float) for name, values in parameters.items()}
    mark = model.spurious(model.expect(model.from_raw(model.theta(arrays))))
    assert mark is None or isinstance(mark, Spurious)
    return mark


def climbed(table: pd.DataFrame, spec: mc.MixtureSpec, classes: Any) -> mc.Fit:
    """EM from given classes alone, whatever it ends at."""
    return mc.fit(spec, table, starts=0, initial=np.asarray(classes))


def test_a_spurious_maximum_is_passed_over_for_the_best_other_one(
    kept: mc.Fit, avoided: mc.Fit
) -> None:
    assert (kept.status, avoided.status) == ("spurious", "converged")
    assert kept.log_likelihood > avoided.log_likelihood + 0.1
    starts = avoided.tree["starts"]
    regular = starts["log_likelihood"].to_numpy()[~starts["spurious"].to_numpy()]
    assert avoided.log_likelihood == pytest.approx(regular.max(), rel=1e-12)
    # What was passed over keeps its place in the table, behind all others.
    user = int(np.flatnonzero(starts["kind"].to_numpy() == "user")[0])
    assert starts["spurious"].to_numpy()[user]
    assert starts["log_likelihood"].to_numpy()[user] == pytest.approx(kept.log_likelihood)
    regular_numbers = starts["optimum"].to_numpy()[~starts["spurious"].to_numpy()]
    assert starts["optimum"].to_numpy()[user] > regular_numbers.max()
    assert 3 < starts["spurious_rows"].to_numpy()[user] < 10
    assert "passed over as spurious" in avoided.message


def test_cautions_name_class_rows_variances_and_height(kept: mc.Fit, avoided: mc.Fit) -> None:
    own = [caution for caution in kept.cautions if "spurious" in caution]
    passed = [caution for caution in avoided.cautions if "spurious" in caution]
    assert len(own) == len(passed) == 1
    variance = kept.covariance.to_numpy().ravel()
    assert "class 2 has" in own[0]
    assert "of 170 rows" in own[0]
    assert f"{variance.min():.2g} against {variance.max():.2g}" in own[0]
    assert f"{kept.log_likelihood:.4f}" in passed[0]
    assert f"{kept.log_likelihood - avoided.log_likelihood:.3g} higher" in passed[0]
    assert "spurious='keep'" in passed[0]


def test_only_spurious_maxima_leave_a_spurious_estimate(table: pd.DataFrame) -> None:
    fit = climbed(table, SPEC, clump(table["y"].to_numpy(), 5))
    assert fit.status == "spurious"
    assert "No start reached a maximum that is not." in fit.cautions[0]


def test_the_option_has_two_values() -> None:
    with pytest.raises(OptionError, match="spurious must be one of avoid, keep"):
        mc.fit(SPEC, pd.DataFrame({"y": np.arange(9.0)}), spurious="no")


@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1e-6), (1e5, 1.0), (-3.0, 1e6)])
def test_the_rule_knows_no_scale(table: pd.DataFrame, shift: float, factor: float) -> None:
    classes = clump(table["y"].to_numpy(), 5)
    moved = climbed(table * factor + shift, SPEC, classes)
    assert moved.status == "spurious"
    assert climbed(table * factor + shift, SPEC, 1 - classes).status == "spurious"


def test_weighted_units_are_as_many_copies(table: pd.DataFrame) -> None:
    """The same rows are few whether a count or copies say how often they occur."""
    counts = np.random.default_rng(0).integers(1, 3, size=len(table))
    counts[clump(table["y"].to_numpy(), 5) == 1] = 1
    copied = table.loc[table.index.repeat(counts)].reset_index(drop=True)
    weighted = table.assign(n=counts)
    spec = mc.MixtureSpec("y ~ 1", n_components=2, unit_weights="n")
    one = climbed(weighted, spec, clump(table["y"].to_numpy(), 5))
    other = climbed(copied, SPEC, np.repeat(clump(table["y"].to_numpy(), 5), counts))
    assert one.log_likelihood == pytest.approx(other.log_likelihood)
    assert one.status == other.status == "spurious"
    for name in ("spurious_rows", "spurious_ratio"):
        weighing, copying = (fit.tree["starts"][name].to_numpy() for fit in (one, other))
        np.testing.assert_allclose(weighing, copying, rtol=1e-6)


def test_weights_that_are_no_counts_leave_the_rows_as_they_are(table: pd.DataFrame) -> None:
    classes = clump(table["y"].to_numpy(), 5)
    at = climbed(table, SPEC, classes)
    arrays: dict[str, Any] = {
        name: at.tree["estimate"][name].to_numpy()
        for name in ("weights", "coefficients", "covariance")
    }
    spec = mc.MixtureSpec("y ~ 1", n_components=2, unit_weights="w")
    plain = found(table, **arrays)
    shares = found(table.assign(w=1 / len(table)), spec, **arrays)
    assert plain is not None
    assert shares is not None
    assert shares.rows == pytest.approx(plain.rows)


def test_multivariate_classes_on_few_rows() -> None:
    """Six rows of four outcomes nearly on a plane, as in iris with three classes."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(150, 4))
    direction = np.array([0.5, -0.5, 0.5, 0.5])
    along = y @ direction
    classes = clump(along, 9)
    table = pd.DataFrame(y, columns=list("abcd"))
    spec = mc.MixtureSpec("a + b + c + d ~ 1", n_components=2)
    fit = climbed(table, spec, classes)
    assert fit.status == "spurious"
    assert "in its narrowest direction" in fit.cautions[0]
    diagonal = mc.MixtureSpec("a + b + c + d ~ 1", n_components=2, covariance="diagonal")
    apart = table + 8.0 * rng.integers(2, size=150)[:, None]
    assert mc.fit(diagonal, apart, starts=6, seed=1).status == "converged"


def test_a_trend_through_few_rows_of_a_long_series() -> None:
    rng = np.random.default_rng(1)
    day = np.arange(300.0)
    y = 0.01 * day + 0.22 * rng.normal(size=300)
    classes = clump(y - 0.01 * day, 6)
    fit = climbed(
        pd.DataFrame({"day": day, "y": y}),
        mc.MixtureSpec("y ~ day", common="day", n_components=2),
        classes,
    )
    assert fit.status == "spurious"


NARROW_BUT_REAL = {
    "half of the rows, a thousandth of the variance": (150, 5.0, 150, 0.03),
    "a tight cluster apart": (280, 6.0, 20, 0.05),
    "a few rows far apart": (290, 20.0, 8, 0.1),
    "many rows amid the others": (200, 0.5, 150, 0.02),
}


@pytest.mark.parametrize("name", NARROW_BUT_REAL)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_narrow_classes_that_are_real_are_not_spurious(name: str, seed: int) -> None:
    broad, place, narrow, sd = NARROW_BUT_REAL[name]
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.normal(size=broad), place + sd * rng.normal(size=narrow)])
    classes = np.repeat([0, 1], [broad, narrow])
    fit = climbed(pd.DataFrame({"y": y}), SPEC, classes)
    assert fit.status == "converged"
    assert not fit.tree["starts"]["spurious"].any()


def test_a_precise_unit_of_many_rows_is_not_spurious() -> None:
    """Rows are counted, not units."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(20), 30)
    sd = np.where(unit == 7, 0.05, 1.0)
    x = rng.normal(size=600)
    table = pd.DataFrame({"unit": unit, "x": x, "y": x + sd * rng.normal(size=600)})
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    assert climbed(table, spec, (np.arange(20) == 7).astype(int)).status == "converged"


def test_a_shared_covariance_has_no_narrow_class(table: pd.DataFrame) -> None:
    spec = mc.MixtureSpec("y ~ 1", n_components=2, covariance_by="shared")
    assert climbed(table, spec, clump(table["y"].to_numpy(), 5)).status == "converged"


def test_rounding_steps_are_the_data_s() -> None:
    rng = np.random.default_rng(0)
    answers = rng.integers(1, 6, size=80).astype(float)
    spec = mc.MixtureSpec("a + b + c ~ 1", n_components=2)
    table = pd.DataFrame({"a": answers, "b": 0.25 * answers + 7, "c": rng.normal(size=80)})
    data = normal_data(mixture_of(spec, compress(build_panel(spec, table))))
    steps = rounding_steps(data) * data.scale
    np.testing.assert_allclose(steps[:2], [1.0, 0.25], rtol=1e-9)
    assert steps[2] < 1e-3


def test_a_class_on_one_answer_is_spurious_however_many_give_it() -> None:
    """A variance below a twelfth of the squared step is less than rounding would make."""
    answers = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [30, 50, 90, 60, 40])
    table = pd.DataFrame({"y": answers})
    at: dict[str, Any] = {"weights": [0.7, 0.3], "coefficients": [[[3.0]], [[3.0]]]}
    on_one = found(table, **at, covariance=[[[1.5]], [[0.05]]])
    assert on_one is not None
    assert "less than the rounding" in on_one.words
    assert on_one.rows > 50
    assert "less than the rounding" in on_one.sentence("class 2")
    assert found(table, **at, covariance=[[[1.5]], [[0.5]]]) is None


def test_rounded_data_may_have_narrow_classes() -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(0, 30, size=200), rng.normal(100, 0.8, size=60)]).round()
    fit = climbed(pd.DataFrame({"y": y}), SPEC, np.repeat([0, 1], [200, 60]))
    assert fit.status == "converged"


def test_draws_at_a_spurious_maximum_do_not_show_that_em_missed_one(
    kept: mc.Fit, avoided: mc.Fit
) -> None:
    comparison = mc.compare(avoided, stand_in(kept, spread=0.3, seed=1), climbs=8)
    verdict = comparison.verdicts.set_index("section").loc["EM optimum"]
    assert (verdict["verdict"], verdict["reason"]) == ("caution", "spurious maximum")
    assert comparison.restart is None
    assert "more starts" not in verdict["statement"]
    assert comparison.optima["gap"].min() == pytest.approx(
        avoided.log_likelihood - kept.log_likelihood
    )
    assert comparison.modes["spurious"].any()


def test_a_comparison_says_what_was_passed_over(kept: mc.Fit, avoided: mc.Fit) -> None:
    comparison = mc.compare(kept, avoided, stand_in(avoided, seed=1), climbs=8)
    assert comparison.em is avoided
    verdict = comparison.verdicts.set_index("section").loc["EM optimum"]
    higher = f"{kept.log_likelihood - avoided.log_likelihood:.3g}"
    assert f"A spurious maximum {higher} higher, of " in verdict["statement"]
    assert "worse optimum" not in " ".join(comparison.verdicts["reason"])


def test_a_spurious_estimate_is_the_verdict_s_reason(kept: mc.Fit) -> None:
    comparison = mc.compare(kept, stand_in(kept, seed=1), climbs=4)
    verdict = comparison.verdicts.set_index("section").loc["EM optimum"]
    assert (verdict["verdict"], verdict["reason"]) == ("caution", "spurious maximum")


def test_fits_show_that_there_are_cautions(kept: mc.Fit, avoided: mc.Fit) -> None:
    assert "spurious, " in repr(kept)
    assert repr(avoided).endswith(f"converged, {len(avoided.cautions)} cautions>") or repr(
        avoided
    ).endswith("converged, 1 caution>")
    html = avoided._repr_html_()
    assert html.count("<li>") == len(avoided.cautions)
    assert "was passed over: a class has" in html
