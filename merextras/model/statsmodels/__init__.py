"""Statsmodels fits read and written.

Read `mixedlm` (reading a MixedLM fit), `fitted_frame` (its frame, held against what was fitted),
`vc` (its variance components as terms), `user_formulas`, `bayes_mixed_glm` (Bayesian mixed GLMs),
`ols` (null models), `to_statsmodels`.
"""
