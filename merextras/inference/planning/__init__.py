"""Planning a study: how likely a test finds what is there.

Read `make_model` (a model from assumed parameters), `extend` (more groups or more rows), `tested`
(what a test is about), `rejections` (the test of many simulated responses), `power` and
`power_curve`.
"""
