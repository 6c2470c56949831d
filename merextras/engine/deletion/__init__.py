"""Refits without some rows, from down-dated cross-products.

Read `tables` (what is deleted), `remaining` (the cross-products of what is left), `one_by_one`
(refits in turn), `levels` (terms that share their levels), `one_step` (a Newton step for all
deletions), `criteria` (their criteria), `refitter` (the refits), `estimates` (how far estimates
move).
"""
