"""What a trace of an EM holds, and the error of one that cannot be used."""

from __future__ import annotations

from mixcompare.base.errors import MixCompareError

NEEDED = ("weights", "coefficients", "covariance")
OPTIONAL = ("responsibilities", "log_likelihood")


class TraceError(MixCompareError):
    """The iterates of a foreign EM cannot be used: which, where, and what to do."""
