"""The same cases in other groups, or with other values of their variables.

Read `counterfactuals` (every combination that cases are moved to) and `counterfactual_cases` (their
linear combinations, beside what the cases are), then the verbs: `what_if` (case by case),
`what_if_average` (means over cases) and `what_if_spread` (the spread that the levels make up),
which takes `spread_of_means` for generalised models.
"""
