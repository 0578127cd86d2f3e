"""Results as plain arrays: the tree made of them, and the kinds of fits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mixcompare as mc
from mixcompare import labels
from mixcompare.comparison.optima import optima_table
from mixcompare.fits import fit as fit_module
from mixcompare.fits.storage import save_tree
from mixcompare.fits.tree import build_tree
from mixcompare.model.layout import COMPONENT
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


def as_stored_before(tree: xr.DataTree) -> xr.DataTree:
    """The tree of a posterior as earlier versions stored it: draws and responsibilities as sampled,
    the classes' dimension with another name."""
    groups = {str(name): group.to_dataset() for name, group in tree.children.items()}
    groups["posterior"] = groups.pop("posterior_as_sampled")
    back = labels.invert(groups["alignment"]["permutation"].to_numpy())
    drawn = groups["membership"]["responsibilities"].to_numpy()
    drawn = labels.permute(drawn, back, axis=-1)
    groups["membership"] = groups["membership"].copy(data={"responsibilities": drawn})
    before = xr.DataTree.from_dict(
        {
            name: group.rename({COMPONENT: "component"} if COMPONENT in group.dims else {})
            for name, group in groups.items()
        }
    )
    before.attrs = tree.attrs
    return before


@pytest.mark.parametrize("membership", [None, "~ z"])
def test_a_posterior_that_was_saved_as_sampled_has_the_same_numbers_and_both_groups(
    membership: str | None, tmp_path: Path
) -> None:
    table = TABLE.assign(z=TABLE.groupby("unit")["x1"].transform("mean"))
    em = mc.fit(SPEC.but(membership=membership), table, starts=4)
    made = stand_in(em, draws=20, chains=2, switch_every=3)
    assert len(np.unique(made.draws.permutation)) > 1
    loaded = mc.load(save_tree(as_stored_before(made.tree), tmp_path / "before.nc"))
    assert {*loaded.tree.children} == {*made.tree.children}
    for name, group in made.tree.children.items():
        assert loaded.tree[name].to_dataset().equals(group.to_dataset()), name
    assert loaded.summary().equals(made.summary())
    np.testing.assert_array_equal(loaded.draws.occupancy, made.draws.occupancy)


def test_the_stored_posterior_is_aligned_and_its_responsibilities_are(
    fits: dict[str, mc.Fit],
) -> None:
    made = fits["posterior"]
    stored = made.layout.flatten(made.tree["posterior"].to_dataset())
    np.testing.assert_array_equal(stored, made.aligned_draws)
    drawn = made.tree["membership"]["responsibilities"].mean(("chain", "draw"))
    np.testing.assert_allclose(drawn, made.responsibilities, rtol=1e-6)


def test_the_highest_draw_is_the_one_of_highest_likelihood(fits: dict[str, mc.Fit]) -> None:
    posterior = fits["posterior"]
    total = posterior.tree["log_likelihood"]["outcomes"].sum("unit")
    best: Any = total.argmax(("chain", "draw"))
    expected = posterior.posterior_as_sampled[best]
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
