"""What a specification states, which the table of capabilities reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixcompare.model.classes import ClassModel
from mixcompare.model.priors import Priors
from mixcompare.model.responses import Response


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Stated:
    """Fields of `mixcompare.model.spec.MixtureSpec`, which says what they are."""

    responses: tuple[Response, ...]
    n_components: int
    classes: ClassModel
    unit: str | None
    time: str | None
    absorb: tuple[str, ...] | None
    unit_weights: str | None
    priors: Priors
    trust: bool = field(compare=False)
