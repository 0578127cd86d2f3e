"""What is prepared of a response's rows, by its family."""

from __future__ import annotations

from mixcompare.model.spec import MixtureSpec


def family_of(spec: MixtureSpec) -> str:
    """Name of the family of a model's one response."""
    responses = getattr(spec, "responses", None)
    return str(responses[0].family) if responses else "normal"
