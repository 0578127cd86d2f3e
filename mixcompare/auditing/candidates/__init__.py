"""What programs may compute in place of each stage of an EM iteration, the exact one among them.

Importing this fills the registry, in the order that decides ties. Candidates may import the
stages' inputs and `mixcompare.auditing.registry`, and know nothing of traces and findings.
"""

import mixcompare.auditing.candidates.beliefs
import mixcompare.auditing.candidates.divisors
import mixcompare.auditing.candidates.expectation
import mixcompare.auditing.candidates.maximisation
import mixcompare.auditing.candidates.normal
import mixcompare.auditing.candidates.penalties
import mixcompare.auditing.candidates.scatters
import mixcompare.auditing.candidates.weights  # noqa: F401
