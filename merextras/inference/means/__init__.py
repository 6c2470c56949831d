"""Estimated marginal means.

Read `specs` (emmeans' formulas taken apart), `emmeans` (means and trends), `population_means` (of a
generalised model, over its random effects), `joint_tests` (F tests by term), `ls_means`
(lmerTest's).
"""
