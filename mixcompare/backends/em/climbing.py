"""EM as a way up from any point: to which optimum does a draw belong?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from mixcompare.backends.em.compiled import with_kernels
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.spurious import Spurious, find_spurious, rounding_steps
from mixcompare.backends.em.standardise import standardise
from mixcompare.backends.em.starts import unit_summaries, users_start
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel


@dataclass(frozen=True, slots=True, eq=False)
class Summit:
    """Where EM ended: parameters in the data's units, responsibilities (G, K).

    The objective is what EM climbs: the log-likelihood, for a mode of the posterior with the
    log-prior. A class that makes it spurious is given, see `mixcompare.backends.em.spurious`.
    """

    parameters: Parameters
    responsibilities: FloatArray
    log_likelihood: float
    objective: float
    spurious: Spurious | None


class Climber:
    """EM on one data set, from any point.

    Parameters
    ----------
    options
        How EM is run; its starts and standard errors play no part.
    climbs
        How many are expected, to judge whether compiled kernels pay.
    """

    def __init__(
        self, spec: MixtureSpec, prepared: PreparedPanel, options: Options, climbs: int
    ) -> None:
        self._spec, self._options = spec, options
        data = standardise(spec, prepared, with_prior=options.estimator == "map")
        self._data = with_kernels(data, options.kernels, spec.n_components, climbs)
        self._steps = rounding_steps(data)

    def climb(self, responsibilities: FloatArray) -> Summit | None:
        """The optimum above responsibilities (G, K); None if EM does not converge."""
        with threadpool_limits(1, user_api="blas"):
            run = iterate(self._spec, self._data, responsibilities, self._options)
        if run.status != "converged" or run.e_step is None:
            return None
        return Summit(
            self._data.to_raw(run.parameters[-1]),
            run.e_step.responsibilities,
            float(run.log_likelihood[-1]),
            float(run.objective[-1]),
            find_spurious(self._spec, self._data, run.e_step, self._steps),
        )

    def responsibilities(self, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """(G, K) at parameters by name, in the data's units."""
        return users_start(self._spec, self._data, parameters)

    @property
    def unit_summaries(self) -> FloatArray:
        """(G, p m) each unit's own least-squares fit, shrunk towards the pooled one."""
        return unit_summaries(self._data)
