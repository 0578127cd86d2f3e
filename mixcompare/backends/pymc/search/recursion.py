"""The two-loop recursion of L-BFGS (Nocedal 1980, section 2), compiled: it is most of a climb."""

from __future__ import annotations

import numpy as np

from mixcompare.base.kernel_cache import njit


@njit(cache=True, nogil=True, error_model="numpy")
def ascents(slopes, scale, steps, bends, weights, iteration):
    """Slopes by the inverse of the remembered curvature, (n, D).

    Parameters
    ----------
    slopes
        (n, D) gradients of n climbs.
    scale
        (n,) inverse curvature along the last step.
    steps, bends, weights
        (memory, n, D) twice and (memory, n): remembered steps, the slope's fall along each, and
        one over the product of both; a weight of zero forgets a pair.
    iteration
        How many steps were taken; the place of the last is one less, modulo the memory.
    """
    memory, n = weights.shape
    d = slopes.shape[1]
    ways = slopes.copy()
    shares = np.empty(memory)
    first = max(0, iteration - memory)
    for c in range(n):
        for i in range(iteration - 1, first - 1, -1):
            at = i % memory
            share = 0.0
            if weights[at, c] != 0.0:
                for j in range(d):
                    share += steps[at, c, j] * ways[c, j]
                share *= weights[at, c]
                for j in range(d):
                    ways[c, j] -= share * bends[at, c, j]
            shares[at] = share
        for j in range(d):
            ways[c, j] *= scale[c]
        for i in range(first, iteration):
            at = i % memory
            if weights[at, c] != 0.0:
                back = 0.0
                for j in range(d):
                    back += bends[at, c, j] * ways[c, j]
                share = shares[at] - weights[at, c] * back
                for j in range(d):
                    ways[c, j] += share * steps[at, c, j]
    return ways
