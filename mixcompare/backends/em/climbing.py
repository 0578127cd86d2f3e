"""EM as a way up from any point: to which optimum does a draw belong?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions.emission import Spurious
from mixcompare.backends.em.kernels.compiled_mixture import with_kernels
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.starts import users_start
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel


@dataclass(frozen=True, slots=True, eq=False)
class Summit:
    """Where EM ended: the model, parameters in the data's units, responsibilities (G, K).

    The objective is what EM climbs: the log-likelihood, for a mode of the posterior with the
    log-prior. A class that makes it spurious is given, see
    `mixcompare.backends.em.emissions.normal.spurious`.
    """

    model: Mixture
    theta: Theta
    responsibilities: FloatArray
    log_likelihood: float
    objective: float
    spurious: Spurious | None

    def blocks(self, order: IntArray) -> dict[str, FloatArray]:
        """The parameters by name, classes in another order."""
        return self.model.permute(self.theta, order).blocks


class Climber:
    """EM on one data set, from any point.

    Starts and standard errors of the options play no part; `climbs` is how many are expected, to
    judge whether compiled kernels pay.
    """

    def __init__(
        self, spec: MixtureSpec, prepared: PreparedPanel, options: Options, climbs: int
    ) -> None:
        self._options = options
        model = mixture_of(spec, prepared, with_prior=options.estimator == "map")
        self._model = with_kernels(model, options.kernels, climbs)

    def climb(self, responsibilities: FloatArray) -> Summit | None:
        """The optimum above responsibilities (G, K); None if EM does not converge."""
        with threadpool_limits(1, user_api="blas"):
            run = iterate(self._model, responsibilities, self._options)
        if run.status != "converged" or run.e_step is None:
            return None
        return Summit(
            self._model,
            self._model.to_raw(run.path[-1]),
            run.e_step.occupancy,
            float(run.log_likelihood[-1]),
            float(run.objective[-1]),
            self._model.spurious(run.e_step),
        )

    def responsibilities(self, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """(G, K) at parameters by name, in the data's units."""
        return users_start(self._model, parameters)

    @property
    def unit_summaries(self) -> FloatArray:
        """(G, f) numbers by which units of different classes differ."""
        return self._model.features()
