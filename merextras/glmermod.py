"""`GlmerMod`: a fitted generalised linear mixed model, and `glmer`, which makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import getattr_static
from typing import Any, NoReturn

from merextras.accessors import generalised, get_me_generalised
from merextras.diagnostics.case_deletion import influence_generalised
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.inference.comparison import anova_generalised
from merextras.inference.fixed_effects import drop1_generalised
from merextras.mermod import MerMod
from merextras.model.generalised import refit as _refit
from merextras.model.generalised.fit import read_request
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.glmer import fit_glmm
from merextras.model.state.control import LmerControl
from merextras.model.state.linear_only import linear_only
from merextras.model.statsmodels.bayes_mixed_glm import read_bayes_mixed_glm
from merextras.prediction.rows import predict_generalised
from merextras.simulation import simulate_generalised

#: Methods of a linear model that are right for a generalised one as they are.
SHARED = frozenset(
    {
        "adapter", "aic", "bic", "block_description", "coef", "confint", "cooks_distance",
        "deviance", "df_residual", "extract_aic", "fitted", "fixef", "formula", "get_l",
        "hat_trace", "hatvalues", "is_glmm", "is_lmm", "is_nlmm", "is_reml", "is_singular",
        "log_lik",
        "model_frame", "model_matrix", "ngrps", "nobs", "plot", "profile", "qqmath", "ranef",
        "re_pca", "rstudent", "summary", "terms", "var_corr", "vcov",
    }
)  # fmt: skip


class GlmerMod(FittedGlmm, MerMod):
    """A fitted generalised linear mixed model, a `MerMod` of `glmer`.

    The methods of a `MerMod` that are not available for such a model raise an error that says what
    is.

    Parameters
    ----------
    fit : BayesMixedGLMResults
        What ``fit_vb()`` or ``fit_map()`` of statsmodels' ``BinomialBayesMixedGLM`` or
        ``PoissonBayesMixedGLM`` returned; ``MerMod(fit)`` makes a `GlmerMod` of it. Its design is
        read, and the model fitted to the maximum of the likelihood by Laplace's approximation,
        without priors. `origin` has its estimates of the standard deviations (``exp(vcp_mean)``)
        and Laplace's log-likelihood there.
    vc_formula : dict, optional
        The `vc_formulas` of the fit, which statsmodels does not keep. Needed only to predict for
        new data with a random slope on code such as ``np.log(x)``.
    polish, re_formula, groups
        Of linear fits: an error.

    Raises
    ------
    UnsupportedModelError
        Another class of model, a component of variance that is not one level a row.
    InvalidArgumentError
        A response that is not the family's.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.is_glmm(), isinstance(m, mx.MerMod)
    (True, True)
    >>> m.sigma()
    Traceback (most recent call last):
    ...
    merextras.exceptions.UnsupportedModelError: sigma: a generalised model has no residual ...
    """

    def __init__(
        self,
        fit: object,
        *,
        polish: bool = True,
        re_formula: str | None = None,
        vc_formula: dict[str, str] | None = None,
        groups: str | None = None,
    ) -> None:
        for name, given in (("re_formula", re_formula), ("groups", groups)):
            if given is not None:
                raise InvalidArgumentError(
                    f"{name}={given!r}: a Bayesian mixed GLM has components of variance alone; "
                    "vc_formula= is theirs"
                )
        if polish is not True:
            raise UnsupportedModelError(
                f"polish={polish!r}: the estimate of a Bayesian mixed GLM is no maximum of a "
                "likelihood; m.origin has it"
            )
        if not isinstance(fit, FittedGlmm):
            FittedGlmm.__init__(self, read_bayes_mixed_glm(fit, vc_formula=vc_formula))  # type: ignore[arg-type]
        else:
            FittedGlmm.__init__(self, fit._fit)  # type: ignore[arg-type]

    # Likelihood
    as_function = get_me_generalised.as_function

    # Tests
    anova = anova_generalised.anova
    drop1 = drop1_generalised.drop1

    # Rows
    residuals = generalised.residuals
    predict = predict_generalised.predict
    simulate = simulate_generalised.simulate

    influence = influence_generalised.influence

    # The model
    family = generalised.family
    weights = generalised.weights
    call = generalised.call
    get_me = get_me_generalised.get_me

    # Fitting again
    refit = _refit.refit
    refit_ml = _refit.refit_ml
    update = _refit.update  # type: ignore[assignment]


FittedGlmm.adapter = GlmerMod


def _refusal(name: str) -> Callable[..., NoReturn]:
    """A method that says what is available in its place."""

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        del args, kwargs
        raise linear_only(name)

    refuse.__name__ = name
    refuse.__doc__ = "Not available for a generalised model: an error that says what is."
    return refuse


MerMod._generalised = GlmerMod
for _name in dir(MerMod):
    _same = getattr_static(GlmerMod, _name) is getattr_static(MerMod, _name)
    _public = callable(getattr(MerMod, _name)) and not _name.startswith("_")
    if _same and _public and _name not in SHARED:
        setattr(GlmerMod, _name, staticmethod(_refusal(_name)))


def glmer(
    formula: str,
    data: Any,
    family: object = "binomial",
    *,
    n_agq: int = 1,
    weights: Any = None,
    offset: Any = None,
    dispersion: float | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    control: LmerControl | None = None,
    reml: bool = False,
    chunk_size: int | None = None,
    progress: bool | None = None,
) -> GlmerMod:
    r"""Fit a generalised linear mixed model from lme4's formula, lme4's ``glmer``.

    The likelihood by Laplace's approximation (or quadrature), with the observed information and all
    constants, is maximised jointly over the covariances, the fixed effects and the dispersion.

    Parameters
    ----------
    formula : str
        As `lmer`'s: ``"y ~ x + (1 + x | g)"``. A binomial response is 0 and 1, truth values, two
        labels (the first level in order is the failure), ``cbind(successes, failures)``, or a
        proportion with the trials as `weights`.
    data : DataFrame, or a source of chunks
        pandas, polars, or anything with ``to_pandas``; or what `lmer` reads in chunks (parquet and
        CSV files, lists of frames, functions that give them, Dask). Of these the columns of the
        model are gathered in memory, if their fit takes no more than half of what is free there;
        else, or with `chunk_size`, the rows are read again for each step of the fit, and the model
        keeps none.
    family : str, or a family of statsmodels
        ``"binomial"`` (links ``logit``, ``probit``, ``cloglog``), ``"poisson"`` (``log``),
        ``"negative_binomial"`` (``log``; variance ``mu + mu**2 / size``), ``"gamma"`` (``log``,
        ``inverse``), ``"inverse_gaussian"`` (``log``), ``"gaussian"`` (``identity``, ``log``,
        ``inverse``). A link is named as in ``"binomial(probit)"``; the first is the default. Of a
        family of statsmodels its class and link are read, and a negative binomial's alpha, one
        over the size, which is then held.
    n_agq : int
        1: Laplace's approximation. More: adaptive Gauss-Hermite quadrature with so many nodes in
        each effect, for one grouping factor with up to three effects. Laplace's approximation is
        poor for few trials in a level; 9 to 25 nodes settle it.
    weights : (n,) array, Series or column name, optional
        Numbers of trials of a response that is a proportion.
    offset : the same, optional
        A known part of the linear predictor, such as ``np.log(exposure)``.
    dispersion : float, optional
        The size of a negative binomial, if it is known; else it is estimated.
    contrasts, missing
        As `lmer`'s.
    control : LmerControl, optional
        `LmerControl.tolerance` is on four times the log-likelihood that is still to gain.
    reml : bool
        True is an error: there is no restricted likelihood.
    chunk_size : int, optional
        Rows read at a time, 100 000 by default; given, the rows of any data are not kept in memory,
        but read again for each step.
    progress : bool, optional
        A progress bar on long passes over chunks; by default where someone is watching.

    Returns
    -------
    GlmerMod
        A `MerMod` with ``is_glmm()`` true.

    Raises
    ------
    InvalidArgumentError
        As `lmer`; values that the family does not have, an unknown family or link.
    UnsupportedModelError
        REML, a quasi family, cross-products, quadrature for several factors or many effects.

    Warns
    -----
    ConvergenceWarning
        The search did not end at an optimum; the response is separated by some columns; a negative
        binomial's size went to infinity.
    RankDeficientWarning, SingularFitWarning

    Notes
    -----
    With u the spherical random effects at their mode and W the observed information of the rows,

    .. math:: -2 \log L \approx -2 \sum_i l_i(\hat u) + \hat u'\hat u
       + \log|\Lambda'Z'WZ\Lambda + I|.

    Random effects have covariance :math:`\Lambda\Lambda'`, which no dispersion scales. The gradient
    is exact, with the chain through the mode, and standard errors are from its differences: they do
    not depend on where an iteration stopped. lme4's ``glmer`` uses the expected information, which
    is the same for canonical links, and leaves the dispersion out of the criterion of gamma and
    inverse Gaussian models; its standard errors are from differences of a criterion that is exact
    to seven digits. glmmTMB maximises what is maximised here.

    **Cost**: each evaluation takes some three factorisations, linear in rows and in levels of
    nested factors, cubic in the smaller of two crossed ones; a fit takes about ten evaluations, and
    standard errors, made when they are first asked for, two more for each parameter. Rows with the
    same predictors and levels are one row to it, and levels of a single factor with the same rows
    and responses one level, so that a million yes-or-no answers with a covariate of two values take
    less than a second; no number depends on that but by rounding.

    **Chunks**: a generalised model's weights change with every step, so that rows that are not kept
    in memory are read again for each: one pass learns the levels, one adds up the design, and an
    evaluation takes one for each step of the modes, mostly two or three, and one for the gradient.
    With m parameters that is about 4 (15 + 2 m) passes, standard errors included, which are made at
    once. In memory are a chunk, the levels, and for a term of k effects with J levels some multiple
    of J k (k + p) numbers. The model keeps no rows: what needs them refuses and says so,
    `stream_rows` has fitted values and residuals, and profiles read the rows again.

    References
    ----------
    .. [1] Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. J. Stat. Softw. 67(1).
    .. [2] Kristensen, K., Nielsen, A., Berg, C. W., Skaug, H. and Bell, B. M. (2016). TMB:
       automatic differentiation and Laplace approximation. J. Stat. Softw. 70(5).

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.summary().coefficients.round(4)
                    estimate  std_error  statistic  p_value
    Intercept        -1.3985     0.2325    -6.0159   0.0000
    C(period)[T.2]   -0.9923     0.3066    -3.2361   0.0012
    C(period)[T.3]   -1.1287     0.3266    -3.4554   0.0005
    C(period)[T.4]   -1.5803     0.4274    -3.6972   0.0002
    >>> round(m.log_lik(), 4)
    -92.0263
    """
    request = read_request(family, dispersion, n_agq, reml, control)
    fit = fit_glmm(
        formula,
        data,
        request,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
        chunk_size=chunk_size,
        progress=progress,
        depth=1,
    )
    return GlmerMod._of(fit)  # type: ignore[arg-type]


def glmer_nb(
    formula: str,
    data: Any,
    *,
    n_agq: int = 1,
    offset: Any = None,
    dispersion: float | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    control: LmerControl | None = None,
    chunk_size: int | None = None,
    progress: bool | None = None,
) -> GlmerMod:
    """Fit a negative binomial mixed model, lme4's ``glmer.nb``.

    ``glmer(formula, data, "negative_binomial", ...)``, whose arguments these are. The size is a
    parameter of the likelihood as the others; lme4 searches it around fits with the size given, and
    stops short of the optimum.

    Returns
    -------
    GlmerMod

    Raises
    ------
    InvalidArgumentError, UnsupportedModelError
        As `glmer`.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.glmer_nb("size ~ C(period) + (1 | herd)", mx.load_dataset("cbpp"))
    >>> m.family(), round(m.dispersion)
    ('negative_binomial(log)', 120)
    """
    request = read_request("negative_binomial", dispersion, n_agq, False, control)
    fit = fit_glmm(
        formula,
        data,
        request,
        weights=None,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
        chunk_size=chunk_size,
        progress=progress,
        depth=1,
    )
    return GlmerMod._of(fit)  # type: ignore[arg-type]
