"""What answers an item of a checklist, and what answers are made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Literal

from mixcompare.comparison import Comparison
from mixcompare.fits.fit import Fit
from mixcompare.report.figures.data import only_variable

Status = Literal["automatic", "author", "not applicable"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to an item.

    Attributes
    ----------
    status
        ``"automatic"`` if the fits answer it; ``"author"`` if only the author can;
        ``"not applicable"`` to this model or these data.
    text
        The answer, or what is still asked of the author.
    place
        Anchor of the place in the report where more is; None if there is none.
    """

    status: Status
    text: str
    place: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What rules read.

    Attributes
    ----------
    comparison
        What is reported.
    sections
        Anchors of the report's sections.
    record
        Its provenance, see `mixcompare.report.provenance`.
    """

    comparison: Comparison
    sections: Collection[str]
    record: Mapping[str, Any]

    @property
    def em(self) -> Fit:
        """EM's fit."""
        return self.comparison.em

    @property
    def formula(self) -> str:
        """The model's formula."""
        return self.em.spec.formula.strip()

    @property
    def variable(self) -> str | None:
        """What trajectories run along, if one variable determines all covariates."""
        return only_variable(self.em.panel)

    @property
    def has_evidence(self) -> bool:
        """Whether marginal likelihoods are reported."""
        choice = self.record["selection"]
        return choice is not None and bool({"bridge", "smc"} & set(choice["asked"]["posterior"]))


def automatic(text: str, place: str) -> Answer:
    """An answer that the fits give."""
    return Answer("automatic", text, place)


def author(text: str, place: str | None = None) -> Answer:
    """A question to the author."""
    return Answer("author", text, place)


def not_applicable(text: str) -> Answer:
    """A reason why an item does not apply."""
    return Answer("not applicable", text)


NEEDS: Final[Mapping[str, tuple[Callable[[Facts], bool], Answer]]] = {
    "trajectories": (
        lambda facts: facts.em.spec.unit is not None,
        not_applicable("Every row is a unit of its own: there are no trajectories."),
    ),
    "curves": (
        lambda facts: facts.variable is not None,
        author("The model has several covariates: choose what trajectories run along."),
    ),
    "classes": (
        lambda facts: facts.em.spec.n_components > 1,
        not_applicable("There is one class."),
    ),
    "evidence": (
        lambda facts: facts.has_evidence,
        not_applicable("No Bayes factor or model probability is reported."),
    ),
}
"""What items may need, and their answers where it is not there."""


def rules_of(module: ModuleType) -> dict[str, Callable[[Facts], Answer]]:
    """A module's public functions, which are its rules, by name."""
    return {
        name: rule
        for name, rule in vars(module).items()
        if getattr(rule, "__module__", "") == module.__name__ and not name.startswith("_")
    }
