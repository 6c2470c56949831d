"""Responses of a family: those that are given, and those that a model may make.

Read `response` (successes and trials, counts or numbers); of a fitted model `draws` (responses
drawn), `probabilities` (their distribution functions), `population` (means over the random effects)
and `new_responses` (the distribution of a response that is still to come).
"""
