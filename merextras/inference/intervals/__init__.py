"""Intervals.

Read `confint`; `profile` with `profiling` and `profile_curve`; `bootstrap` with `replicates` and
`refits`, and `load_bootstrap`; `sub_boot`. Of generalised models: `confint_generalised`,
`profile_generalised`, `bootstrap_generalised`.
"""
