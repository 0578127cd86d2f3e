"""Where things are that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests" / "reference"
STUDIES = ROOT / "studies"
