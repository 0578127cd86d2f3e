"""Fitted values: by class, and averaged over class probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.data.new_rows import NewRows
from mixcompare.data.within import within_cells
from mixcompare.prediction.samples import Samples

_BATCH_VALUES = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Mean over the samples, and equal-tailed interval (2, ...) where there are several."""

    mean: FloatArray
    interval: FloatArray | None


def summarise(values: FloatArray, interval: float) -> Summary:
    """Summarise (S, ...) values of S samples."""
    if len(values) == 1:
        return Summary(values[0], None)
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    return Summary(values.mean(axis=0), np.quantile(values, tails, axis=0))


def fitted_values(
    samples: Samples, rows: NewRows, averaged_over: Mapping[str, FloatArray], interval: float
) -> dict[str, Summary]:
    """Expected outcomes of every row.

    Parameters
    ----------
    averaged_over
        (S, G, K) class probabilities by the name of the average.
    interval
        Probability of the intervals.

    Returns
    -------
    ``fitted_by_class`` (N, K, m) and each average (N, m).
    """
    parts: list[dict[str, Summary]] = []
    covariates = design(rows)
    for batch in _batches(samples, rows):
        by_class = given_class(samples, covariates[batch])
        values = {"fitted_by_class": by_class}
        for name, probabilities in averaged_over.items():
            by_row = probabilities[:, rows.unit[batch]]
            values[name] = np.einsum("snk,snkm->snm", by_row, by_class)
        parts.append({name: summarise(value, interval) for name, value in values.items()})
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def design(rows: NewRows) -> FloatArray:
    """(N, p) covariates; under absorption less their means over the cell's rows."""
    return within_cells(rows.covariates, rows.cell)


def given_class(samples: Samples, covariates: FloatArray) -> FloatArray:
    """(S, n, K, m) expected outcomes given the class, of rows (n, p)."""
    each = covariates @ samples.coefficients  # (S, K, n, m)
    return np.asarray(each.swapaxes(1, 2))


def _batches(samples: Samples, rows: NewRows) -> Iterator[slice]:
    n_rows = len(rows.unit)
    _, k, _, m = samples.coefficients.shape
    size = max(1, _BATCH_VALUES // (samples.n_samples * k * m))
    yield from (slice(i, i + size) for i in range(0, n_rows, size))


def _joined(parts: list[Summary]) -> Summary:
    intervals = [part.interval for part in parts if part.interval is not None]
    return Summary(
        np.concatenate([part.mean for part in parts]),
        np.concatenate(intervals, axis=1) if intervals else None,
    )
