"""Results made of draws or refits.

`simulation`, `bootstrap` with `bootstrap_file`, `predict_interval`, `effect_size`, `power`,
`cross_validation`.
"""
