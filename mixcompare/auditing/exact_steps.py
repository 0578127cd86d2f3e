"""The exact E- and M-step of the audited model, by mixcompare's own EM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from mixcompare.auditing.parameters import Parameters
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions.normal.normal_emission import NormalEmission
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.mixture import Mixture, maximise
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel


@dataclass(frozen=True, slots=True, eq=False)
class ExactSteps:
    """EM of a normal mixture with constant class probabilities, in standardised units."""

    model: Mixture

    @classmethod
    def of(cls, spec: MixtureSpec, prepared: PreparedPanel) -> ExactSteps:
        """Those of a specification on its data."""
        return cls(mixture_of(spec, prepared))

    @property
    def data(self) -> Standardised:
        """Rows in standardised coordinates."""
        return self._normal.data

    @property
    def _normal(self) -> NormalEmission:
        return cast("NormalEmission", self.model.emissions[0])

    def counting(self, rows: FloatArray) -> ExactSteps:
        """The same with other numbers of rows (G,) of the units."""
        normal = replace(self._normal, data=replace(self.data, degrees_of_freedom=rows))
        return ExactSteps(replace(self.model, emissions=(normal,)))

    def expect(self, parameters: Parameters) -> Expected:
        """E-step."""
        return self.model.expect(_theta(parameters))

    def maximise(self, tau: FloatArray) -> Parameters:
        """M-step from class probabilities (G, K); DegenerateComponentError if there is none."""
        return _parameters(maximise(self.model, tau))

    def to_raw(self, parameters: Parameters) -> Parameters:
        """Parameters in the data's own units."""
        return _parameters(self.model.to_raw(_theta(parameters)))

    def from_raw(self, parameters: Parameters) -> Parameters:
        """Parameters in standardised units."""
        return _parameters(self.model.from_raw(_theta(parameters)))


def _theta(parameters: Parameters) -> Theta:
    response = {"coefficients": parameters.coefficients, "covariance": parameters.covariance}
    return Theta({"weights": parameters.weights}, (response,))


def _parameters(theta: Theta) -> Parameters:
    [response] = theta.responses
    return Parameters(theta.weights, response["coefficients"], response["covariance"])
