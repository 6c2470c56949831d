"""Lme4's formula language.

Read `parse` (a formula taken apart), `r_spelling` (what R's users write), `translate` (its pieces
as code for the formula engine), `functions` (what that may call), `names` (of columns and effects),
`rewrite` (a formula written again with other variables).
"""
