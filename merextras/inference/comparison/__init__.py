"""Models against each other.

`anova`, `ranova`, `pb_modcomp`, `performance`.
"""
