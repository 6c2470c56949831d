"""A model's structure without its rows.

Read `structure` (what it makes of some rows), `column_summaries` and `ranges` (what is
remembered of columns).
"""
