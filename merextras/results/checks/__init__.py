"""Results of model checks.

`check` (one verdict), `convergence`, `model_check` (all of them), `prediction_check`,
`residual_table`.
"""
