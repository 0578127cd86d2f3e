"""What is prepared of a panel's rows, by the family of its outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mixcompare.base.errors import SpecificationError
from mixcompare.base.registry import register
from mixcompare.data.panel import Panel
from mixcompare.model.capabilities import require
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import compress
from mixcompare.prepared.factorise import Kernels
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.rows import merge_rows

type Preparation = Callable[[Panel, Kernels], Prepared]

PREPARATIONS: Final[dict[str, Preparation]] = {"normal": compress}


def register_preparation(family: str, preparation: Preparation) -> None:
    """Let panels of a family be prepared in a form of its own, in place of merged rows.

    Raises
    ------
    SpecificationError
        If the family has another.
    """
    what = "preparation for outcomes of the family"
    register(PREPARATIONS, what, family, preparation, SpecificationError)


def prepare(spec: MixtureSpec, panel: Panel, kernels: Kernels) -> Prepared:
    """A panel in the form that its family needs: merged rows unless another is registered.

    Raises
    ------
    SpecificationError
        If cells are absorbed, whose effects leave merged rows no likelihood.
    """
    family = spec.response.family
    if family in PREPARATIONS:
        return PREPARATIONS[family](panel, kernels)
    require(spec, "absorb", PREPARATIONS)
    return merge_rows(panel)
