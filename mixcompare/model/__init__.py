"""The language of models: what is meant, before there are data.

Specifications, formulas, priors as stated, covariance structures and the names of parameters.
Nothing here reads data or computes a density. It may import `base` alone.
"""
