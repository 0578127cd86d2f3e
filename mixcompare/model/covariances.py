"""The structures of a covariance, each with what tables, priors and checks know of it.

The backends share this and no arithmetic: each has a ``covariances.py`` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, Protocol

import numpy as np

from mixcompare.base.arrays import FloatArray

Covariance = Literal["full", "diagonal", "spherical"]
type Elements = tuple[tuple[int, int], ...]


class Structure(Protocol):
    """What is to be known of a structure of (m, m) covariances.

    Attributes
    ----------
    symbol
        HTML of the covariance of several outcomes, with a place for the class's index.
    """

    symbol: ClassVar[str]

    def elements(self, m: int) -> tuple[Elements, ...]:
        """Places of each free number, which holds all of them; elsewhere is zero."""

    def lowest_degrees(self, m: int, /) -> int:
        """What the prior's degrees of freedom must be above."""

    def prior_in_words(self, nu: float, psi: FloatArray) -> str:
        """The prior with nu degrees of freedom and the scale (m, m)."""

    def draw(self, nu: float, psi: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """(size, m, m) draws from the prior."""

    def log_prior_gradient(self, nu: float, psi: FloatArray, sigma: FloatArray) -> FloatArray:
        """(K, m, m) derivatives of the prior's log-density by the elements of (K, m, m).

        Elements that are one number share its derivative, which stands at the first of them.
        """


class Full:
    """Any covariance; the prior is inverse-Wishart."""

    symbol: ClassVar[str] = "Σ{}"

    def elements(self, m: int) -> tuple[Elements, ...]:
        """The lower triangle, row by row."""
        pairs = ((i, j) for i in range(m) for j in range(i + 1))
        return tuple(tuple(sorted({(i, j), (j, i)})) for i, j in pairs)

    def lowest_degrees(self, m: int, /) -> int:
        """Below which the density has no integral."""
        return m - 1

    def prior_in_words(self, nu: float, psi: FloatArray) -> str:
        """Inverse-Wishart; of one outcome the inverse-gamma that this is."""
        if len(psi) == 1:
            return Spherical().prior_in_words(nu, psi)
        matrix = "; ".join(" ".join(f"{v:.4g}" for v in row) for row in psi)
        return f"Inverse-Wishart({nu:g}, [{matrix}])"

    def draw(self, nu: float, psi: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """Inverse-Wishart draws."""
        from scipy.stats import invwishart  # slow to import, needed by few

        drawn = invwishart(nu, psi).rvs(size=size, random_state=rng)
        return np.asarray(drawn).reshape(size, *psi.shape)

    def log_prior_gradient(self, nu: float, psi: FloatArray, sigma: FloatArray) -> FloatArray:
        """Of the inverse-Wishart density."""
        precision = np.linalg.inv(sigma)
        pulled = precision @ psi @ precision
        return np.asarray(0.5 * pulled - 0.5 * (nu + sigma.shape[-1] + 1) * precision)


class Diagonal:
    """A variance of each outcome; the priors are inverse-gamma."""

    symbol: ClassVar[str] = "diag(σ²<sub>1</sub>, …){}"

    def elements(self, m: int) -> tuple[Elements, ...]:
        """One variance by one."""
        return tuple(((i, i),) for i in range(m))

    def lowest_degrees(self, _m: int, /) -> int:
        """Of inverse-gamma densities."""
        return 0

    def prior_in_words(self, nu: float, psi: FloatArray) -> str:
        """Inverse-gamma with a scale for each outcome."""
        if len(psi) == 1:
            return Spherical().prior_in_words(nu, psi)
        return f"Inverse-Gamma({nu / 2:g}, [{', '.join(f'{v / 2:.4g}' for v in np.diag(psi))}])"

    def draw(self, nu: float, psi: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """Inverse-gamma draws on the diagonal."""
        from scipy.stats import invgamma

        m = len(psi)
        variances = invgamma(nu / 2).rvs(size=(size, m), random_state=rng) * np.diag(psi) / 2
        return np.asarray(variances[:, :, None] * np.eye(m))

    def log_prior_gradient(self, nu: float, psi: FloatArray, sigma: FloatArray) -> FloatArray:
        """Of each variance's inverse-gamma density."""
        variance = np.diagonal(sigma, axis1=1, axis2=2)
        slope = 0.5 * np.diag(psi) / variance**2 - (nu / 2 + 1) / variance
        return np.asarray(slope[:, :, None] * np.eye(len(psi)))


class Spherical:
    """One variance for all outcomes; its prior is inverse-gamma with the mean scale."""

    symbol: ClassVar[str] = "σ²{} I"

    def elements(self, m: int) -> tuple[Elements, ...]:
        """The diagonal."""
        return (tuple((i, i) for i in range(m)),)

    def lowest_degrees(self, _m: int, /) -> int:
        """Of an inverse-gamma density."""
        return 0

    def prior_in_words(self, nu: float, psi: FloatArray) -> str:
        """Inverse-gamma."""
        return f"Inverse-Gamma({nu / 2:g}, {np.trace(psi) / len(psi) / 2:.4g})"

    def draw(self, nu: float, psi: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """Inverse-gamma draws, repeated on the diagonal."""
        from scipy.stats import invgamma

        m = len(psi)
        scale = (np.diag(psi) / 2).mean()
        variances = invgamma(nu / 2).rvs(size=(size, 1), random_state=rng) * scale
        return np.asarray(variances[:, :, None] * np.eye(m))

    def log_prior_gradient(self, nu: float, psi: FloatArray, sigma: FloatArray) -> FloatArray:
        """Of the one variance's inverse-gamma density."""
        gradient = np.zeros_like(sigma)
        variance, scale = sigma[:, 0, 0], np.diag(psi).mean()
        gradient[:, 0, 0] = 0.5 * scale / variance**2 - (nu / 2 + 1) / variance
        return gradient


STRUCTURES: Final[Mapping[Covariance, Structure]] = {
    "spherical": Spherical(),
    "diagonal": Diagonal(),
    "full": Full(),
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
    found = np.zeros_like(matrices)
    for places in elements(covariance, matrices.shape[-1]):
        rows, columns = (list(axis) for axis in zip(*places, strict=True))
        found[..., rows, columns] = matrices[..., rows, columns].mean(axis=-1, keepdims=True)
    return found


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
