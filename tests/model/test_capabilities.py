"""One table says which models a part cannot serve, why, and what to do."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import fields

import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.base.errors import MixCompareError
from mixcompare.model.capabilities import CAPABILITIES, Limit, reasons, require
from mixcompare.model.families import FAMILIES
from mixcompare.model.responses import Response
from mixcompare.model.spec import SPEC_KEYS, MixtureSpec
from tests.places import ROOT

PACKAGE = ROOT / "mixcompare"
PLAIN = MixtureSpec("y ~ x", unit="u", absorb="a", n_components=2)
ROWS = [(part, limit) for part, limits in CAPABILITIES.items() for limit in limits]
TABLE = pd.DataFrame({"u": [0, 0, 1, 1, 2, 2] * 4, "y": range(24), "z": range(24)})


@pytest.fixture(autouse=True)
def _toy() -> Iterator[None]:
    mc.register_family(mc.Family("toy", "counts", ("log",)))
    yield
    del FAMILIES["toy"]


@pytest.mark.parametrize(("part", "limit"), ROWS)
def test_every_row_says_what_hinders_why_and_what_to_do(part: str, limit: Limit) -> None:
    said = limit.said(part, "HINDRANCE")
    reason, remedy = said.split(". ", maxsplit=1)
    assert "HINDRANCE" in reason
    assert remedy[0].isupper()
    assert remedy.endswith(".")
    assert not remedy.endswith("..")
    places = {name for _, name, _, _ in string.Formatter().parse(limit.reason)}
    assert places <= {"part", "hindrance", None}
    assert issubclass(limit.error, MixCompareError)


@pytest.mark.parametrize("part", CAPABILITIES)
def test_the_plainest_model_is_served_by_every_part(part: str) -> None:
    require(PLAIN, part)
    assert reasons(PLAIN, part) == ()


HINDERED = [
    MixtureSpec([Response("y ~ x"), Response("z ~ x")], n_components=2),
    MixtureSpec("y ~ x", family="normal", unit="u", n_components=2),  # no cells
    MixtureSpec("y ~ x", n_components=2),  # no unit
    MixtureSpec("y ~ 1 + x", unit="u", absorb="a", n_components=2),
    MixtureSpec("y ~ x", unit="u", absorb="a", common="~ 1", n_components=2),
    MixtureSpec("y ~ x", unit_weights="w", n_components=2),
    MixtureSpec("y ~ x", unit="u", membership="~ z", n_components=2),
    MixtureSpec("y ~ x", n_components=2, priors={"concentration": 0.5}),
]


@pytest.mark.parametrize(("part", "limit"), ROWS)
def test_every_row_refuses_a_model(part: str, limit: Limit) -> None:
    toy = [
        MixtureSpec("y ~ x", family="toy", n_components=2),
        MixtureSpec("y ~ x", family="toy", unit="u", absorb="a", n_components=2),
        MixtureSpec("y ~ x", family="toy", n_components=2, priors={"covariance_df": 5}),
    ]
    refused = [model for model in (*HINDERED, *toy) if limit.rule(model, ("normal",))]
    if part == "MixtureSpec":  # it cannot be made
        with pytest.raises(limit.error, match="needs a unit"):
            MixtureSpec("y ~ x", absorb="a", n_components=2)
        return
    assert refused
    for model in refused:
        hindrance = limit.rule(model, ("normal",))
        assert limit.said(part, hindrance) in reasons(model, part)
        with pytest.raises(MixCompareError) as caught:
            require(model, part)
        assert str(caught.value) == reasons(model, part)[0]


def test_a_part_serves_the_families_that_it_has_arithmetic_for() -> None:
    spec = MixtureSpec("y ~ x", family="toy", n_components=2)
    with pytest.raises(mc.SpecificationError, match=r"no emission .* 'toy'.*register_emission"):
        require(spec, "backend='em'")
    require(spec, "backend='em'", families=("normal", "toy"))


def test_limits_reach_the_user() -> None:
    several = MixtureSpec([Response("y ~ 1"), Response("z ~ 1")], unit="u", n_components=2)
    for refused in (lambda: mc.fit(several, TABLE), lambda: mc.build_panel(several, TABLE)):
        with pytest.raises(mc.SpecificationError, match=r"has 2 responses\. Fit one"):
            refused()
    toy = MixtureSpec("y ~ 1", family="toy", unit="u", n_components=2)
    with pytest.raises(mc.MixCompareError, match="no emission"):
        mc.fit(toy, TABLE)
    with pytest.raises(mc.MixCompareError, match="no term"):
        mc.fit(toy, TABLE, backend="pymc")
    for part in (mc.prior_predictive, mc.calibrate):
        with pytest.raises(mc.SpecificationError, match=r"normal outcomes only.*'toy'"):
            part(toy, TABLE)


# ---------------------------------------------------------------------------------------------
# Nobody else refuses a model
# ---------------------------------------------------------------------------------------------

# Rooms that read formulas or draw data, where what is refused is a text, not a model.
TEXTS = ("model/formula/", "model/capabilities.py")
PARTS = {*SPEC_KEYS, *(f.name for f in fields(MixtureSpec))}


def _of_a_specification(test: ast.expr) -> bool:
    """Whether a condition reads `spec.unit`, `fit.spec.absorb` and the like."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in PARTS
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "spec")
            or (isinstance(node.value, ast.Attribute) and node.value.attr == "spec")
        )
        for node in ast.walk(test)
    )


def _refusals(tree: ast.AST) -> Iterator[int]:
    """Lines where an error follows at once from a condition of a specification."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.If):
            continue
        raises = any(isinstance(inner, ast.Raise) for inner in node.body)
        if raises and _of_a_specification(node.test):
            yield node.lineno


def test_no_other_module_refuses_by_a_condition_of_the_specification() -> None:
    found: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(TEXTS):
            continue
        found += [f"{name}:{line}" for line in _refusals(ast.parse(path.read_text()))]
    assert found == []


def test_a_refusal_by_a_condition_of_the_specification_is_noticed() -> None:
    refusing = "if fit.spec.unit is None and more:\n    raise DataError('no')\nif spec.unit: pass"
    assert [*_refusals(ast.parse(refusing))] == [1]


def test_no_other_module_says_that_a_model_is_not_supported() -> None:
    words = re.compile(r"not supported|unsupported|not implemented|no support for", re.IGNORECASE)
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(TEXTS):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise):
                said = ast.unparse(node)
                found += [f"{name}:{node.lineno}"] * bool(words.search(said))
    assert found == []


def test_every_part_is_asked_about_somewhere() -> None:
    """A row that nobody asks about would promise a check that is never made."""
    sources = "\n".join(
        path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "capabilities.py"
    )
    assert {part for part in CAPABILITIES if f'"{part}"' in sources} == set(CAPABILITIES)
