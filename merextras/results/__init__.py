"""Frozen results and how they print; nothing here knows a model.

`base` has what they share. Rooms: `estimates`, `replicates` (simulations and bootstraps),
`profiles`, `tests`, `means`, `checks`.
"""
