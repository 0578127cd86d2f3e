"""Reports that can be made again: what they carry, and whether new fits give the same numbers.

A page's record, and what fits it anew. It may import `comparison`, `selection` and what is below;
no page is drawn here.
"""

from mixcompare.reproduction.origin import Origin
from mixcompare.reproduction.refit import Reproduced, reproduce

__all__ = ["Origin", "Reproduced", "reproduce"]
