"""Predictions and what-if questions.

Rooms from the bottom up, which is also the order to read them in: `combinations` (linear
combinations of effects, their variances and draws, and what a link makes of them), `cases` (cases
to predict for, and cases moved to other levels), `rows` (predictions of rows), `ranks` (groups in
order of their effects), `counterfactual` (the same cases in other groups, or with other values).
"""
