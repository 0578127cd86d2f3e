"""How fast a study goes, and how long it will take at that pace."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

_RECENT: Final = 100


class Pace(NamedTuple):
    """Fits per second over the last ones, how many those are, the time left, the last one's end."""

    rate: float
    recent: int
    seconds_left: float
    last: datetime


def pace(tasks: pd.DataFrame) -> Pace | None:
    """The pace of the last hundred fits; None while there are none to tell it from.

    Methods take different times and not all have as many fits left, so that what is left is
    weighed by each method's mean time, and how much of that is done in a second is what it was in
    the last fits.

    Parameters
    ----------
    tasks
        method, outcome (missing until the task is finished), seconds, finished (ISO time).
    """
    done = tasks[tasks["outcome"].notna()].sort_values("finished")
    left = tasks[tasks["outcome"].isna()]
    recent = done.tail(_RECENT)
    times = [datetime.fromisoformat(text) for text in recent["finished"]]
    span = (times[-1] - times[0]).total_seconds() if times else 0.0
    work = float(recent["seconds"].iloc[1:].sum())
    if not span or not work:
        return None
    each = left["method"].map(done.groupby("method")["seconds"].mean()).astype(np.float64)
    waiting = float(each.fillna(done["seconds"].mean()).sum())
    return Pace((len(recent) - 1) / span, len(recent), waiting / (work / span), times[-1])
