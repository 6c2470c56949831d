"""Tools for every room: argument checks, type aliases, and the machine around the package.

Read `aliases` (types of arrays) and `arguments` (checks of what a user gives) first; `rng`
(generators), `frozen` (arrays that can't be changed) and `jobs` (work in parallel) are used by many
rooms, `files` (files written whole), `memory` and `extras` (optional packages) by few. `renamed`
keeps old names of arguments for a release, `hints` says what to write instead of another package's
name. The errors are in `merextras.exceptions`, below all of this.
"""
