"""Marginal means.

`contrast_sets`, `emmeans`.
"""
