"""Statsmodels fits read and written.

Read `mixedlm` (reading a MixedLM fit), `vc` (its variance components as terms),
`user_formulas`, `ols` (null models), `to_statsmodels`.
"""
