"""Profiles (`profile`), exact tests' null distributions (`exact_test`), power (`power_curve`)."""
