"""What the best start's end is: a maximum to rely on, or what should be known about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixcompare.backends.em.choice import Choice
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Started
from mixcompare.base.arrays import IntArray

_SADDLE = (
    "The estimate is a saddle point, not a maximum: the objective rises beside it, but EM from "
    "there ended in no usable fit, and no start reached a maximum. Nothing should be concluded "
    "from it: ask for fewer classes, for more starts, for covariance_by='shared' or for the mode "
    "of the posterior (estimator='map')."
)


def diagnose(
    choice: Choice, started: Sequence[Started], options: Options, order: IntArray, separated: str
) -> tuple[str, tuple[str, ...]]:
    """Status of the best start's end, and cautions: whole sentences, which can be joined.

    `order` (K,) renumbers the best start's components as the estimate has them; `separated` is what
    membership covariates that separate classes do, empty if there are none.
    """
    status: str = started[choice.best].run.status
    if status == "converged":
        status = "spurious" if 0 in choice.spurious else "separated" if separated else status
    cautions = (
        _SADDLE if status == "saddle" else "",
        _estimate_spurious(choice, options, order),
        _passed_over(choice, started),
        separated,
        _rare(choice, started, options),
    )
    return status, tuple(filter(None, cautions))


def _estimate_spurious(choice: Choice, options: Options, order: IntArray) -> str:
    if 0 not in choice.spurious:
        return ""
    mark = choice.spurious[0]
    name = f"class {int(np.flatnonzero(order == mark.component)[0]) + 1}"
    why = (
        "No start reached a maximum that is not."
        if options.spurious == "avoid"
        else "spurious='avoid' takes the highest maximum that is not, if there is one."
    )
    return (
        f"The estimate is a spurious maximum: {mark.sentence(name)}. {why} Ask for fewer classes, "
        "covariance_by='shared' or the mode of the posterior (estimator='map')."
    )


def _passed_over(choice: Choice, started: Sequence[Started]) -> str:
    if choice.passed_over is None:
        return ""
    higher = float(started[choice.reached[choice.passed_over]].run.log_likelihood[-1])
    above = higher - float(started[choice.best].run.log_likelihood[-1])
    return (
        f"A spurious maximum of the log-likelihood, {higher:.4f}, which is {above:.3g} higher, was "
        f"passed over: {choice.spurious[choice.passed_over].sentence('a class')}. "
        "spurious='keep' takes it instead."
    )


def _rare(choice: Choice, started: Sequence[Started], options: Options) -> str:
    """That the best optimum has not been found again, where several starts could have."""
    random = len(started) - sum(s.line < 0 for s in started)
    one_class = started[choice.best].run.path.weights.shape[-1] == 1
    if one_class or not random:
        return ""
    at_best, total = choice.at_best, len(started)
    if at_best > 1 and (options.starts is not None or choice.found_again):
        return ""
    reached = f"The best optimum was reached by {at_best} of {total:,} starts"
    if at_best > 1:
        [line] = choice.lines
        kind = options.kinds[line % len(options.kinds)] if line >= 0 else "user"
        reached += f", all of them {kind} ones or moved from these"
    spent = ", where the search's budget ends" if options.starts is None else ""
    return (
        f"{reached}{spent}: there may be a higher one. Ask for more starts, as in "
        f"starts={max(4 * total, 50)}."
    )
