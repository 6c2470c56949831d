"""Results of model checks.

`check` (one verdict), `convergence`, `laplace_check`, `simulated_check` (a statistic beside
simulated ones), `prediction_check`, `model_check` (all of them), `residual_table`.
"""
