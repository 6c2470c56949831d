"""Responses of a family: those that are given, and those that a model may make.

Read `response` (successes and trials, counts or numbers) with `response_facts` (what is checked of
all of them) and `rowless_response` (what is known where no rows are kept); of a fitted model
`draws` (responses drawn), `probabilities` (their distribution functions), `population` (means over
the random effects) and `new_responses` (the distribution of a response that is still to come).
"""
