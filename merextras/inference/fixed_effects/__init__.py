"""Tests of the fixed effects.

Read `vcov` (the model's covariance, or a robust one), `summary`, `contest` (contrasts),
`term_contrasts` (types I to III), `drop1` and `drop1_generalised`, `pooling` (Rubin's rules).
"""
