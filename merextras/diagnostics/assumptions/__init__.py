"""Checks of what a model assumes of its data, one a file.

Read `normality`, `heteroscedasticity` and `outliers` (of the residuals), `dispersion` (of counts
and proportions), `predictions` (simulated data against the real ones) and `collinearity` (of the
fixed effects).
"""
