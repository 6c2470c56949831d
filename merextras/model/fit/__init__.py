"""Fitting.

Read `lmer`, `refit` (another response, ML, another formula), `part_of_rows` (some of the rows),
`response_draws` and `response_draws_by_products` (simulated responses with and without rows).
"""
