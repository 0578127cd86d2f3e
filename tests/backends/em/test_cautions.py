"""Cautions are whole sentences, which can stand after a colon and be joined by spaces."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.cli.app import _withheld
from tests.backends.em.test_separation import SPEC as SEPARATED_SPEC
from tests.backends.em.test_separation import half_separated
from tests.data.test_outcome_kinds import KINDS

NORMAL = mc.MixtureSpec("y ~ 1", n_components=2)


def overlapping() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"y": np.concatenate([rng.normal(size=110), 2 + rng.normal(size=60)])})


def nearest(table: pd.DataFrame) -> np.ndarray:
    """Classes of which the second has the five rows that are closest together."""
    order = np.argsort(table["y"].to_numpy())
    spread = table["y"].to_numpy()[order][4:] - table["y"].to_numpy()[order][:-4]
    classes = np.zeros(len(table), dtype=int)
    classes[order[spread.argmin() : spread.argmin() + 5]] = 1
    return classes


def separated() -> mc.Fit:
    return mc.fit(SEPARATED_SPEC, half_separated(), starts=4, seed=1)


def saddle() -> mc.Fit:
    table = pd.DataFrame({"y": np.repeat([0.0, 9999.0], 50)})
    return mc.fit(NORMAL, table, starts=0, initial=np.full((100, 2), 0.5))


def spurious() -> mc.Fit:
    table = overlapping()
    return mc.fit(NORMAL, table, starts=0, initial=nearest(table))


def passed_over() -> mc.Fit:
    table = overlapping()
    return mc.fit(NORMAL, table, starts=12, initial=nearest(table), seed=1)


def found_once() -> mc.Fit:
    return mc.fit(NORMAL, overlapping(), starts=1)


def collinear() -> mc.Fit:
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    table = pd.DataFrame(
        {"y": x + rng.normal(size=80), "x": x, "z": x + 1e-7 * rng.normal(size=80)}
    )
    return mc.fit(mc.MixtureSpec("y ~ x + z", n_components=1), table)


def many_classes() -> mc.Fit:
    unit = np.repeat(np.arange(30), 5)
    noise = np.random.default_rng(0).normal(size=150)
    table = pd.DataFrame({"u": unit, "y": 3.0 * unit + noise})
    spec = mc.MixtureSpec("y ~ 1", unit="u", n_components=15, covariance_by="shared")
    return mc.fit(spec, table, starts=2, seed=1)


def outcomes(values: str) -> Callable[[], mc.Fit]:
    table = {"y": KINDS[values][0].astype(float)}
    return lambda: mc.fit(mc.MixtureSpec("y ~ 1", n_components=1), table)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (separated, "separate classes"),
        (saddle, "a saddle point"),
        (spurious, "is a spurious maximum"),
        (passed_over, "was passed over"),
        (found_once, "reached by 1 of 1 starts"),
        (collinear, "nearly collinear"),
        (many_classes, "describe single units"),
        (outcomes("zeros and ones"), "two values"),
        (outcomes("answers from 1 to 5"), "distinct values"),
        (outcomes("answers from 0 to 4"), "counts"),
        (outcomes("Poisson trajectories"), "counts"),
        (outcomes("censored at a limit"), "has the same value"),
    ],
)
@pytest.mark.filterwarnings("ignore::mixcompare.DataWarning")
def test_a_caution_has_a_capital_and_a_full_stop(make: Callable[[], mc.Fit], words: str) -> None:
    fit = make()
    assert any(words in caution for caution in fit.cautions)
    for caution in fit.cautions:
        assert re.match(r"[A-Z]", caution), caution
        assert re.search(r"[^.]\.$", caution), caution
        assert not re.search(r"\.\.|  |;\.|\s[.,;]", caution), caution
    html = fit._repr_html_()
    assert html.count("<li>") == len(fit.cautions)
    # A reason stands in the middle of sentences.
    reason = str(fit.tree["standard_errors"].attrs["reason"])
    assert not reason or re.match(r"[^A-Z].*[^.]$", reason), reason


def test_what_is_added_to_a_fit_on_loading_is_a_sentence_too() -> None:
    from mixcompare.fits.storage import _NOT_CHECKED

    assert re.match(r"[A-Z].*[^.]\.$", _NOT_CHECKED)


def test_show_tells_errors_that_are_missing_from_none_at_all() -> None:
    assert _withheld(separated())["standard errors"].startswith("some withheld: membership")
    without = mc.fit(NORMAL, overlapping(), starts=2, standard_errors="none")
    assert _withheld(without)["standard errors"].startswith("none: ")
