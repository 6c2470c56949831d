"""Fitting.

Read `lmer`, `refit` (another response, ML, another formula), `response_draws` and
`response_draws_by_products` (simulated responses with and without rows).
"""
