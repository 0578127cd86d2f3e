"""Run a foreign iteration from given parameters and record its iterates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixcompare.auditing.exact_steps import ExactSteps
from mixcompare.auditing.trace import Trace, check_trace
from mixcompare.auditing.trace_format import NEEDED, TraceError
from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_whole
from mixcompare.data.panel import Panel
from mixcompare.model.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What one iteration of an EM takes and gives, in the data's own units.

    An iteration may also return a mapping with these names, and for one outcome drop the
    axes of length one, as in `mixcompare.auditing.trace.check_trace`.

    Attributes
    ----------
    weights, coefficients, covariance
        (K,), (K, p, m), (K, m, m); covariates in the formula's order.
    responsibilities
        (G, K) that this iteration's E-step has computed, if it tells; units sorted as
        `mixcompare.build_panel` sorts them.
    """

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    responsibilities: FloatArray | None = None


type Step = Callable[[State], State | Mapping[str, Any]]


def random_start(exact: ExactSteps, seed: int) -> State:
    """Parameters that the exact M-step gives from random responsibilities."""
    rng, model = np.random.default_rng(seed), exact.model
    tau = rng.dirichlet(np.ones(model.n_components), size=model.n_carriers)
    start = exact.to_raw(exact.maximise(tau))
    return State(start.weights, start.coefficients, start.covariance)


def record(
    spec: MixtureSpec, panel: Panel, step: Step, start: State | Mapping[str, Any], iterations: int
) -> tuple[Trace, str | None]:
    """Iterates of a foreign step, and why it stopped early if it did.

    Raises
    ------
    OptionError
        If `iterations` is less than one.
    TraceError
        If the start or what the step returns is unusable, or the very first step fails.
    """
    check_whole("iterations", iterations)
    states = [_full(spec, panel, start, 0)]
    stopped = None
    for number in range(1, iterations + 1):
        try:
            states.append(_full(spec, panel, step(states[-1]), number))
        except Exception as error:
            text = str(error).strip() or "no message."
            name = "" if isinstance(error, TraceError) else f"{type(error).__name__}: "
            stopped = f"iteration {number} failed: {name}{text}"
            if number == 1:
                raise TraceError(
                    f"the step function failed at its first iteration: {name}{text} It must take "
                    "a mixcompare.auditing.State and return one, or a mapping with weights, "
                    "coefficients and covariance."
                ) from error
            break
    return check_trace(spec, panel, _stack(states)), stopped


def _full(spec: MixtureSpec, panel: Panel, state: Any, number: int) -> State:
    """The state with all axes, checked by the rules for traces."""
    where = f"iteration {number}" if number else "the start"
    if not isinstance(state, (State, Mapping)):
        raise TraceError(
            f"{where} gives a {type(state).__name__}, not a State or a mapping with weights, "
            "coefficients and covariance."
        )
    names = (*NEEDED, "responsibilities")
    given = dict(state) if isinstance(state, Mapping) else {n: getattr(state, n) for n in names}
    given = {name: value for name, value in given.items() if value is not None}
    doubled: dict[str, Any] = {n: np.stack([v, v]) for n, v in given.items()}
    try:
        trace = check_trace(spec, panel, doubled | {"iteration": [number, number + 1]})
    except TraceError as error:
        if number:
            raise
        raise TraceError(f"the start cannot be used: {error}") from error
    tau = None if trace.responsibilities is None else trace.responsibilities[0]
    return State(trace.weights[0], trace.coefficients[0], trace.covariance[0], tau)


def _stack(states: list[State]) -> dict[str, Any]:
    arrays: dict[str, Any] = {n: np.stack([getattr(s, n) for s in states]) for n in NEEDED}
    told = [state.responsibilities for state in states]
    known = next((tau for tau in told if tau is not None), None)
    if known is not None:
        none = np.full(known.shape, np.nan)
        arrays["responsibilities"] = np.stack([none if tau is None else tau for tau in told])
    return arrays
