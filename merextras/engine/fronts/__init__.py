"""Multifrontal sparse Cholesky factorisation.

Read `ordering` (fill-reducing order), `elimination_tree` (symbolic part), `layout` (where each
number stands in the fronts), `eliminate` (numeric part), `inverse` (entries of the inverse).
"""
