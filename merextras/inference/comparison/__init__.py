"""Models against each other.

Read `anova` and `anova_generalised` (likelihood ratios, tests by term), `ranova` and
`ranova_generalised` (a term less) with `reductions` (which models that are), `pb_modcomp` (by
parametric bootstrap), `f_modcomp` (F tests), `step` (backward elimination), `performance` (indices
side by side).
"""
