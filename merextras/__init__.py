"""lme4's answers for statsmodels' mixed models.

Start with a fit, statsmodels' or our own::

    m = mx.MerMod(smf.mixedlm("y ~ x", data, groups="g").fit())
    m = mx.lmer("y ~ x + (x | g)", data)
    m = mx.glmer("yes ~ x + (1 | g)", data, "binomial")

Then, by what you want to know (``m.`` is a method of `MerMod`; a function of ``mx.`` takes ``m`` or
statsmodels' own fit):

========================  ==========================================================================
the estimates             m.summary  m.fixef  m.var_corr  m.sigma  m.vcov;  display  tidy  glance
each group's effect       m.ranef  m.coef;  re_sim  plot_ranef  plot_re_sim;  lm_list
intervals                 m.confint  m.profile;  bootstrap
a test of fixed effects   m.anova  m.drop1  m.summary(ddf=...);  contest  kr_modcomp
means and contrasts       emmeans  emtrends  ls_means  joint_tests
does the grouping matter  exact_rlrt  exact_lrt  ranova  pb_modcomp;  icc  r2
what will a row be        m.predict;  predict_interval  plot_predictions
how well is it predicted  cross_validate  rmse
what will a study find    power  power_curve  make_model  extend
what if                   what_if  what_if_average  what_if_spread;  plot_what_if
who ranks where           expected_rank  re_impact  re_margins
yes or no, counts         glmer  glmer_nb;  check_laplace  check_overdispersion  median_odds_ratio
what is uncertain         sim  re_sim  fe_sim  m.simulate
can I trust the fit       model_checks  check_model  m.is_singular  check_convergence  all_fit
who decides the result    m.influence  m.cooks_distance  m.hatvalues;  shrinkage
which model               compare  performance  m.aic  m.bic  m.anova(other)  step
for the paper             compare_table  tidy  augment  variance_decomposition
imputed data              lmer_list  glmer_list  ModelList.pool
data beyond memory        lmer(formula, "*.parquet")  stream_rows  cross_products
a piece of the model      m.get_me  m.model_matrix  m.formula  m.opt_summary
an R name that you know   mx.r.VarCorr(m)  mx.r.REsim(m)  ...; the table is in help(mx.r)
all of arm, of merTools   help(mx.arm)  help(mx.mertools): the same functions, by their package
an error or a warning     mx.exceptions
========================  ==========================================================================

`load_dataset` has data to try it on.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from merextras.accessors.extract import (
    model_info,
    re_corr_extract,
    re_extract,
    re_quantile,
    re_sd_extract,
    theta_extract,
)
from merextras.checking import check_model, model_checks
from merextras.datasets import load_dataset
from merextras.diagnostics.assumptions.collinearity import check_collinearity
from merextras.diagnostics.assumptions.dispersion import check_overdispersion, check_zero_inflation
from merextras.diagnostics.assumptions.heteroscedasticity import check_heteroscedasticity
from merextras.diagnostics.assumptions.normality import check_normality
from merextras.diagnostics.assumptions.outliers import check_outliers
from merextras.diagnostics.assumptions.predictions import check_predictions
from merextras.diagnostics.estimation.convergence import check_convergence
from merextras.diagnostics.estimation.laplace import check_laplace
from merextras.diagnostics.estimation.singularity import check_singularity
from merextras.diagnostics.random_effects.shrinkage import shrinkage
from merextras.diagnostics.residuals.residual_table import qq_residuals, residual_table
from merextras.diagnostics.residuals.rmse import rmse
from merextras.distributions.rlrt_null import lrt_sim, rlrt_sim
from merextras.fit_lmer import lmer
from merextras.foundation import hints as _hints
from merextras.glmermod import GlmerMod, glmer, glmer_nb
from merextras.inference.all_fit import all_fit
from merextras.inference.arm.dic import extract_dic
from merextras.inference.arm.display import display, fast_display
from merextras.inference.arm.standard_errors import se_coef, se_fixef, se_ranef, sigma_hat
from merextras.inference.arm.standardize import standardize
from merextras.inference.comparison.f_modcomp import kr_modcomp, sat_modcomp
from merextras.inference.comparison.pb_modcomp import pb_modcomp
from merextras.inference.comparison.performance import compare, performance
from merextras.inference.comparison.ranova import ranova
from merextras.inference.comparison.step import step
from merextras.inference.ddf.kenward_roger import vcov_adj
from merextras.inference.each_group.lm_list import lm_list
from merextras.inference.fixed_effects.contest import contest
from merextras.inference.intervals.bootstrap import bootstrap
from merextras.inference.intervals.load_bootstrap import load_bootstrap
from merextras.inference.intervals.sub_boot import sub_boot
from merextras.inference.means.emmeans import emmeans, emtrends
from merextras.inference.means.joint_tests import joint_tests
from merextras.inference.means.ls_means import ls_means
from merextras.inference.planning.extend import extend
from merextras.inference.planning.make_model import make_model
from merextras.inference.planning.power import power
from merextras.inference.planning.power_curve import power_curve
from merextras.inference.variance_shares.generalised import median_odds_ratio
from merextras.inference.variance_shares.icc import icc
from merextras.inference.variance_shares.icc_from_data import icc_from_data
from merextras.inference.variance_shares.r2 import r2
from merextras.inference.variance_shares.variance_decomposition import variance_decomposition
from merextras.inference.variance_tests.exact_lrt import exact_lrt
from merextras.inference.variance_tests.exact_rlrt import exact_rlrt
from merextras.mermod import MerMod
from merextras.model.products.products import ModelProducts, cross_products, load_cross_products
from merextras.model.settings.cov_prior import Gamma, InverseWishart, Wishart
from merextras.model.state.control import LmerControl
from merextras.model_list import ModelList, glmer_list, lmer_list
from merextras.prediction.cases.observations import average_obs, draw, find_form_funs, random_obs
from merextras.prediction.cases.wiggle import super_factor, wiggle
from merextras.prediction.counterfactual.what_if import what_if
from merextras.prediction.counterfactual.what_if_average import what_if_average
from merextras.prediction.counterfactual.what_if_spread import what_if_spread
from merextras.prediction.ranks.expected_rank import expected_rank
from merextras.prediction.ranks.re_impact import re_impact
from merextras.prediction.ranks.re_margins import re_margins
from merextras.prediction.rows.cross_validate import cross_validate
from merextras.prediction.rows.stream_rows import stream_rows
from merextras.simulation.mcsamp import mcsamp
from merextras.simulation.predict_interval import predict_interval
from merextras.simulation.re_sim import fe_sim, re_sim
from merextras.simulation.sim import sim, sim_fitted
from merextras.tables.augment import augment
from merextras.tables.compare_table import compare_table
from merextras.tables.glance import glance
from merextras.tables.summary_col import for_summary_col
from merextras.tables.tidy import tidy

if TYPE_CHECKING:
    from merextras import arm as arm
    from merextras import exceptions as exceptions
    from merextras import mertools as mertools
    from merextras import r as r
    from merextras.app.explore import explore
    from merextras.plots import (
        plot_coef,
        plot_emmeans,
        plot_exact_test,
        plot_expected_rank,
        plot_fe_sim,
        plot_fitted,
        plot_influence,
        plot_model_check,
        plot_power_curve,
        plot_predictions,
        plot_profile_density,
        plot_profile_pairs,
        plot_profile_zeta,
        plot_qq,
        plot_qqmath,
        plot_ranef,
        plot_re_correlation,
        plot_re_impact,
        plot_re_sim,
        plot_residuals,
        plot_shrinkage,
        plot_what_if,
        xyplot,
    )
    from merextras.reporting.document import report

#: Rooms of names that are loaded on first use, but for plots and R's spellings.
_ROOMS = {"explore": "merextras.app.explore", "report": "merextras.reporting.document"}

#: Reached as an attribute without an import of their own.
_MODULES = ("arm", "exceptions", "mertools", "r")

try:
    __version__ = version("merextras")
except PackageNotFoundError:  # run from a checkout
    __version__ = "0+unknown"

__all__ = [
    "FEsim",
    "Gamma",
    "GlmerMod",
    "InverseWishart",
    "LmerControl",
    "MerMod",
    "ModelList",
    "ModelProducts",
    "REsim",
    "Wishart",
    "all_fit",
    "augment",
    "average_obs",
    "bootstrap",
    "check_collinearity",
    "check_convergence",
    "check_heteroscedasticity",
    "check_laplace",
    "check_model",
    "check_normality",
    "check_outliers",
    "check_overdispersion",
    "check_predictions",
    "check_singularity",
    "check_zero_inflation",
    "compare",
    "compare_table",
    "contest",
    "cross_products",
    "cross_validate",
    "display",
    "draw",
    "emmeans",
    "emtrends",
    "exactLRT",
    "exactRLRT",
    "exact_lrt",
    "exact_rlrt",
    "expected_rank",
    "explore",
    "extend",
    "extract_dic",
    "fast_display",
    "fe_sim",
    "find_form_funs",
    "for_summary_col",
    "glance",
    "glmer",
    "glmer_list",
    "glmer_nb",
    "icc",
    "icc_from_data",
    "joint_tests",
    "kr_modcomp",
    "lm_list",
    "lmer",
    "lmer_list",
    "load_bootstrap",
    "load_cross_products",
    "load_dataset",
    "lrt_sim",
    "ls_means",
    "make_model",
    "mcsamp",
    "median_odds_ratio",
    "model_checks",
    "model_info",
    "pb_modcomp",
    "performance",
    "plotREsim",
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
    "power",
    "power_curve",
    "predictInterval",
    "predict_interval",
    "qq_residuals",
    "r2",
    "random_obs",
    "ranova",
    "re_corr_extract",
    "re_extract",
    "re_impact",
    "re_margins",
    "re_quantile",
    "re_sd_extract",
    "re_sim",
    "report",
    "residual_table",
    "rlrt_sim",
    "rmse",
    "sat_modcomp",
    "se_coef",
    "se_fixef",
    "se_ranef",
    "shrinkage",
    "sigma_hat",
    "sim",
    "sim_fitted",
    "standardize",
    "step",
    "stream_rows",
    "sub_boot",
    "super_factor",
    "theta_extract",
    "tidy",
    "variance_decomposition",
    "vcov_adj",
    "what_if",
    "what_if_average",
    "what_if_spread",
    "wiggle",
    "xyplot",
]


def __getattr__(name: str) -> Any:
    """Plots, pages and R's spellings on first use: to import the package loads none of them."""
    if name in _MODULES:
        return import_module(f"merextras.{name}")
    if name in __all__:
        plots = name.startswith("plot_") or name == "xyplot"
        room = "merextras.plots" if plots else _ROOMS.get(name, "merextras.r")
        return getattr(import_module(room), name)
    raise AttributeError(_hints.of_package(name, __all__))


def __dir__() -> list[str]:
    return [*__all__, *_MODULES, "__version__"]
