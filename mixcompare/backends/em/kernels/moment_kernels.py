"""Compiled weighted moments of a tile of rows about a mean, for `mixture_kernels`."""

from __future__ import annotations

from mixcompare.backends.em.kernels.posterior_kernels import OPTIONS, TILE
from mixcompare.base.kernel_cache import njit

# A class whose responsibilities in a tile sum to less adds nothing to moments: whitened
# values are at most the square root of the number of rows, and no class has less than a row.
_NOTHING = 1e-60


@njit(**OPTIONS)
def add_moments(tile, mean, tau, centred, weighted, total, first, second):
    """Add a tile's weights and weighted sums and cross-products of differences from a mean.

    The tile is (strips, 4 TILE), the mean (4 strips,) and tau (TILE,). Of the sums total is (1,),
    first (4 strips,) and second (4 strips, 4 strips), below the diagonal. The centred tile and a
    weighted strip (4 TILE,) are workspace.
    """
    mass = 0.0
    for u in range(TILE):
        mass += tau[u]
    if mass <= _NOTHING:
        return
    total[0] += mass
    for i in range(tile.shape[0]):
        _weigh(tile[i], mean, tau, 4 * i, centred[i], weighted, first)
        for j in range(i):
            _block(weighted, centred[j], 4 * i, 4 * j, second)
        _diagonal_block(weighted, centred[i], 4 * i, second)


@njit(**OPTIONS)
def _weigh(strip, mean, tau, i, centred, weighted, first):
    """Centre the strip (4 TILE,) of outcomes i to i + 3, weigh it, and add its sums to (4,)."""
    b0, b1, b2, b3 = mean[i], mean[i + 1], mean[i + 2], mean[i + 3]
    s0 = s1 = s2 = s3 = 0.0
    for u in range(TILE):
        x0, x1 = strip[u] - b0, strip[u + TILE] - b1
        x2, x3 = strip[u + 2 * TILE] - b2, strip[u + 3 * TILE] - b3
        centred[u] = x0
        centred[u + TILE] = x1
        centred[u + 2 * TILE] = x2
        centred[u + 3 * TILE] = x3
        w0, w1, w2, w3 = tau[u] * x0, tau[u] * x1, tau[u] * x2, tau[u] * x3
        weighted[u] = w0
        weighted[u + TILE] = w1
        weighted[u + 2 * TILE] = w2
        weighted[u + 3 * TILE] = w3
        s0 += w0
        s1 += w1
        s2 += w2
        s3 += w3
    first[i] += s0
    first[i + 1] += s1
    first[i + 2] += s2
    first[i + 3] += s3


@njit(**OPTIONS)
def _block(w, x, i, j, total):
    """Add the products of two strips (4 TILE,) to the four by four block at (i, j)."""
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
    for u in range(TILE):
        x0, x1, x2, x3 = x[u], x[u + TILE], x[u + 2 * TILE], x[u + 3 * TILE]
        w0, w1, w2, w3 = w[u], w[u + TILE], w[u + 2 * TILE], w[u + 3 * TILE]
        s00 += w0 * x0
        s01 += w0 * x1
        s02 += w0 * x2
        s03 += w0 * x3
        s10 += w1 * x0
        s11 += w1 * x1
        s12 += w1 * x2
        s13 += w1 * x3
        s20 += w2 * x0
        s21 += w2 * x1
        s22 += w2 * x2
        s23 += w2 * x3
        s30 += w3 * x0
        s31 += w3 * x1
        s32 += w3 * x2
        s33 += w3 * x3
    rows = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
    for a, row in enumerate(rows):
        for b, value in enumerate(row):
            total[i + a, j + b] += value


@njit(**OPTIONS)
def _diagonal_block(w, x, i, total):
    """The same of a strip with itself, below the diagonal."""
    s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = 0.0
    for u in range(TILE):
        x0, x1, x2, x3 = x[u], x[u + TILE], x[u + 2 * TILE], x[u + 3 * TILE]
        w0, w1, w2, w3 = w[u], w[u + TILE], w[u + 2 * TILE], w[u + 3 * TILE]
        s00 += w0 * x0
        s10 += w1 * x0
        s11 += w1 * x1
        s20 += w2 * x0
        s21 += w2 * x1
        s22 += w2 * x2
        s30 += w3 * x0
        s31 += w3 * x1
        s32 += w3 * x2
        s33 += w3 * x3
    rows = ((s00, 0.0, 0.0, 0.0), (s10, s11, 0.0, 0.0), (s20, s21, s22, 0.0), (s30, s31, s32, s33))
    for a, row in enumerate(rows):
        for b, value in enumerate(row):
            total[i + a, i + b] += value


@njit(**OPTIONS)
def symmetric(matrix):
    """Copy the lower triangle of a square matrix to the upper one."""
    for i in range(matrix.shape[0]):
        for j in range(i):
            matrix[j, i] = matrix[i, j]
