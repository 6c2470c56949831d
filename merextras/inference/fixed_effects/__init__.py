"""Tests of the fixed effects.

`summary`, `contest`, `term_contrasts` (types I to III), `drop1`, `pooling` (Rubin's rules).
"""
