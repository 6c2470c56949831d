"""Tools shared by the plots.

`style` (colours, sizes, axes), `arguments` (their checks), `panels` (grids of panels), `levels`
(levels below one another), `points`.
"""
