"""One table says which models a part cannot serve, why, and what to do."""

import string

import pytest

from mixcompare.base.errors import MixCompareError
from mixcompare.model.capabilities import CAPABILITIES, Limit, require, supports
from mixcompare.model.responses import Response
from mixcompare.model.spec import MixtureSpec

PLAIN = MixtureSpec("y ~ x", unit="u", absorb="a", n_components=2)
SEVERAL = MixtureSpec([Response("y ~ x"), Response("z ~ x")], n_components=2)
ROWS = [(part, limit) for part, limits in CAPABILITIES.items() for limit in limits]


@pytest.mark.parametrize(("part", "limit"), ROWS)
def test_every_row_says_what_hinders_why_and_what_to_do(part: str, limit: Limit) -> None:
    said = limit.said(part, "HINDRANCE")
    reason, remedy = said.split(". ", maxsplit=1)
    assert "HINDRANCE" in reason or part in reason
    assert remedy[0].isupper()
    assert remedy.endswith(".")
    assert not said.endswith("..")
    places = {name for _, name, _, _ in string.Formatter().parse(limit.reason + limit.remedy)}
    assert places <= {"part", "hindrance", None}
    assert issubclass(limit.error, MixCompareError)


@pytest.mark.parametrize("part", CAPABILITIES)
def test_the_plainest_model_is_served_by_every_part(part: str) -> None:
    require(PLAIN, part)
    assert supports(PLAIN, part)
