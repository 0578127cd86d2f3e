"""Do the backends put the same units into the same classes?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixcompare.metrics import adjusted_rand_index, relative_entropy, total_variation
from mixcompare.panel import FloatArray, IntArray


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


def agreement_table(em: FloatArray, posterior: FloatArray) -> pd.DataFrame:
    """Quantity, value and note."""
    first, second = em.argmax(axis=1), posterior.argmax(axis=1)
    distance = total_variation(em, posterior)
    same = first == second
    lines = [
        (
            "share of units in the same class",
            float(same.mean()),
            f"{same.sum():,} of {len(em):,} units",
        ),
        ("adjusted Rand index", adjusted_rand_index(first, second), "1: the same partition"),
        ("mean distance", float(distance.mean()), "total variation of class probabilities, 0..1"),
        ("largest distance", float(distance.max()), ""),
        ("relative entropy, EM", relative_entropy(em), "1: every unit's class is certain"),
        ("relative entropy, posterior", relative_entropy(posterior), ""),
        ("smallest class, EM", float(np.bincount(first, minlength=em.shape[1]).min()), "units"),
        (
            "smallest class, posterior",
            float(np.bincount(second, minlength=em.shape[1]).min()),
            "units",
        ),
    ]
    return pd.DataFrame(lines, columns=["quantity", "value", "note"]).set_index("quantity")
