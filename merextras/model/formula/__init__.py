"""Lme4's formula language.

Read `parse` (a formula taken apart) and `structures` (``diag(x | g)`` and its kin), `r_spelling`
(what R's users write), `translate` (its pieces as code for the formula engine), `functions` (what
that may call) and `trust` (the gate before code from files), `names` (of columns and effects),
`rewrite` (a formula written again with other variables), `constraints` (hypotheses as text).
"""
