"""Fixtures that several test files share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

STUDY = """\
[study]
name = "tiny"

[data]
file = "tiny.csv"

[model]
formula = "y ~ x"
unit = "unit"
n_components = 2

[methods.em]
backend = "em"
starts = 5

[methods.pymc]
backend = "pymc"
draws = 300
tune = 300
chains = 2
"""


@pytest.fixture
def tiny_csv(tmp_path: Path) -> Path:
    """Two well separated classes in 24 units of 5 rows."""
    rng = np.random.default_rng(20)
    unit = np.repeat(np.arange(24), 5)
    x = rng.normal(size=unit.size)
    y = np.where(unit < 9, 4 + 2 * x, -x) + rng.normal(scale=0.5, size=unit.size)
    path = tmp_path / "tiny.csv"
    pd.DataFrame({"unit": unit, "x": x, "y": y}).to_csv(path, index=False)
    return path


@pytest.fixture
def write_study(tiny_csv: Path) -> Callable[..., Path]:
    """Write a study beside the tiny panel, with some of its text replaced."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = STUDY
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tiny_csv.with_name("tiny.toml")
        path.write_text(text)
        return path

    return write
