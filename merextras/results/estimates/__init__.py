"""Estimates as results.

`ranef`, `var_corr`, `summary`, `sigma_hat`, `re_pca`, `pooled`, `influence`, `all_fit`, `lm_list`,
`glm_list`, and the printed forms `display` and `compare_table`.
"""
