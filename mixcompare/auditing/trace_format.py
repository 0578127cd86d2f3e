"""What a trace of an EM holds, and the error of one that cannot be used."""

from __future__ import annotations

from typing import Final

from mixcompare.base.errors import MixCompareError

# Beside the iterations, by the names that long tables and datasets have for them.
AXES: Final[dict[str, tuple[str, ...]]] = {
    "weights": ("component",),
    "coefficients": ("component", "covariate", "outcome"),
    "covariance": ("component", "outcome", "outcome_bis"),
    "responsibilities": ("unit", "component"),
    "log_likelihood": (),
}
NEEDED: Final = ("weights", "coefficients", "covariance")
OPTIONAL: Final = ("responsibilities", "log_likelihood")


class TraceError(MixCompareError):
    """The iterates of a foreign EM cannot be used: which, where, and what to do."""
