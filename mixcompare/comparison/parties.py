"""Who is compared: fits of one model on the same data, each with a name and a role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mixcompare.base.errors import DataError
from mixcompare.base.maxima import same_within
from mixcompare.fits.fit import Fit
from mixcompare.model.capabilities import refuse_foreign

type Role = Literal["reference", "maximum", "mode", "posterior", "further posterior"]
"""The maximum to which all are aligned, the further maxima, the posterior's mode, the posterior
that is compared in detail, and further ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """A fit under a name of its own, which tables and reports call it by."""

    name: str
    fit: Fit
    role: Role


def having(parties: Iterable[Party], *wanted: Role) -> dict[str, Fit]:
    """Fits by name of the parties that have one of the roles."""
    return {party.name: party.fit for party in parties if party.role in wanted}


def roles(*fits: Fit) -> tuple[Party, ...]:
    """Give fits their roles and names, in the order of the tables.

    Of several maxima the highest is the reference, spurious ones only if all are; of those that
    are equal but for rounding, the first.

    Raises
    ------
    DataError
        If there is no maximum or no posterior, there are two modes, a fit is by another program,
        or models or data differ.
    """
    for fit in fits:
        if fit.kind == "foreign":
            refuse_foreign("compare", fit.backend)
    maxima = [fit for fit in fits if fit.kind == "maximum"]
    modes = [fit for fit in fits if fit.kind == "mode"]
    posteriors = [fit for fit in fits if fit.has_draws]
    if not maxima or len(modes) > 1 or not posteriors:
        raise DataError(
            "compare needs one or more fits with backend='em', at most one of them with "
            "estimator='map', and one or more with backend='pymc'; it was given "
            f"{len(maxima)}, {len(modes)} and {len(posteriors)}."
        )
    reference, posterior = _highest(maxima), posteriors[0]
    _check_same(reference, fits)
    return _distinct(
        Party("EM", reference, "reference"),
        *(
            Party(f"EM, {_difference(fit, reference)}", fit, "maximum")
            for fit in maxima
            if fit is not reference
        ),
        *(Party("EM, mode of the posterior", fit, "mode") for fit in modes),
        Party(_sampler(posterior), posterior, "posterior"),
        *(
            Party(_other_sampler(fit, posterior), fit, "further posterior")
            for fit in posteriors[1:]
        ),
    )


def _highest(maxima: Sequence[Fit]) -> Fit:
    maxima = [fit for fit in maxima if fit.status != "spurious"] or maxima
    top = max(fit.log_likelihood for fit in maxima)
    floor = top - same_within(top)
    return next(fit for fit in maxima if fit.log_likelihood >= floor)


def _check_same(reference: Fit, fits: Sequence[Fit]) -> None:
    for fit in fits:
        if fit.spec != reference.spec:
            raise DataError(f"the fits have different models: {reference.spec} and {fit.spec}.")
        if fit.fingerprint != reference.fingerprint:
            raise DataError(
                "the fits were made on different data (their fingerprints differ). Fit all to the "
                "same table."
            )


def _distinct(*parties: Party) -> tuple[Party, ...]:
    """The same parties; a name that is taken gets a number."""
    taken: dict[str, Party] = {}
    for party in parties:
        number, free = 2, party.name
        while free in taken:
            free, number = f"{party.name} ({number})", number + 1
        taken[free] = Party(free, party.fit, party.role)
    return tuple(taken.values())


def _sampler(fit: Fit) -> str:
    by = fit.options.get("ordered_by")
    return f"{fit.options['sampler']}{'' if by is None else f', ordered by {by}'}"


def _other_sampler(fit: Fit, reference: Fit) -> str:
    """The sampler and, if it is the reference's, other options that differ."""
    name = _sampler(fit)
    if fit.options["sampler"] != reference.options["sampler"]:
        return name
    return ", ".join([name, *_differing(fit, reference, without=("ordered_by", "cores"))])


def _difference(fit: Fit, reference: Fit) -> str:
    """Options that differ, or the seed if none does."""
    words = _differing(fit, reference)
    return ", ".join(words) if words else f"seed {fit.seed}"


def _differing(fit: Fit, reference: Fit, without: Sequence[str] = ()) -> list[str]:
    return [
        f"{key} {_plain(value)}"
        for key, value in fit.options.items()
        if key not in ("progress", *without) and value != reference.options.get(key, value)
    ]


def _plain(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
