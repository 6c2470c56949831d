"""Checks of a fit.

`residuals` (against fitted values), `qq` (quantile plots), `influence` (estimates without a group
or case), `model_check` (all checks on a page).
"""
