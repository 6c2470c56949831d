"""Marginal means.

`uncertainty` (inference on linear functions of the fixed effects), `contrast_sets`, `emmeans`.
"""
