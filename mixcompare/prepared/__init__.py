"""The data prepared for fitting: compressed, identified, with priors as numbers.

What both backends start from, and the only arithmetic that they share: lossless compression
of the data. It may import `data` and what is below, and no likelihood.
"""
