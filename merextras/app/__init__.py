"""The explorer: a local page to look at a model with.

A tab is a view of ``merextras.reporting.contents`` with controls. `controls` are what can be set,
as data; `tabs` names the controls and the view of each tab; `choices` are the controls of cases;
`page` lays them out and `server` makes what is shown when something is set. `guard` and `serve`
keep the page to this machine and its user. `explore` is the public function. Only `page` and
`server` know of Shiny, and no number is made here.
"""
