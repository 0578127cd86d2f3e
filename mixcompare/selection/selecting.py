"""How many classes? One model fitted over a range of K, and what each criterion says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from mixcompare.backends import build_options
from mixcompare.base.checks import check_seed, check_whole
from mixcompare.base.errors import DegenerateFitError, OptionError
from mixcompare.base.machine import check_memory, check_workers
from mixcompare.base.suggest import kind_of
from mixcompare.base.workers import end_if_imported_by_worker
from mixcompare.data.panel import Missing, Panel, build_panel
from mixcompare.model.spec import MixtureSpec, check_spec
from mixcompare.selection.candidates import Candidate, climb_higher, fit_range, renew_falls
from mixcompare.selection.criteria_table import posterior_table, selection_table
from mixcompare.selection.likelihood_ratio import bootstrap_tests
from mixcompare.selection.posterior import Asked, PosteriorOf, check_asked, explore
from mixcompare.selection.selection import Selection, load_selection

# Numbers of classes to fit at the most, and what a replicate keeps at the least.
_MOST_COUNTS, _BYTES = 1000, 500

__all__ = ["Selection", "check_arguments", "load_selection", "select"]


def select(
    spec: MixtureSpec,
    data: Any,
    *,
    n_components: Iterable[int] = range(1, 6),
    seed: int = 0,
    missing: Missing = "error",
    replicates: int = 0,
    replicate_starts: int = 10,
    workers: int = 1,
    posterior: Sequence[Asked] = (),
    sampling: Mapping[str, Any] | None = None,
    **options: Any,
) -> Selection:
    """Fit one model by EM, and if asked by PyMC, with several numbers of classes.

    Criteria rank the fits; they do not show that classes exist, and they disagree for good
    reasons: AIC and often BIC count the classes of an approximation, ICL those that are told
    apart. Cross-validation asks for prediction, and the marginal likelihood, which depends on
    the priors as nothing else here does, for the odds of the models.

    Parameters
    ----------
    spec
        The model; its own number of classes plays no part.
    data, missing
        As `mixcompare.fit` takes them.
    n_components
        The numbers of classes.
    seed
        Root of every random number; a number of classes is fitted alike in any range.
    replicates
        Simulated data sets for each bootstrap likelihood-ratio test; 0 for no tests. 99 give
        a p-value of 0.01 at the least.
    replicate_starts
        Random starts of the larger model in each simulated data set.
    workers
        Processes that share the simulated data sets; the results are the same to the bit. With
        more than one a script needs ``if __name__ == "__main__":`` around what it runs.
    posterior
        Criteria of the posterior, each for every number of classes: ``"loo"``, leave-one-unit-out
        cross-validation by Pareto-smoothed importance sampling (Vehtari, Gelman & Gabry 2017);
        the log marginal likelihood by ``"bridge"``, bridge sampling (Meng & Wong 1996; Gronau et
        al. 2017) from the same draws, and by ``"smc"``, sequential Monte Carlo (Del Moral, Doucet
        & Jasra 2006). Two that agree are worth more than either. A posterior that has not
        converged, or whose draws stay too far below EM's maximum, is sampled once more with
        another seed; if that does not help it is in the table, with the reason, and no criterion
        chooses it.
    sampling
        Options of the PyMC backend for these, see `mixcompare.backends.pymc.Options`;
        sequential Monte Carlo takes `draws` and `chains` as its particles and runs.
    **options
        The EM's, see `mixcompare.backends.em.Options`.

    Raises
    ------
    OptionError
        If an option is not valid, or tests are asked of what cannot be simulated.
    DegenerateFitError
        If no number of classes could be fitted.
    DataError
        If the data do not suit the specification.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> found = mc.select(spec, load("gapminder"), n_components=[1, 2, 3], starts=10)
    >>> found.best("bic")
    3
    """
    if workers != 1:
        end_if_imported_by_worker()
    check_spec(spec, "select")
    if sampling is not None and not isinstance(sampling, Mapping):
        raise OptionError(f"sampling must be a mapping of options, not {kind_of(sampling)}.")
    counts, sampling = _as_list("n_components", n_components), dict(sampling or {})
    posterior = _as_list("posterior", posterior)
    check_whole("workers", workers)
    check_workers(workers)
    check_seed(seed)
    check_arguments(counts, replicates, replicate_starts, posterior, sampling, options)
    asked = _repeats(
        options,
        n_components=counts,
        seed=seed,
        replicates=replicates,
        replicate_starts=replicate_starts,
        posterior=posterior,
        sampling=sampling,
    )
    panel = data if isinstance(data, Panel) else build_panel(spec, data, missing=missing)
    candidates = fit_range(spec, panel, counts, seed, options)
    if all(candidate.fit is None for candidate in candidates):
        raise DegenerateFitError(f"no number of classes could be fitted: {candidates[0].message}")
    explored = {
        c.n_components: explore(
            c.fit, replace(spec, n_components=c.n_components), panel, posterior, seed, sampling
        )
        for c in candidates
        if posterior
    }
    candidates = _improved(candidates, explored, options)
    tests = None
    if replicates:
        tests = bootstrap_tests(candidates, replicates, replicate_starts, seed, workers)
    table = selection_table(candidates)
    return Selection(
        {c.n_components: c.fit for c in candidates if c.fit is not None},
        table.join(posterior_table(explored)) if explored else table,
        tests,
        {
            k: posterior_of.fit
            for k, posterior_of in explored.items()
            if posterior_of.fit is not None
        },
        {
            k: posterior_of.loo
            for k, posterior_of in explored.items()
            if posterior_of.loo is not None
        },
        asked,
    )


def _repeats(options: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    """Arguments that lead to the same numbers: what is shown meanwhile is not among them."""
    given["sampling"] = {k: v for k, v in given["sampling"].items() if k != "progress"}
    return given | {k: v for k, v in options.items() if k != "progress"}


def _improved(
    candidates: Sequence[Candidate], explored: Mapping[int, PosteriorOf], options: Mapping[str, Any]
) -> list[Candidate]:
    """Candidates whose EM was run again where a draw lies above its maximum."""
    improved = []
    for candidate in candidates:
        posterior_of = explored.get(candidate.n_components)
        if posterior_of is not None and posterior_of.fit is not None:
            height = posterior_of.fit.log_likelihood
            candidate = climb_higher(candidate, posterior_of.fit.highest_draw, height, options)
        improved.append(candidate)
    return renew_falls(improved)


def check_arguments(
    counts: Sequence[int],
    replicates: int,
    starts: int,
    posterior: Sequence[str],
    sampling: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Refuse what `select` cannot do, before anything is fitted.

    Parameters
    ----------
    counts, starts
        Its `n_components` and `replicate_starts`; the others have its names.

    Raises
    ------
    OptionError
        What is wrong, and what is allowed.
    """
    if not counts or len(set(counts)) < len(counts) or not all(map(_is_count, counts)):
        raise OptionError(
            f"n_components must be different whole numbers of at least 1, not {counts!r}."
        )
    _check_replicates(replicates, starts, options)
    check_asked(posterior, counts, sampling)


def _check_replicates(replicates: int, starts: int, options: Mapping[str, Any]) -> None:
    check_whole("replicates", replicates, lowest=0)
    check_whole("replicate_starts", starts)
    check_memory(replicates * _BYTES, f"replicates = {replicates}")
    check_memory(starts * _BYTES, f"replicate_starts = {starts}")
    em_options = build_options("em", options)
    if em_options.estimator != "ml":
        raise OptionError(
            "selection compares maxima of the likelihood: estimator must be 'ml', not "
            f"{em_options.estimator!r}."
        )
    if em_options.initial is not None:
        raise OptionError("initial suits one number of classes and cannot be given here.")


def _as_list(name: str, values: Any) -> list[Any]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        example = "range(1, 6) or [1, 2, 3]" if name == "n_components" else "('loo', 'bridge')"
        raise OptionError(f"{name} must be several values, as in {example}, not {kind_of(values)}.")
    listed = list(islice(values, _MOST_COUNTS + 1))  # a range may have no end that anybody reaches
    if len(listed) > _MOST_COUNTS:
        raise OptionError(
            f"{name} has more than {_MOST_COUNTS:,} values, from {listed[0]!r} on, and each is "
            "fitted. Ask for fewer."
        )
    return listed


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
