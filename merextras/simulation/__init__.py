"""Draws from a fitted model.

Read `sim` (the parameters, given the data) and `independent` (merTools' draws of them), `re_sim`
(summaries of drawn effects), `mcsamp`; `simulate` and `simulate_generalised` (new responses);
`predict_interval`, which draws by `linear_predictor` and collects by `interval_tables`.
"""
