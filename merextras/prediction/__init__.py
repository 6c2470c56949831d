"""Predictions and what-if questions."""
