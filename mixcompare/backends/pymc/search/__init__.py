"""What the posterior's maxima are, before chains start and after they have run.

Climbs on the sampler's own density, from dispersed points, of which none knows of EM. It may
import the mixture and its density, and where chains can start.
"""
