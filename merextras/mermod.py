"""`MerMod`: a fitted linear mixed model with the methods of lme4's merMod class."""

from __future__ import annotations

from typing import Any, ClassVar

from merextras.accessors import blocks as _blocks
from merextras.accessors import description, estimates, likelihood, rows
from merextras.accessors import get_me as _get_me
from merextras.accessors import summary as _summary
from merextras.diagnostics.case_deletion import influence as _influence
from merextras.diagnostics.case_deletion import leverage as _leverage
from merextras.diagnostics.random_effects import re_pca as _re_pca
from merextras.diagnostics.residuals import residual_table as _residual_table
from merextras.foundation import hints
from merextras.inference.comparison import anova as _anova
from merextras.inference.fixed_effects import drop1 as _drop1
from merextras.inference.fixed_effects import summary as _tested
from merextras.inference.fixed_effects import vcov as _vcov
from merextras.inference.intervals import confint as _confint
from merextras.inference.intervals import profile as _profile
from merextras.model.fit import refit as _refit
from merextras.model.fit.lmer import fit_source
from merextras.model.products.products import ModelProducts
from merextras.model.state import fitted as _fitted
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels import to_statsmodels as _to_statsmodels
from merextras.model.statsmodels.mixedlm import is_bayes_mixed_glm, read_mixedlm
from merextras.prediction.rows import predict as _predict
from merextras.simulation import simulate as _simulate


class MerMod(FittedModel):
    """A fitted linear mixed model, from any statsmodels `MixedLM` fit.

    Of a fit of statsmodels' Bayesian mixed GLMs it is a `GlmerMod`.

    Parameters
    ----------
    fit : MixedLMResults or BayesMixedGLMResults
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
    groups : str, optional
        The name of the groups, where statsmodels has lost it: they were given as an array or, with
        ``missing="drop"``, as a Series.

    Raises
    ------
    UnsupportedModelError
        Not a `MixedLM` fit, a penalised fit, a covariance structure that has no blocks, or a fit
        whose data frame was changed afterwards in a way that its columns can't be made again.
    InvalidArgumentError
        `re_formula` or `vc_formula` is not the fit's, or a column `groups` has other values.

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

    #: The class of generalised models, which stands on a higher floor.
    _generalised: ClassVar[type[MerMod]]

    def __new__(cls, fit: object = None, **kwargs: Any) -> MerMod:
        """A `GlmerMod` of a Bayesian mixed GLM, else a `MerMod`."""
        del kwargs
        of_glmm = cls is MerMod and is_bayes_mixed_glm(fit)
        return object.__new__(MerMod._generalised if of_glmm else cls)

    def __init__(
        self,
        fit: object,
        *,
        polish: bool = True,
        re_formula: str | None = None,
        vc_formula: dict[str, str] | None = None,
        groups: str | None = None,
    ) -> None:
        super().__init__(
            read_mixedlm(
                fit, polish=polish, re_formula=re_formula, vc_formula=vc_formula, groups=groups
            )
        )

    def __repr__(self) -> str:
        return _summary.short(self)

    def _repr_html_(self) -> str:
        return _summary.short_html(self)

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there, and for a property that raised AttributeError itself.
        if name.startswith("_") or hasattr(type(self), name):
            return object.__getattribute__(self, name)
        raise AttributeError(hints.of_model(type(self).__name__, name, dir(type(self))))

    @classmethod
    def from_cross_products(
        cls,
        products: ModelProducts,
        *,
        reml: bool = True,
        cov_prior: Any = None,
        control: LmerControl | None = None,
        sigma: float | None = None,
    ) -> MerMod:
        """Fit a model from cross-products, without a row of the data.

        Parameters
        ----------
        products : ModelProducts
            Of `cross_products`, `load_cross_products`, or a sum of them.
        reml : bool
        cov_prior : as of `lmer`, optional
        control : LmerControl, optional
        sigma : float, optional
            The residual standard deviation where it is known, as in `lmer`.

        Raises
        ------
        InvalidArgumentError
            As `lmer`.

        Notes
        -----
        The fit is that of all rows. What needs rows raises `NoRowsError`; `stream_rows` makes it in
        another pass over the data.
        """
        fit = fit_source(
            products, reml=reml, cov_prior=cov_prior, control=control, sigma=sigma, depth=1
        )
        return cls._of(fit)

    # Estimates
    fixef = estimates.fixef
    ranef = estimates.ranef
    coef = estimates.coef
    sigma = estimates.sigma
    vcov = _vcov.vcov
    var_corr = estimates.var_corr
    re_pca = _re_pca.re_pca
    confint = _confint.confint
    profile = _profile.profile
    summary = _tested.summary

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

    # Tests
    anova = _anova.anova
    drop1 = _drop1.drop1

    # Rows
    fitted = rows.fitted
    residuals = rows.residuals
    predict = _predict.predict
    simulate = _simulate.simulate

    hatvalues = _leverage.hatvalues
    hat_trace = _leverage.hat_trace
    rstudent = _leverage.rstudent
    cooks_distance = _leverage.cooks_distance
    influence = _influence.influence

    def plot(self, *, height: float | None = None, title: str | None = None) -> Any:
        """Draw residuals and their scale against fitted values, lme4's ``plot``.

        `plot_residuals` of `residual_table`: see there.

        Parameters
        ----------
        height : float, optional
            Height of the figure in inches, by default 3.6.
        title : str, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        from merextras.plots.checks.residuals import plot_residuals  # noqa: PLC0415 (loads matplotlib)

        return plot_residuals(_residual_table.residual_table(self), height=height, title=title)

    def qqmath(self, *, level: float = 0.95, title: str | None = None) -> Any:
        """Draw standardised residuals against normal quantiles, lattice's ``qqmath``.

        `plot_qq` of `qq_residuals`; ``plot_qqmath(m.ranef())`` has the random effects.

        Parameters
        ----------
        level : float, default 0.95
            Of the pointwise interval.
        title : str, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from merextras.plots.checks.qq import plot_qq  # noqa: PLC0415 (loads matplotlib)

        return plot_qq(_residual_table.qq_residuals(self, level=level), title=title)

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
    block_description = _blocks.block_description

    # Fitting again
    refit = _refit.refit
    refit_ml = _refit.refit_ml
    update = _refit.update
    to_statsmodels = _to_statsmodels.to_statsmodels


FittedModel.adapter = MerMod
