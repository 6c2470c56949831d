"""`MerMod`: a fitted linear mixed model with the methods of lme4's merMod class."""

from __future__ import annotations

from merextras.accessors import description, estimates, likelihood, rows
from merextras.accessors import get_me as _get_me
from merextras.accessors import summary as _summary
from merextras.inference import confint as _confint
from merextras.model import fitted as _fitted
from merextras.model import refit as _refit
from merextras.model.fitted import FittedModel
from merextras.model.mixedlm import read_mixedlm
from merextras.prediction import predict as _predict


class MerMod(FittedModel):
    """A fitted linear mixed model, from any statsmodels `MixedLM` fit.

    Parameters
    ----------
    fit : MixedLMResults
        What ``MixedLM(...).fit()`` or ``smf.mixedlm(...).fit()`` returned: groups by name or array,
        `re_formula`, `exog_re`, `vc_formula`, crossed factors in one constant group, `free=`. It is
        read once; nothing is kept of it.
    polish : bool
        Move from statsmodels' estimate, which is often short of it, to the optimum of the same
        criterion. `opt_summary` and `origin` show both. False keeps statsmodels' estimate.
    re_formula : str, optional
        The fit's `re_formula`, which statsmodels does not keep. Needed only to predict for new data
        with a random slope that is neither a column nor a fixed effect, such as ``np.log(x)``.
    vc_formula : dict, optional
        The same for variance components.

    Raises
    ------
    UnsupportedModelError
        Not a `MixedLM` fit, a penalised fit, or a covariance structure that has no blocks.

    Warns
    -----
    ConvergenceWarning
        statsmodels stopped short by more than 1e-3 in log-likelihood.
    SingularFitWarning
        A variance is zero or a correlation at its bound.

    Notes
    -----
    Every method of lme4's ``merMod`` is a method here, in snake_case; what comes from arm, RLRsim
    and merTools is a function of the package that takes a model. A model never changes, and it
    pickles. Building costs one pass over the rows and a few factorisations.

    Examples
    --------
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> students = mx.load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> m = mx.MerMod(fit)
    >>> m
    Linear mixed model fit by REML
    Formula: extro ~ open + agree + social + (1 | school)
    REML criterion at convergence: 5824.0999
    Random effects:
     Groups    Name       Std.Dev.
     school    Intercept     9.791
     Residual                2.671
    Number of obs: 1200, groups: school, 6
    Fixed effects:
    Intercept     59.116514
    open           0.009751
    agree          0.027788
    social        -0.002151
    """

    def __init__(
        self,
        fit: object,
        *,
        polish: bool = True,
        re_formula: str | None = None,
        vc_formula: dict[str, str] | None = None,
    ) -> None:
        super().__init__(
            read_mixedlm(fit, polish=polish, re_formula=re_formula, vc_formula=vc_formula)
        )

    def __repr__(self) -> str:
        return _summary.short(self)

    # Estimates
    fixef = estimates.fixef
    ranef = estimates.ranef
    coef = estimates.coef
    sigma = estimates.sigma
    vcov = estimates.vcov
    var_corr = estimates.var_corr
    confint = _confint.confint
    summary = _summary.summary

    # Likelihood
    log_lik = likelihood.log_lik
    deviance = likelihood.deviance
    reml_crit = likelihood.reml_crit
    aic = likelihood.aic
    bic = likelihood.bic
    extract_aic = likelihood.extract_aic
    df_residual = likelihood.df_residual
    nobs = likelihood.nobs
    ngrps = likelihood.ngrps
    as_function = likelihood.as_function

    # Rows
    fitted = rows.fitted
    residuals = rows.residuals
    predict = _predict.predict

    # The model
    formula = description.formula
    terms = description.terms
    model_frame = description.model_frame
    model_matrix = description.model_matrix
    family = description.family
    weights = description.weights
    is_reml = description.is_reml
    is_lmm = description.is_lmm
    is_glmm = description.is_glmm
    is_nlmm = description.is_nlmm
    is_singular = _fitted.is_singular
    call = description.call
    get_me = _get_me.get_me
    get_l = _get_me.get_l

    # Fitting again
    refit = _refit.refit
    refit_ml = _refit.refit_ml
    update = _refit.update
