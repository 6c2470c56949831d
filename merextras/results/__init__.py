"""Frozen results and how they print."""
