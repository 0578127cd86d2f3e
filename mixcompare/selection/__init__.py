"""How many classes? One model fitted over a range of K, and what each criterion says.

Specifications of one data set are ranked here as well. It may import `checking`, the backends
and what is below; it knows no comparison and draws no figure.
"""

from mixcompare.selection.criteria_table import Criterion, register_criterion
from mixcompare.selection.selecting import check_arguments, select
from mixcompare.selection.selection import Selection, load_selection

__all__ = [
    "Criterion",
    "Selection",
    "check_arguments",
    "load_selection",
    "register_criterion",
    "select",
]
