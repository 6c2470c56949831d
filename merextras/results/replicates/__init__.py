"""Results made of draws or refits.

`simulation`, `bootstrap`, `predict_interval`, `effect_size`.
"""
