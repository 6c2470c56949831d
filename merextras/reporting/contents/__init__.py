"""The views: each a function of a model and choices, in the order of the explorer's tabs.

`summary`, `intervals`, `simulated`, `swap`, `wiggled`, `impact`, `levels`, `checked`. They know
nothing of a page and hold no state; a kind of model that needs other contents gets them here.
"""
