"""Options of the PyMC backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mixcompare.errors import OptionError

Sampler = Literal["nutpie", "pymc"]

# Fewer draws give no R-hat and no effective sample size.
_FEWEST_DRAWS = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How the posterior is sampled.

    With nutpie a process compiles a model's structure once (numbers of classes, covariates
    and outcomes, covariance, common coefficients, membership), for up to a minute and a
    half the first time on a machine; data, their sizes and priors' numbers are then exchanged.
    PyMC's own sampler compiles for some seconds in every fit.

    Parameters
    ----------
    draws, tune
        Kept draws and adaptation steps of each chain.
    chains
        Number of chains.
    cores
        Chains that run at a time. None: as many as there are cores for nutpie, whose
        chains are threads; one for PyMC's own sampler, whose chains would be processes
        that import the calling script again.
    sampler
        ``"nutpie"`` (Rust, compiled with numba) or ``"pymc"``, PyMC's own NUTS.
    target_accept
        Acceptance rate that the step size is adapted to; above the usual 0.8 because
        components that hold little data have curved posteriors.
    progress
        Whether a progress bar is shown; None: when standard error is a terminal.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    cores: int | None = None
    sampler: Sampler = "nutpie"
    target_accept: float = 0.9
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name, lowest in (("draws", _FEWEST_DRAWS), ("tune", _FEWEST_DRAWS), ("chains", 1)):
            _whole_number(name, getattr(self, name), lowest)
        if self.cores is not None:
            _whole_number("cores", self.cores, 1)
        if self.sampler not in get_args(Sampler):
            raise OptionError(
                f"sampler must be one of {', '.join(get_args(Sampler))}, not {self.sampler!r}."
            )
        _rate("target_accept", self.target_accept)
        if self.progress not in (None, True, False):
            raise OptionError(f"progress must be true, false or None, not {self.progress!r}.")


def _whole_number(name: str, value: object, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise OptionError(f"{name} must be a whole number, at least {lowest}, not {value!r}.")


def _rate(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.5 <= value < 1:
        raise OptionError(f"{name} must be a number from 0.5 to below 1, not {value!r}.")
