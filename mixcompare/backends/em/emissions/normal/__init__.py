"""Normal regressions: all that EM knows of means and covariances."""
