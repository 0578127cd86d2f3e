"""The structures of a covariance, each with what tables, priors and checks know of it.

The backends share this and no arithmetic: each has a ``covariances.py`` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from mixcompare.base.arrays import FloatArray

Covariance = Literal["full", "diagonal", "spherical"]
type Elements = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Full:
    """Any covariance of outcomes; the prior is inverse-Wishart.

    Priors have nu degrees of freedom and a scale psi (m, m).

    Attributes
    ----------
    symbol
        HTML of the covariance of several outcomes, with a place for the class's index.
    """

    symbol: str

    def elements(self, m: int) -> tuple[Elements, ...]:
        """Places in (m, m) of each free number, which holds all of them; elsewhere is zero.

        Here the lower triangle, row by row.
        """
        pairs = ((i, j) for i in range(m) for j in range(i + 1))
        return tuple(tuple(sorted({(i, j), (j, i)})) for i, j in pairs)

    def lowest_degrees(self, m: int, /) -> int:
        """What nu must be above: below it the density has no integral."""
        return m - 1

    def prior_in_words(self, nu: float, psi: FloatArray) -> str:
        """Inverse-Wishart; of one outcome the inverse-gamma that this is."""
        if len(psi) == 1:
            return STRUCTURES["spherical"].prior_in_words(nu, psi)
        matrix = "; ".join(" ".join(f"{v:.4g}" for v in row) for row in psi)
        return f"Inverse-Wishart({nu:g}, [{matrix}])"

    def draw(self, nu: float, psi: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """(size, m, m) draws from the prior."""
        from scipy.stats import invwishart  # slow to import, needed by few

        drawn = invwishart(nu, psi).rvs(size=size, random_state=rng)
        return np.asarray(drawn).reshape(size, *psi.shape)

    def log_prior_gradient(self, nu: float, psi: FloatArray, sigma: FloatArray) -> FloatArray:
        """(K, m, m) derivatives of the prior's log-density by the elements of (K, m, m).

        Elements that are one number share its derivative, which may stand at the first of them.
        """
        precision = np.linalg.inv(sigma)
        pulled = precision @ psi @ precision
        return np.asarray(0.5 * pulled - 0.5 * (nu + sigma.shape[-1] + 1) * precision)


@dataclass(frozen=True, slots=True)
class Variances:
    """Variances of uncorrelated outcomes; priors are inverse-gamma. For methods see `Full`.

    Attributes
    ----------
    symbol
        As of `Full`.
    common
        Whether all outcomes have one variance, whose prior has the mean of their scales.
    """

    symbol: str
    common: bool

    def elements(self, m: int) -> tuple[Elements, ...]:
        """One variance by one, or the diagonal."""
        diagonal = tuple((i, i) for i in range(m))
        return (diagonal,) if self.common else tuple((place,) for place in diagonal)

    def lowest_degrees(self, _m: int, /) -> int:
        """Of inverse-gamma densities."""
        return 0

    def _scales(self, psi: FloatArray) -> FloatArray:
        """(q,) of each variance's prior, twice."""
        each = np.diag(psi)
        return np.asarray(each.mean(keepdims=True) if self.common else each)

    def prior_in_words(self, nu: float, psi: FloatArray) -> str:
        """Inverse-gamma with a scale for each variance."""
        scales = ", ".join(f"{v / 2:.4g}" for v in self._scales(psi))
        return f"Inverse-Gamma({nu / 2:g}, {f'[{scales}]' if ',' in scales else scales})"

    def draw(self, nu: float, psi: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """Inverse-gamma draws on the diagonal."""
        from scipy.stats import invgamma

        scales = self._scales(psi)
        variances = invgamma(nu / 2).rvs(size=(size, len(scales)), random_state=rng) * scales / 2
        return np.asarray(variances[:, :, None] * np.eye(len(psi)))

    def log_prior_gradient(self, nu: float, psi: FloatArray, sigma: FloatArray) -> FloatArray:
        """Of each variance's inverse-gamma density."""
        gradient, scales = np.zeros_like(sigma), self._scales(psi)
        first = range(len(scales))
        variance = sigma[:, first, first]
        gradient[:, first, first] = 0.5 * scales / variance**2 - (nu / 2 + 1) / variance
        return gradient


STRUCTURES: Final[Mapping[Covariance, Full | Variances]] = {
    "spherical": Variances("σ²{} I", common=True),
    "diagonal": Variances("diag(σ²<sub>1</sub>, …){}", common=False),
    "full": Full("Σ{}"),
}
"""From the narrowest to the widest."""


def elements(covariance: Covariance, m: int) -> tuple[Elements, ...]:
    """Places of each free number of a structure's (m, m) covariances."""
    return STRUCTURES[covariance].elements(m)


def has_covariances(covariance: Covariance) -> bool:
    """Whether outcomes may be correlated within a class."""
    return any(i != j for places in elements(covariance, 2) for i, j in places)


def nearest(covariance: Covariance, matrices: FloatArray) -> FloatArray:
    """Matrices (..., m, m) with each free number the mean of its places, and zeros elsewhere."""
    result = np.zeros_like(matrices)
    for places in elements(covariance, matrices.shape[-1]):
        rows, columns = (list(axis) for axis in zip(*places, strict=True))
        result[..., rows, columns] = matrices[..., rows, columns].mean(axis=-1, keepdims=True)
    return result


def narrowest(matrices: FloatArray, tolerance: FloatArray, first: Covariance) -> Covariance:
    """The structure of all matrices up to a tolerance: the first if it fits, or the narrowest."""
    for name in (first, *STRUCTURES):
        if (np.abs(matrices - nearest(name, matrices)) <= tolerance).all():
            return name
    return "full"


def root(covariance: FloatArray) -> FloatArray:
    """(..., m, m) matrices A with ``A A'`` the covariances, to draw from them.

    Lower triangular, or symmetric where rounding has left one of the covariances singular.
    """
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ vectors.mT)
