"""Frozen results and how they print; nothing here knows a model.

`base` has what they share, `ratios` which exponentials of effects are ratios. Rooms: `estimates`,
`replicates` (simulations and bootstraps), `profiles`, `tests`, `means`, `checks`.
"""
