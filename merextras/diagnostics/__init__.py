"""Checks of a model before its fit is trusted.

Rooms from the bottom up, which is also the order to read them in: `estimation` (is the fit an
optimum?), `random_effects` (their dimension and shrinkage), `case_deletion` (leverage and
influence), `residuals` (residuals in the forms that checks and plots take), `assumptions` (a check
of each).
"""
