"""The posterior under an ordering constraint on one quantity of the classes.

Prior and likelihood do not know one label from another, so the posterior restricted to
``q_1 < q_2 < ...`` is the unrestricted one with every draw's components sorted by q (Stephens
1997; Celeux, Hurn & Robert 2000). Sorting therefore gives draws of exactly that posterior, and
the sampler need not be held up at the boundary, where classes exchange their roles.
"""

from __future__ import annotations

from collections.abc import Mapping

from mixcompare import labels
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import OptionError
from mixcompare.base.suggest import did_you_mean
from mixcompare.labels import IntArray
from mixcompare.model.layout import Parameter, flatten
from mixcompare.prepared.problem import Problem


def ordering(problem: Problem, quantity: str) -> tuple[Parameter, ...]:
    """The parameters of a quantity, a parameter's name without its class, one of each class.

    Raises
    ------
    OptionError
        If the classes have no such parameter of their own.
    """
    by_class: dict[str, list[Parameter]] = {}
    for parameter in problem.layout.parameters:
        if parameter.component is not None:
            by_class.setdefault(_without_class(parameter), []).append(parameter)
    whole = {
        name: parameters
        for name, parameters in by_class.items()
        if len(parameters) == problem.spec.n_components
    }
    if quantity not in whole:
        raise OptionError(
            f"ordered_by = {quantity!r}{did_you_mean(quantity, whole)}: the classes can be ordered "
            f"by {', '.join(whole)}."
        )
    return tuple(whole[quantity])


def _without_class(parameter: Parameter) -> str:
    variable, inside = parameter.name.removesuffix("]").split("[", maxsplit=1)
    _, _, rest = inside.partition(", ")
    return f"{variable}[{rest}]" if rest else variable


def ordered(parameters: Mapping[str, FloatArray], quantity: tuple[Parameter, ...]) -> IntArray:
    """(chain, draw, K) permutations that sort every draw's components by a quantity."""
    return labels.by_order(flatten(parameters, quantity))
