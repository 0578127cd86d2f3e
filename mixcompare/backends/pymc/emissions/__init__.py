"""Responses in PyMC: what each family's data, variables, priors and densities are.

A family is one `EmissionTerm`, registered by `register_term`; the normal one has its arithmetic
on arrays beside it. It imports what is below `backends`, and of this backend only `coordinates`,
`graph_coordinates`, `affine_normal` and `whitening`.
"""

from mixcompare.backends.pymc.emissions.registry import register_term

__all__ = ["register_term"]
