"""Lme4's formula language.

Read `parse` (a formula taken apart), `translate` (its pieces as code for the formula engine),
`rewrite` (a formula written again with other variables).
"""
