"""Plots of what merextras returns: they draw frames and results, and compute no model.

This is the only part of merextras that imports matplotlib and seaborn, and ``import merextras``
does not import it. No function changes a style or an ``rcParams`` entry; what is drawn follows the
style that is set when it is called.
"""

from __future__ import annotations

from merextras.plots.caterpillar import plot_ranef
from merextras.plots.exact_test import plot_exact_test
from merextras.plots.lattice import xyplot
from merextras.plots.profile import (
    plot_profile_density,
    plot_profile_pairs,
    plot_profile_zeta,
)
from merextras.plots.re_sim import plot_fe_sim, plot_re_sim
from merextras.plots.what_if import plot_what_if

__all__ = [
    "plot_exact_test",
    "plot_fe_sim",
    "plot_profile_density",
    "plot_profile_pairs",
    "plot_profile_zeta",
    "plot_ranef",
    "plot_re_sim",
    "plot_what_if",
    "xyplot",
]
