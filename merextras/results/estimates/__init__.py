"""Estimates as results.

`ranef`, `var_corr`, `summary`, `sigma_hat`, `re_pca`, `pooled`, `influence`, `all_fit`, and the
printed forms `display` and `compare_table`.
"""
