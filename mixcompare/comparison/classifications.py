"""Do the backends put the same units into the same classes?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.labels.metrics import adjusted_rand_index, relative_entropy, total_variation


def membership_table(
    units: np.ndarray,
    em: FloatArray,
    posterior: FloatArray,
    instability: FloatArray,
    classes: IntArray,
) -> pd.DataFrame:
    """One row per unit, those that differ most first.

    Parameters
    ----------
    units
        (G,) labels.
    em, posterior
        (G, K) class probabilities, components numbered alike.
    instability
        (G,) share of draws in which a unit is not in its commonest class.
    classes
        (A, G) commonest class by relabelling algorithm.

    Returns
    -------
    em_class, em_probability, posterior_class, posterior_probability (of the most probable
    class, counted from 1), distance (total variation, 0..1), instability, and
    algorithm_classes, the number of different classes that the algorithms put it into.
    """
    table = pd.DataFrame(
        {
            "em_class": em.argmax(axis=1) + 1,
            "em_probability": em.max(axis=1),
            "posterior_class": posterior.argmax(axis=1) + 1,
            "posterior_probability": posterior.max(axis=1),
            "distance": total_variation(em, posterior),
            "instability": instability,
            "algorithm_classes": (np.diff(np.sort(classes, axis=0), axis=0) > 0).sum(axis=0) + 1,
        },
        index=pd.Index(units, name="unit"),
    )
    return table.sort_values("distance", ascending=False, kind="stable")


def agreement_table(
    em: FloatArray, posterior: FloatArray, counts: FloatArray | None = None
) -> pd.DataFrame:
    """Quantity, value and note.

    Parameters
    ----------
    em, posterior
        (G, K) class probabilities, components numbered alike.
    counts
        (G,) how often each unit counts; by default once.
    """
    first, second = em.argmax(axis=1), posterior.argmax(axis=1)
    distance = total_variation(em, posterior)
    same = first == second
    each = np.ones(len(em)) if counts is None else counts
    weighted = "" if counts is None else ", counted by their weights"
    k = em.shape[1]
    lines = [
        (
            "share of units in the same class",
            float(np.average(same, weights=each)),
            f"{each[same].sum():,g} of {each.sum():,g} units{weighted}",
        ),
        ("adjusted Rand index", adjusted_rand_index(first, second), "1: the same partition"),
        (
            "mean distance",
            float(np.average(distance, weights=each)),
            "total variation of class probabilities, 0..1",
        ),
        ("largest distance", float(distance.max()), ""),
        (
            "relative entropy, EM",
            relative_entropy(em, each),
            "1: every unit's class is certain",
        ),
        ("relative entropy, posterior", relative_entropy(posterior, each), ""),
        (
            "smallest class, EM",
            float(np.bincount(first, each, minlength=k).min()),
            f"units{weighted}",
        ),
        (
            "smallest class, posterior",
            float(np.bincount(second, each, minlength=k).min()),
            f"units{weighted}",
        ),
    ]
    return pd.DataFrame(lines, columns=["quantity", "value", "note"]).set_index("quantity")
