"""The samplers that ``sampler=`` names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mixcompare.base.registry import register


@dataclass(frozen=True, slots=True)
class McmcSampler:
    """A way to draw from the posterior, or from an approximation of it.

    Attributes
    ----------
    run
        Called with the mixture, the options, where chains start (a function of a ``Generator``
        and the chain's number, which gives a point by variable), a ``SeedSequence`` and whether
        progress is shown. It gives two mappings: the model's free variables (C, S, ...), see
        `Mixture.constrained`, and what is known of each draw (C, S) under PyMC's names.
    approximation
        Whether its draws are a cheap look, which never counts as converged.
    from_prior
        Whether it starts from the prior, whatever it is given.
    package, extra
        What it needs beside PyMC, and the extra of this package that installs it.
    """

    run: Callable[..., Any]
    approximation: bool = False
    from_prior: bool = False
    package: str = "pymc"
    extra: str = ""


SAMPLERS: Final[dict[str, McmcSampler]] = {}


def register_mcmc(name: str, sampler: McmcSampler) -> None:
    """Let ``fit(..., backend="pymc", sampler=name)`` draw with a sampler.

    Raises
    ------
    OptionError
        If another has the name.
    """
    register(SAMPLERS, "sampler", name, sampler)
