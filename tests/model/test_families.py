"""Families are declared once, and known by their names."""

from collections.abc import Iterator

import pytest

from mixcompare.base.errors import SpecificationError
from mixcompare.model.families import FAMILIES, Family, family, register_family
from mixcompare.model.responses import Response
from mixcompare.model.spec import MixtureSpec


@pytest.fixture
def geometric() -> Iterator[Family]:
    yield register_family(Family("geometric", "counts", ("log", "logit")))
    del FAMILIES["geometric"]


def test_a_declared_family_can_be_specified_written_and_read(geometric: Family) -> None:
    spec = MixtureSpec("y ~ x", family="geometric", n_components=2)
    assert family("geometric") is geometric
    assert spec.response.family == "geometric"
    assert MixtureSpec.from_dict(spec.to_dict()) == spec
    assert spec.content_hash != MixtureSpec("y ~ x", n_components=2).content_hash
    other = MixtureSpec("y ~ x", family="geometric", link="logit", n_components=2)
    assert MixtureSpec.from_dict(other.to_dict()) == other != spec


def test_the_usual_link_need_not_be_said(geometric: Family) -> None:
    assert Response("y ~ x", "geometric", "log") == Response("y ~ x", "geometric")
    with pytest.raises(SpecificationError, match="link must be one of log, logit, not 'probit'"):
        Response("y ~ x", "geometric", "probit")


def test_a_family_without_joint_outcomes_has_no_covariance(geometric: Family) -> None:
    with pytest.raises(SpecificationError, match=r"'geometric' have no covariance.*leave"):
        Response("y ~ x", "geometric", covariance="diagonal")


def test_a_name_is_one_declaration(geometric: Family) -> None:
    register_family(geometric)
    with pytest.raises(SpecificationError, match=r"another family 'geometric'\. Give yours"):
        register_family(Family("geometric", "positive", ("log",)))
    with pytest.raises(SpecificationError, match="has no link"):
        register_family(Family("other", "real", ()))


@pytest.mark.parametrize("name", ["geometri", "poisson", None, ["normal"]])
def test_unknown_families_are_refused_by_the_list(name: object) -> None:
    with pytest.raises(SpecificationError, match=r"is registered.*there are: normal.*register"):
        family(name)
