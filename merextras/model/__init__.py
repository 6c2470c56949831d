"""Formulas, statsmodels fits and designs; the only importer of statsmodels and patsy."""
