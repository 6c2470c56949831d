"""Formula code, and what patsy and formulaic make of it.

Read `specs` (what an engine knows of a formula it has learnt), `computed` (a factor that is code,
learnt chunk by chunk), `arithmetic` (sums and products, without an engine), `transforms` (what
stateful transforms remember), `whole_column` (code that looks at the whole column), then the small
ones: `boxes`, `complete_rows`, `truth_values`, `explained` (their errors).
"""
