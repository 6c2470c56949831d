"""Estimated marginal means.

`emmeans_grid` (the reference grid), `emmeans`, `joint_tests`.
"""
