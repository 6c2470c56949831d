"""Verbs of the R package arm.

`display`, `standard_errors`, `standardize`, `dic`.
"""
