"""Triangular factors of many blocks of rows, by NumPy or compiled.

Both ways give the factor whose diagonal is not negative, which is the only one of a block
of full rank, so that results do not depend on the way beyond rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray

Kernels = Literal["auto", "numba", "numpy"]
# (N, p) and (N, m).
type Columns = tuple[FloatArray, FloatArray]

_BATCH_VALUES = 4_000_000
# Longer blocks are factored in pieces, so that they do not hold up their whole group.
_LONGEST = 512
# A fresh process takes about half a second to import numba and load cached kernels; NumPy
# needs about 50 ns for a value of the rows.
_WORTH_VALUES = 40_000_000
# Squares of larger or smaller columns could overflow or vanish in the kernel.
_LARGEST, _SMALLEST = 1e100, 1e-100


def factorise(
    x: FloatArray, y: FloatArray, n_rows: IntArray, norm: FloatArray, kernels: Kernels = "auto"
) -> FloatArray:
    """(G, r, q) factors of consecutive blocks of rows with r = min(longest block, q).

    Blocks of at most q rows stay as they are, filled up with rows of zeros.

    Parameters
    ----------
    x, y
        (N, p) and (N, m) columns, q = p + m.
    n_rows
        (G,) length of each block.
    norm
        (q,) Euclidean norms of the columns.
    kernels
        ``"auto"`` chooses by the size of the rows, and nothing else, so that the same rows
        always give the same factors.
    """
    q = x.shape[1] + y.shape[1]
    begin = np.cumsum(n_rows) - n_rows
    longest = int(n_rows.max())
    if longest <= q and n_rows.min() == longest:
        return np.concatenate([x, y], axis=1).reshape(len(n_rows), longest, q)
    factor = np.zeros((len(n_rows), min(longest, q), q))
    short = np.flatnonzero((n_rows <= q) & (n_rows > 0))
    factor[short] = _padded((x, y), begin[short], n_rows[short], factor.shape[1])
    long = np.flatnonzero(n_rows > q)
    if long.size and _use_kernel(x.size + y.size, norm, kernels):
        _by_kernel((x, y), begin[long], n_rows[long], long, factor)
    else:
        _by_numpy((x, y), begin[long], n_rows[long], long, factor)
    return factor


def _use_kernel(values: int, norm: FloatArray, kernels: Kernels) -> bool:
    if kernels == "numpy" or (kernels == "auto" and values < _WORTH_VALUES):
        return False
    if norm.min() < _SMALLEST or norm.max() > _LARGEST:
        return False
    try:
        from mixcompare.prepared import triangles  # noqa: F401 - numba takes long to import
    except RuntimeError:  # numba has no folder for its cache, as in a read-only installation
        return False
    return True


def _by_numpy(
    columns: Columns, begin: IntArray, count: IntArray, place: IntArray, factor: FloatArray
) -> None:
    """Fill ``factor[place]`` by batched QR of blocks filled up to like length."""
    for batch in _batches_of_like_length(count, factor.shape[-1]):
        block = _padded(columns, begin[batch], count[batch], int(count[batch].max()))
        triangle = np.linalg.qr(block, mode="r")
        falling = np.diagonal(triangle, axis1=1, axis2=2) < 0
        factor[place[batch]] = np.where(falling[..., None], -triangle, triangle)


def _by_kernel(
    columns: Columns, begin: IntArray, count: IntArray, place: IntArray, factor: FloatArray
) -> None:
    """Fill ``factor[place]`` by the compiled kernel; long blocks in pieces, then joined."""
    from mixcompare.prepared.triangles import triangles

    q = factor.shape[-1]
    longest = max(_LONGEST, 8 * q)
    order = np.argsort(count, kind="stable")
    order = order[count[order] <= longest]
    x, y = (np.ascontiguousarray(part) for part in columns)
    triangles(x, y, begin[order], count[order], place[order], factor)
    long = np.flatnonzero(count > longest)
    if not long.size:
        return
    pieces = -(-count[long] // longest)
    within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = np.repeat(begin[long], pieces) + within * longest
    end = np.repeat(begin[long] + count[long], pieces)
    held = np.minimum(longest, end - first)
    parts = np.zeros((len(first), q, q))
    triangles(x, y, first, held, np.arange(len(first)), parts)
    rows, begin_parts = parts.reshape(-1, q), (np.cumsum(pieces) - pieces) * q
    p = x.shape[1]
    _by_kernel((rows[:, :p], rows[:, p:]), begin_parts, pieces * q, place[long], factor)


def _padded(columns: Columns, begin: IntArray, count: IntArray, length: int) -> FloatArray:
    """(B, length, q) blocks of rows, filled up with rows of zeros."""
    x, y = columns
    p = x.shape[1]
    block = np.empty((len(begin), length, p + y.shape[1]))
    offset = np.arange(length)
    inside = offset < count[:, None]
    index = np.where(inside, begin[:, None] + offset, 0)
    block[..., :p] = x[index]
    block[..., p:] = y[index]
    block[~inside] = 0.0
    return block


def _batches_of_like_length(count: IntArray, q: int) -> Iterator[IntArray]:
    """Blocks of more than q rows, in batches whose lengths differ by less than two."""
    order = np.argsort(count, kind="stable")
    octave = np.log2(count[order] / q).astype(int)
    for batch in np.split(order, np.flatnonzero(np.diff(octave)) + 1):
        if batch.size:
            per_batch = max(1, _BATCH_VALUES // (int(count[batch].max()) * q))
            yield from (batch[i : i + per_batch] for i in range(0, len(batch), per_batch))
