"""Planning a study: how likely a test finds what is there.

Read `assumed` (parameters as the user gives them), `make_model` and `made_generalised` (a model
from them), `extend` (more groups or more rows), `tested` (what a test is about), `rejections` and
`rejections_generalised` (the test of many simulated responses), `power` and `power_curve`.
"""
