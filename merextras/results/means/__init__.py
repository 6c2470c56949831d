"""Marginal means.

Read `emmeans` (means, and what is asked of them), `contrasts` with `contrast_sets` and
`family_tests`, `transformed` (on the scale of the response), `letters` (compact letter displays),
`points` (of an interaction plot).
"""
