"""Prediction for new rows and units: one interface for both backends.

It may import the backends and what is below; new outcomes are drawn by `simulate`.
"""

from mixcompare.prediction.long_table import prediction_table
from mixcompare.prediction.predicting import predict, predictive_draws

__all__ = ["predict", "prediction_table", "predictive_draws"]
