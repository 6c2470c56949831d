"""`MerMod`: a fitted linear mixed model with the methods of lme4's merMod class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from merextras import _hints
from merextras.accessors import blocks as _blocks
from merextras.accessors import description, estimates, likelihood, rows
from merextras.accessors import get_me as _get_me
from merextras.accessors import summary as _summary
from merextras.diagnostics import influence as _influence
from merextras.diagnostics import leverage as _leverage
from merextras.diagnostics import re_pca as _re_pca
from merextras.diagnostics import residual_table as _residual_table
from merextras.inference.comparison import anova as _anova
from merextras.inference.fixed_effects import drop1 as _drop1
from merextras.inference.fixed_effects import summary as _tested
from merextras.inference.fixed_effects import vcov as _vcov
from merextras.inference.intervals import confint as _confint
from merextras.inference.intervals import profile as _profile
from merextras.model.design.options import check_sigma, refuse_two_sigmas
from merextras.model.fit import refit as _refit
from merextras.model.fit.lmer import check_order, fit_formula, fit_source, read_products
from merextras.model.products.products import ModelProducts
from merextras.model.source.source import is_dask, is_source
from merextras.model.state import fitted as _fitted
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels import to_statsmodels as _to_statsmodels
from merextras.model.statsmodels.mixedlm import is_bayes_mixed_glm, read_mixedlm
from merextras.prediction import predict as _predict
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
        """A `GlmerMod` of a Bayesian mixed GLM."""
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
        raise AttributeError(_hints.of_model(type(self).__name__, name, dir(type(self))))

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


def lmer(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    freq_weights: Any = None,
    offset: Any = None,
    residual_by: str | Sequence[str] | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    cov_prior: Any = None,
    control: LmerControl | None = None,
    sigma: float | None = None,
    chunk_size: int | None = None,
    progress: bool | None = None,
) -> MerMod:
    """Fit a linear mixed model from lme4's formula, lme4's ``lmer``.

    Parameters
    ----------
    formula : str
        ``"y ~ x + (1 + x | g)"``. The fixed part and the effects left of a bar are Python formulas
        (patsy's, or formulaic's by `control`), with ``np`` and the caller's own names at hand: read
        a formula from someone else before running it. Right of a bar stands a grouping factor:
        ``g``, ``a:b``, or ``a/b`` for ``a`` and ``b:a``. ``||`` makes effects independent, each
        column of a factor on its own. ``offset(x)`` and backticks for odd names work.

        The effects' covariance is free, or has a structure: ``diag(x | g)`` independent effects,
        ``cs(0 + f | g)`` the same correlation of every two, ``ar1(0 + t | g)`` a correlation
        ``rho**d`` of effects d steps apart, in the order of the factor's levels. With ``hom=True``
        the effects of ``diag`` and ``cs`` have one standard deviation, with ``het=True`` those of
        ``ar1`` have one each.
    data : DataFrame, or a source of chunks
        pandas, polars, or anything with ``to_pandas``, in memory. Read in chunks, so that it need
        not fit there: a pyarrow Table or Dataset, a path or glob of parquet or CSV files, a list of
        frames, a function that gives an iterable of frames, a Dask DataFrame (see `cross_products`;
        the model keeps no rows, and `stream_rows` goes through them again).
    reml : bool
        Restricted maximum likelihood, or maximum likelihood.
    weights : (n,) array, Series or column name, optional
        Precision weights w: the residual variance of a row is sigma**2 / w. A row of weight zero
        is not an observation.
    freq_weights : the same, optional
        How many observations the row stands for.
    offset : the same, optional
        A known part of the expectation.
    residual_by : column name, or list of them, optional
        Groups of rows with residual standard deviations of their own (several columns: each
        combination that occurs), estimated jointly with everything else, as by nlme's
        ``varIdent``: a row's residual variance is sigma_h**2 / w. `sigma` is then by group.
    contrasts : mapping column -> str, optional
        ``{"class": "Sum"}``, ``{"class": "Treatment('b')"}``: patsy's contrasts.
    missing : {"drop", "raise"}
        Rows that miss a value of a variable of the model; `n_dropped` counts them and all results
        keep the user's index.
    cov_prior : {"wishart", "gamma", "invwishart"}, a prior, or a mapping of them, optional
        A prior of each term's covariance over sigma**2, blme's: the estimate is then the mode of
        the penalised likelihood. ``"wishart"`` (`Wishart`, blme's default) keeps variances off
        zero and correlations off their bounds, and moves little else: the remedy for a singular
        fit. `Gamma` and `InverseWishart`, too, have parameters; a mapping is by grouping factor
        (``{"school": "wishart"}``) or term (``{"(1 + x | school)": mx.Wishart(scale=4)}``), and
        terms that are not in it have no prior.
    control : LmerControl, optional
    sigma : float, optional
        The residual standard deviation of a row of weight one, where it is known and not to be
        estimated: ``sigma=1, weights=1 / v`` for estimates with sampling variances v, as in a
        meta-analysis. There may then be a group for each row. What is tested or simulated takes it
        for known; what is a test of the ratio to an estimated sigma (`exact_rlrt`) is refused, and
        so is `residual_by`. A `cov_prior` is of covariances over the sigma**2 that is given.
    chunk_size : int, optional
        Rows read at a time, 100 000 by default; given, a frame is read in chunks too.
    progress : bool, optional
        A progress bar on long passes over chunks; by default where someone is watching.

    Returns
    -------
    MerMod

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read (with a mark under the place), an unknown column, a design
        whose variances can't be told apart, values that are infinite or not numeric.

    Warns
    -----
    RankDeficientWarning
        Fixed-effects columns were dropped; ``fixef(add_dropped=True)`` shows them as NaN.
    SingularFitWarning, ConvergenceWarning

    Notes
    -----
    Newton steps with the average information on the profiled deviance (Bates et al. 2015,
    eq. 35 and 42), which a `cov_prior` adds its -2 log density to (Chung, Rabe-Hesketh, Dorie,
    Gelman & Liu 2013, Psychometrika 78): `log_lik` is then the likelihood alone, at that optimum,
    and no maximum: what compares maxima refuses or says so. Cost: one pass over the rows, then
    about five factorisations of the cross-products, linear in the levels of one factor and cubic in
    the smaller of two crossed ones.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> m.fixef().round(4)
    Intercept    251.4051
    Days          10.4673
    dtype: float64
    """
    check_order(formula, data)
    if chunk_size is not None or is_dask(data) or is_source(data):
        refuse_two_sigmas(check_sigma(sigma), residual_by)
        products = read_products(
            formula,
            data,
            weights=weights,
            freq_weights=freq_weights,
            offset=offset,
            residual_by=residual_by,
            contrasts=contrasts,
            missing=missing,
            chunk_size=chunk_size,
            progress=progress,
            depth=1,
        )
        fit = fit_source(
            products, reml=reml, cov_prior=cov_prior, control=control, sigma=sigma, depth=1
        )
        return MerMod._of(fit)
    fit = fit_formula(
        formula,
        data,
        reml=reml,
        weights=weights,
        freq_weights=freq_weights,
        offset=offset,
        residual_by=residual_by,
        contrasts=contrasts,
        missing=missing,
        cov_prior=cov_prior,
        control=control,
        sigma=sigma,
        depth=1,
    )
    return MerMod._of(fit)
