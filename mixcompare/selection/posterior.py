"""Criteria of the posterior over a range of K: cross-validation and the marginal likelihood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from mixcompare.backends import build_options
from mixcompare.base.errors import OptionError
from mixcompare.checking.leave_one_out import LeaveOneOut, leave_one_out
from mixcompare.data.panel import Panel
from mixcompare.fits.bridge import LogEvidence, bridge_sampling, mean_evidence
from mixcompare.fits.fit import Fit
from mixcompare.model.spec import MixtureSpec
from mixcompare.selection.standing import Standing, settle

Asked = Literal["loo", "bridge", "smc"]
# What sequential Monte Carlo shares with the No-U-Turn samplers.
_OF_SMC: Final = ("draws", "chains", "cores", "progress")
# Beyond, the K! copies of a proposal are too many to sum.
_MOST_BRIDGED: Final = 6
# Keeps the posterior's random numbers apart from those of EM's rounds.
_STREAM: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorOf:
    """The posterior of the model with one number of classes, as far as it was asked for.

    Attributes
    ----------
    fit
        By NUTS; None if only sequential Monte Carlo was asked for.
    loo
        Leave-one-unit-out cross-validation.
    bridge, smc
        Log marginal likelihood by bridge sampling and by sequential Monte Carlo.
    standings
        Of ``"posterior"``, the fit by NUTS, and of ``"smc"``, as far as there are such.
    """

    fit: Fit | None
    loo: LeaveOneOut | None
    bridge: LogEvidence | None
    smc: LogEvidence | None
    standings: Mapping[str, Standing]


def check_asked(asked: Iterable[str], counts: Iterable[int], sampling: Mapping[str, Any]) -> None:
    """Refuse what cannot be done, before anything is fitted.

    Raises
    ------
    OptionError
        If there is no such criterion, a number of classes is too large for it, or the
        sampler's options do not serve.
    """
    wanted = list(asked)
    unknown = [name for name in wanted if name not in get_args(Asked)]
    if unknown or len(set(wanted)) < len(wanted):
        raise OptionError(
            f"posterior must be different ones of {', '.join(get_args(Asked))}, not {wanted!r}."
        )
    if not wanted and sampling:
        raise OptionError(
            f"sampling has {', '.join(sampling)}, but no criterion of the posterior is asked for: "
            "add posterior=('loo', 'bridge', 'smc') or some of them."
        )
    if "bridge" in wanted and max(counts) > _MOST_BRIDGED:
        raise OptionError(
            f"bridge sampling sums over the K! labellings and takes at most {_MOST_BRIDGED} "
            f"classes, not {max(counts)}: ask for 'smc', or fewer classes."
        )
    options = build_options("pymc", sampling)
    known = options.kind == "posterior" and options.sampler != "smc"
    if not known or options.initial is not None:
        raise OptionError(
            "sampling must have a sampler of the posterior, such as 'nutpie', and no initial; "
            "'smc' is asked for in posterior."
        )


def explore(
    em: Fit | None,
    spec: MixtureSpec,
    panel: Panel,
    asked: Iterable[str],
    seed: int,
    sampling: Mapping[str, Any],
) -> PosteriorOf:
    """Sample one model's posterior and work out what was asked for.

    Parameters
    ----------
    em
        The maximum of the likelihood that draws should come near; None if there is none.
    asked
        ``"loo"`` and ``"bridge"`` sample by NUTS, ``"smc"`` by sequential Monte Carlo.
    sampling
        Options of the PyMC backend.
    """
    wanted = set(asked)
    roots = np.random.SeedSequence(seed, spawn_key=(spec.n_components, _STREAM)).spawn(3)
    posterior, loo, bridge, smc = None, None, None, None
    standings = {}
    if wanted & {"loo", "bridge"}:
        posterior, standings["posterior"] = settle(spec, panel, em, roots[0], sampling)
    if posterior is not None and "loo" in wanted:
        loo = leave_one_out(posterior)
    if posterior is not None and "bridge" in wanted:
        bridge = bridge_evidence(posterior, np.random.default_rng(roots[1]))
    if "smc" in wanted:
        shared = {name: value for name, value in sampling.items() if name in _OF_SMC}
        tempered, standings["smc"] = settle(spec, panel, em, roots[2], {**shared, "sampler": "smc"})
        smc = tempered_evidence(tempered)
    return PosteriorOf(posterior, loo, bridge, smc, standings)


def tempered_evidence(tempered: Fit) -> LogEvidence:
    """The log marginal likelihood of a fit by sequential Monte Carlo."""
    stats = tempered.tree["sample_stats"].to_dataset()
    errors = stats.get("log_marginal_likelihood_error")
    return mean_evidence(
        stats["log_marginal_likelihood"].to_numpy(), None if errors is None else errors.to_numpy()
    )


def bridge_evidence(posterior: Fit, rng: np.random.Generator) -> LogEvidence:
    """The log marginal likelihood of a fit with a posterior, see `mixcompare.fits.bridge`."""
    # The PyMC backend is slow to import.
    from mixcompare.backends.pymc.posterior_density import posterior_density

    density = posterior_density(posterior.problem)
    aligned = posterior.tree["posterior"].to_dataset()
    shape = aligned.sizes["chain"], aligned.sizes["draw"]
    draws = {
        name: values.reshape(-1, *values.shape[2:])
        for name, values in posterior.layout.take(aligned).items()
    }
    points = density.coordinates(draws).reshape(*shape, -1)
    return bridge_sampling(points, density, density.mixture.copies(), rng=rng)
