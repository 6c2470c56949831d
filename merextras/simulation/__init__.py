"""Draws from a fitted model."""
