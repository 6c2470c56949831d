"""Distributions with their links.

Read `family` (what is asked of each: derivatives of the log-density of a row), then `binomial`,
`counts` and `dispersed`.
"""
