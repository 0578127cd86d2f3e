"""What a backend hands back, before the common attributes are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from mixcompare.fits.kinds import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Groups of the result tree with the status of the fit.

    Attributes
    ----------
    kind
        What kind of fit it is.
    groups
        Group name to dataset; ``estimate`` is always there.
    status
        ``"converged"``, ``"iteration limit"``, ``"ascent violated"``, ``"saddle"`` (a saddle
        point that EM could not leave), ``"spurious"`` (a maximum that a few rows make) or
        ``"separated"`` (log-odds of the membership that run off to infinity) (EM);
        ``"not converged"``
        (MCMC) or ``"approximate"`` (draws from an approximation of the posterior).
    message
        The status in a sentence, with its evidence.
    cautions
        What should be known before the result is used: whole sentences, with capital and full stop,
        which can be joined by spaces.
    """

    kind: Kind
    groups: Mapping[str, xr.Dataset]
    status: str
    message: str
    cautions: tuple[str, ...] = ()
