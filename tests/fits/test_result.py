"""Results as plain arrays: the tree made of them, and the kinds of fits."""

from typing import Any

import pytest
import xarray as xr

import mixcompare as mc
from mixcompare.comparison.optima import optima_table
from mixcompare.fits import fit as fit_module
from mixcompare.fits.tree import build_tree
from mixcompare.study.file.load import build_study
from mixcompare.study.mechanism.generate import generate
from mixcompare.study.task.extract import keep
from mixcompare.study.task.seeds import data_stream
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in
from tests.study_cases import content

SPEC = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2)
TABLE = simulate(units=60, k=2, seed=6)


@pytest.fixture(scope="module")
def fits() -> dict[str, mc.Fit]:
    em = mc.fit(SPEC, TABLE, starts=4, history="full")
    mode = mc.fit(SPEC, TABLE, starts=4, estimator="map", standard_errors="none")
    approximate = stand_in(em, draws=20, chains=2).tree.copy()
    approximate.attrs |= {"kind": "approximation", "status": "approximate"}
    return {
        "maximum": em,
        "mode": mode,
        "posterior": stand_in(em, draws=20, chains=2),
        "approximation": mc.Fit(approximate),
    }


@pytest.mark.parametrize("kind", ["maximum", "mode", "posterior", "approximation"])
def test_a_result_that_is_read_from_a_tree_makes_the_same_tree(
    fits: dict[str, mc.Fit], kind: str
) -> None:
    tree = fits[kind].tree
    loaded = mc.Fit(tree)
    attributes = {str(name): value for name, value in tree.attrs.items()}
    again = build_tree(loaded.result, loaded.spec, loaded.layout, loaded.panel, attributes)
    assert again.identical(tree)
    assert [*again.children] == [*tree.children]


@pytest.mark.parametrize("kind", ["maximum", "mode", "posterior", "approximation"])
def test_fits_of_earlier_versions_have_the_kind_that_they_do_not_say(
    fits: dict[str, mc.Fit], kind: str
) -> None:
    assert fits[kind].kind == kind
    tree = fits[kind].tree.copy()
    del tree.attrs["kind"]
    assert mc.Fit(tree).kind == kind


def test_a_search_that_was_saved_before_spurious_maxima_were_marked_is_read(
    fits: dict[str, mc.Fit],
) -> None:
    tree = fits["maximum"].tree.copy()
    kept = tree["starts"].to_dataset().drop_vars(["spurious", "spurious_rows", "spurious_ratio"])
    tree["starts"] = xr.DataTree(kept.drop_attrs(deep=False))
    before = mc.Fit(tree)
    assert not before.search.found_again
    assert before.search.cautions == ()
    assert not optima_table(before)["spurious"].any()
    assert before.summary().equals(fits["maximum"].summary())


def test_the_highest_draw_is_the_one_of_highest_likelihood(fits: dict[str, mc.Fit]) -> None:
    posterior = fits["posterior"]
    total = posterior.tree["log_likelihood"]["outcomes"].sum("unit")
    best: Any = total.argmax(("chain", "draw"))
    expected = posterior.tree["posterior"].to_dataset()[best]
    for name, values in posterior.highest_draw.items():
        assert values.tolist() == expected[name].to_numpy().tolist(), name
    assert posterior.log_likelihood == float(total.max())
    with pytest.raises(KeyError, match="posterior"):
        _ = fits["maximum"].draws


def test_what_a_study_keeps_needs_no_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = content()
    del tables["grid"]
    (scenario,) = build_study(tables).scenarios
    data = generate(scenario, lambda: pytest.fail("no real table"), data_stream(1, "all", 0))
    em = mc.fit(scenario.spec, data.panel(scenario.spec), starts=3)
    posterior = stand_in(mc.fit(scenario.spec, data.panel(scenario.spec), starts=3), draws=40)
    monkeypatch.setattr(fit_module, "build_tree", lambda *_: pytest.fail("a tree was made"))
    assert keep(em, data, []).estimates
    assert keep(posterior, data, []).diagnostics["labellings"] >= 1
