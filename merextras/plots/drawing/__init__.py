"""What the plots share.

`style` (colours, sizes, axes), `arguments` (their checks), `panels` (grids of panels), `points`.
"""
