"""Tables of class membership."""

from __future__ import annotations

import numpy as np

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_UNITS,
    Column,
    Table,
    count,
    fixed,
    percent,
    quantities,
    significant,
    table,
)


def agreement(comparison: Comparison) -> Table:
    """Class membership in short."""
    return quantities("agreement", "Agreement of the classes", comparison.agreement)


def class_sizes(comparison: Comparison) -> Table:
    """Weights, expected units and units assigned, by class and backend."""
    em = comparison.em.responsibilities.to_numpy()
    posterior = comparison.posterior_responsibilities.to_numpy()
    counts = comparison.em.replicated
    counted = comparison.em.spec.unit_weights is not None
    weighted, size = (" times the unit's weight", fixed(1)) if counted else ("", count)
    expected = [counts @ tau for tau in (em, posterior)]
    k = range(1, em.shape[1] + 1)
    assigned = [
        np.bincount(tau.argmax(axis=1), counts, minlength=tau.shape[1]) for tau in (em, posterior)
    ]
    return table(
        "class-sizes",
        f"Class sizes: expected units (sum of class probabilities{weighted}) and units assigned "
        "to their most probable class",
        [
            (Column("class", numeric=False), k, str),
            (Column("EM, expected"), expected[0], fixed(1)),
            (Column("posterior, expected"), expected[1], fixed(1)),
            (Column("EM, assigned"), assigned[0], size),
            (Column("posterior, assigned"), assigned[1], size),
        ],
    )


def membership(comparison: Comparison) -> Table:
    """The units on which the backends differ most."""
    frame = comparison.membership.head(MOST_UNITS)
    listed = min(MOST_UNITS, len(comparison.membership))
    return table(
        "membership",
        f"The {listed} units that differ most, of {len(comparison.membership):,}",
        [
            (Column("unit", numeric=False), frame.index, str),
            (Column("EM class"), frame["em_class"], count),
            (Column("EM probability"), frame["em_probability"], fixed(4)),
            (Column("posterior class"), frame["posterior_class"], count),
            (Column("posterior probability"), frame["posterior_probability"], fixed(4)),
            (
                Column("distance", "total variation of the class probabilities, 0 to 1"),
                frame["distance"],
                significant,
            ),
            (
                Column("instability", "share of aligned draws outside the unit's commonest class"),
                frame["instability"],
                percent,
            ),
            (
                Column("classes", "different classes that the relabelling algorithms put it into"),
                frame["algorithm_classes"],
                count,
            ),
        ],
    )
