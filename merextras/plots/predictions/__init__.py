"""Predictions of rows, of cases in other groups, and marginal means."""
