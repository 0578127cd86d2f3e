"""From a store to estimands and performance measures with their Monte Carlo errors.

It may import `study.file`.
"""
