"""Random numbers of a study: each task's own, whatever the order and the number of workers.

A stream is named by what it is for, not by its place in a list, so that a grid that grows or
methods that are added leave the streams of all others as they were.
"""

from __future__ import annotations

import hashlib

import numpy as np


def data_stream(root: int, scenario: str, replicate: int) -> np.random.SeedSequence:
    """Random numbers of one data set, which all methods see.

    Parameters
    ----------
    root
        The study's seed.
    scenario
        The scenario's label.
    replicate
        Counted from 0.
    """
    return np.random.SeedSequence(root, spawn_key=(*_words(scenario), replicate))


def fit_seed(root: int, scenario: str, replicate: int, method: str) -> int:
    """Seed of one fit, a whole number below 2^63 that can be passed to `mixcompare.fit`."""
    key = (*_words(scenario), replicate, *_words(method))
    state = np.random.SeedSequence(root, spawn_key=key).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def _words(name: str) -> tuple[int, ...]:
    """Four 32-bit words that stand for a name."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
