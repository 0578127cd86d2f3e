"""Reports that can be made again: what they carry, and whether new fits give the same numbers."""

from mixcompare.reproduction.origin import Origin
from mixcompare.reproduction.rerun import Reproduced, reproduce

__all__ = ["Origin", "Reproduced", "reproduce"]
