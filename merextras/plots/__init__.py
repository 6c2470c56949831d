"""Plots of what merextras returns: they draw frames and results, and compute no model.

This is the only part of merextras that imports matplotlib and seaborn, and ``import merextras``
does not import it. No function changes a style or an ``rcParams`` entry; what is drawn follows the
style that is set when it is called.

Rooms: `drawing` (what the plots share), `checks` (of a fit), `effects`, `predictions`, `tests`.
"""

from __future__ import annotations

from merextras.plots.checks.influence import plot_influence
from merextras.plots.checks.model_check import plot_model_check
from merextras.plots.checks.qq import plot_qq, plot_qqmath
from merextras.plots.checks.residuals import plot_fitted, plot_residuals
from merextras.plots.effects.caterpillar import plot_ranef
from merextras.plots.effects.coef import plot_coef
from merextras.plots.effects.expected_rank import plot_expected_rank
from merextras.plots.effects.lattice import xyplot
from merextras.plots.effects.re_correlation import plot_re_correlation
from merextras.plots.effects.re_impact import plot_re_impact
from merextras.plots.effects.re_sim import plot_fe_sim, plot_re_sim
from merextras.plots.effects.shrinkage import plot_shrinkage
from merextras.plots.predictions.emmeans import plot_emmeans
from merextras.plots.predictions.predictions import plot_predictions
from merextras.plots.predictions.what_if import plot_what_if
from merextras.plots.tests.exact_test import plot_exact_test
from merextras.plots.tests.power_curve import plot_power_curve
from merextras.plots.tests.profile import (
    plot_profile_density,
    plot_profile_pairs,
    plot_profile_zeta,
)

__all__ = [
    "plot_coef",
    "plot_emmeans",
    "plot_exact_test",
    "plot_expected_rank",
    "plot_fe_sim",
    "plot_fitted",
    "plot_influence",
    "plot_model_check",
    "plot_power_curve",
    "plot_predictions",
    "plot_profile_density",
    "plot_profile_pairs",
    "plot_profile_zeta",
    "plot_qq",
    "plot_qqmath",
    "plot_ranef",
    "plot_re_correlation",
    "plot_re_impact",
    "plot_re_sim",
    "plot_residuals",
    "plot_shrinkage",
    "plot_what_if",
    "xyplot",
]
