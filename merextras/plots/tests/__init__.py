"""Profiles, exact tests' null distributions, power."""
