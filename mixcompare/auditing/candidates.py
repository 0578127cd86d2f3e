"""All candidates: importing this fills the registry, in the order that decides ties."""

import mixcompare.auditing.beliefs
import mixcompare.auditing.divisors
import mixcompare.auditing.expectation
import mixcompare.auditing.maximisation
import mixcompare.auditing.normal
import mixcompare.auditing.penalties
import mixcompare.auditing.scatters
import mixcompare.auditing.weights  # noqa: F401
