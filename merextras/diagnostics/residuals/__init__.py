"""Residuals in the forms that checks and plots take.

Read `standardized` (internally studentised), `simulated` (quantile residuals of generalised
models), `smooth` (the trend of a cloud of points), `checks_generalised` (tests of quantile
residuals), `residual_table` (the rows that plots draw) and `rmse`.
"""
