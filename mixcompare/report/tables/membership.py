"""Tables of class membership."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_UNITS,
    Table,
    count,
    fixed,
    frame_table,
    numbers,
    percent,
    quantities,
    significant,
    words,
)


def agreement(comparison: Comparison) -> Table:
    """Class membership in short."""
    return quantities("agreement", "Agreement of the classes", comparison.agreement)


def class_sizes(comparison: Comparison) -> Table:
    """Weights, expected units and units assigned, by class and backend."""
    by_backend = {
        "EM": comparison.em.responsibilities.to_numpy(),
        "posterior": comparison.posterior_responsibilities.to_numpy(),
    }
    counts, sizes = comparison.em.replicated, {}
    for name, tau in by_backend.items():
        sizes[f"{name}, expected"] = counts @ tau
    for name, tau in by_backend.items():
        sizes[f"{name}, assigned"] = np.bincount(tau.argmax(axis=1), counts, tau.shape[1])
    frame = pd.DataFrame(sizes)
    counted = comparison.em.spec.unit_weights is not None
    weighted, size = (" times the unit's weight", fixed(1)) if counted else ("", count)
    return frame_table(
        "class-sizes",
        f"Class sizes: expected units (sum of class probabilities{weighted}) and units assigned "
        "to their most probable class",
        frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="class")),
        words("class"),
        numbers(fixed(1), *list(sizes)[:2]),
        numbers(size, *list(sizes)[2:]),
    )


def membership(comparison: Comparison) -> Table:
    """The units on which the backends differ most."""
    frame = comparison.membership.head(MOST_UNITS)
    outside = "share of aligned draws outside the unit's commonest class"
    put_into = "different classes that the relabelling algorithms put it into"
    return frame_table(
        "membership",
        f"The {len(frame)} units that differ most, of {len(comparison.membership):,}",
        frame,
        words("unit"),
        numbers(count, em_class="EM class"),
        numbers(fixed(4), em_probability="EM probability"),
        numbers(count, posterior_class="posterior class"),
        numbers(fixed(4), posterior_probability="posterior probability"),
        numbers(
            significant, distance="distance: total variation of the class probabilities, 0 to 1"
        ),
        numbers(percent, instability=f"instability: {outside}"),
        numbers(count, algorithm_classes=f"classes: {put_into}"),
    )
