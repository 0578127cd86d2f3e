"""Class models in PyMC: probabilities of the classes, and the density marginal over them.

They import what is below `backends`, and of this backend only `coordinates`,
`affine_normal` and `whitening`.
"""
