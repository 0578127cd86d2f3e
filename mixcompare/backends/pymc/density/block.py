"""The block of numbers that the compiled density reads, and views of it and of points."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from mixcompare.backends.pymc.density.likelihood_kernels import INNER
from mixcompare.base.kernel_cache import njit

# A block of numbers begins with its length and these.
Sizes = namedtuple(
    "Sizes",
    "n_components n_varying n_common n_outcomes n_concomitants n_covariances n_squares n_below "
    "n_rows n_tiles tile full",
)
# Then come the density's constants, see `mixcompare.backends.pymc.mixture.Mixture.inputs`.
Constants = namedtuple(
    "Constants",
    "log_constant log_determinant_constant concentration contrasts membership_spread common_offset "
    "common_spread offset spread common_share squares_df squares_map below_map first tiles",
)
# And the free variables are these; class probabilities are one row of weights or the contrasts.
Free = namedtuple("Free", "classes common varying squares below")
N_SIZES = len(Sizes._fields)


@njit(**INNER)
def read_sizes(block):
    """What a block says of the model's sizes."""
    n = np.empty(N_SIZES, dtype=np.int64)
    for i in range(N_SIZES):
        n[i] = int(block[i + 1])
    return Sizes(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11])


@njit(**INNER)
def _vector(block, at, size):
    """The next numbers of a block, and where those after them begin."""
    return block[at : at + size], at + size


@njit(**INNER)
def _matrix(block, at, rows, columns):
    """The next numbers of a block as a matrix, and where those after them begin."""
    end = at + rows * columns
    return block[at:end].reshape(rows, columns), end


@njit(**INNER)
def read_constants(block, s):
    """Views of a block's constants."""
    k, m, c = s.n_components, s.n_outcomes, s.n_concomitants
    varying, common = s.n_varying * m, s.n_common * m
    concentration, at = _vector(block, N_SIZES + 3, 0 if c else k)
    contrasts, at = _matrix(block, at, k - 1, k)
    membership_spread, at = _matrix(block, at, c, c)
    common_offset, at = _vector(block, at, common)
    common_spread, at = _matrix(block, at, common, common)
    offset, at = _vector(block, at, varying)
    spread, at = _matrix(block, at, varying, varying)
    common_share, at = _matrix(block, at, varying, common)
    squares_df, at = _vector(block, at, s.n_squares)
    squares_map, at = _matrix(block, at, s.n_squares, m * m)
    below_map, at = _matrix(block, at, s.n_below, m * m)
    first, at = _vector(block, at, s.n_rows)
    tiles, at = _matrix(block, at, s.n_tiles, s.tile)
    return Constants(
        block[N_SIZES + 1],
        block[N_SIZES + 2],
        concentration,
        contrasts,
        membership_spread,
        common_offset,
        common_spread,
        offset,
        spread,
        common_share,
        squares_df,
        squares_map,
        below_map,
        first,
        tiles,
    )


@njit(**INNER)
def free_variables(point, s):
    """Views of the free variables in a point, or in a gradient."""
    k, m, c = s.n_components, s.n_outcomes, s.n_concomitants
    classes, at = _matrix(point, 0, k - 1 if c else 1, c if c else k - 1)
    common, at = _vector(point, at, s.n_common * m)
    varying, at = _matrix(point, at, k, s.n_varying * m)
    squares, at = _matrix(point, at, s.n_covariances, s.n_squares)
    below, at = _matrix(point, at, s.n_covariances, s.n_below)
    return Free(classes, common, varying, squares, below)
