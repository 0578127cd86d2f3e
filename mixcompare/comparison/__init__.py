"""Fits of one model: do they agree, and if not, why?

Estimates, likelihoods, labels and modes of several fits side by side, and the rules that judge
them. It may import `checking`, `prediction`, `selection` and what is below, and draws no figure.
"""

from mixcompare.comparison.comparing import compare
from mixcompare.comparison.comparison import Comparison
from mixcompare.comparison.evidence import Thresholds

__all__ = ["Comparison", "Thresholds", "compare"]
