"""New data for a fitted model.

Read `target` (the rows that a prediction is for), `rows` (X, levels and Z of rows), `re_form`
(which random effects are kept), `trials` (how many trials new rows have).
"""
