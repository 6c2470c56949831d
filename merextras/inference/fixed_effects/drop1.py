"""Single term deletions from the fixed part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of
from merextras.inference.ddf.method import f_row, f_table, method_of
from merextras.inference.fixed_effects.term_contrasts import without
from merextras.model.design.effects import Effect, Effects
from merextras.model.state.fitted import Fit, FittedModel
from merextras.model.state.fitting import fit_like, refitted
from merextras.model.state.penalised import refuse_penalised
from merextras.results.base import Table

_TESTS = ("chisq", "f", "none")
#: The F test of a term that others replace: nothing is tested.
_REPLACED = (np.nan, np.nan, 0.0, np.nan, np.nan, np.nan)


def drop1(
    model: FittedModel,
    *,
    test: str | None = "default",
    ddf: str | None = None,
    cluster: Any = None,
    scope: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Leave out each term of the fixed part in turn, lme4's and lmerTest's ``drop1``.

    Parameters
    ----------
    test : {"chisq", "f", None}, optional
        Likelihood ratio tests and AIC from refits by ML; F tests of the fit itself; AIC alone. By
        default F tests where `ddf` is given, as lmerTest's, else likelihood ratio tests, as lme4's.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}, optional
        Of the F tests; Satterthwaite's by default.
    cluster : str or array, optional
        Of the last three, as in `MerMod.vcov`.
    scope : sequence of str, optional
        Labels of the terms; by default all that no other term contains (main effects stay as long
        as their interaction is there).

    Returns
    -------
    DataFrame
        By term ``sum_sq mean_sq num_df den_df statistic p_value`` for F tests; otherwise ``df aic
        statistic p_value`` or ``df aic``, with the model itself first as ``<none>`` (by ML).

    Raises
    ------
    InvalidArgumentError
        An unknown `test`, `ddf` or term, or a term that another contains; `ddf` for another test
        than F.

    Notes
    -----
    ``statistic`` is the difference in ML deviance, ``df`` in rank: of the model whose fixed part
    spans what the formula without the term does. A term that others replace, because they determine
    it, has 0 df and no test, whichever of them the fit has columns of. R: ``drop1(m, test =
    "Chisq")`` of lme4, where ``df`` is called npar, and ``drop1(m)`` of lmerTest for the F tests. A
    REML fit is refitted by ML without a warning, as AIC has no other meaning here. Cost: an ML
    refit per term.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", mx.load_dataset("students"))
    >>> m.drop1().round(4)
             df        aic  statistic  p_value
    <none>  NaN  5818.5207        NaN      NaN
    open    1.0  5817.0554     0.5347   0.4646
    agree   1.0  5819.8215     3.3008   0.0692
    social  1.0  5816.7093     0.1886   0.6641
    """
    chosen = chosen_test(test, ddf)
    effects = model.design.effects(as_written=True)
    wanted = in_scope(effects, scope)
    if chosen != "f":
        if cluster is not None:
            raise InvalidArgumentError("cluster: is for F tests with ddf='CR0', 'CR1' or 'CR2'")
        refuse_penalised("drop1 by likelihood", model)
        return _by_likelihood(model, effects, wanted, test=chosen == "chisq")
    name = "satterthwaite" if ddf is None else ddf
    method = method_of(model, name, cluster=cluster, stacklevel=3)
    rows = {}
    for effect in wanted:
        contrasts = without(model.design, effects, effect)
        rows[effect.label] = f_row(method, contrasts) if len(contrasts) else list(_REPLACED)
    return f_table(rows)


def chosen_test(test: object, ddf: object) -> str:
    """The test's name; the one that goes with `ddf` by default."""
    if test == "default":
        return "chisq" if ddf is None else "f"
    name = "none" if test is None else test.lower() if isinstance(test, str) else test
    if name not in _TESTS:
        raise InvalidArgumentError(f"test={test!r}: {one_of(test, list(_TESTS))}")
    if ddf is not None and name != "f":
        raise InvalidArgumentError(
            f"ddf={ddf!r}: degrees of freedom are those of F tests; leave out test={test!r}, or "
            'give test="f"'
        )
    return str(name)


def in_scope(effects: Effects, scope: Sequence[str] | None) -> list[Effect]:
    """The terms of `scope`; by default all that no other term contains."""
    marginal = {effect.label: effect for effect in effects.marginal()}
    if scope is None:
        return list(marginal.values())
    wanted = list(scope) if isinstance(scope, Iterable) and not isinstance(scope, str) else [scope]
    for label in wanted:
        if label not in marginal:
            raise InvalidArgumentError(
                f"scope={label!r}: {one_of(label, list(marginal))} (terms that no other contains)"
            )
    return [marginal[label] for label in wanted]


def _with_columns(model: FittedModel, x: Array) -> Fit:
    """The ML fit with other fixed-effects columns, within the span of those there are."""
    design = model.design
    own = design.with_fixed_columns(x)
    return fit_like(model, own, reml=False, products=own.cross_products())


def _by_likelihood(
    model: FittedModel, effects: Effects, wanted: Sequence[Effect], *, test: bool
) -> pd.DataFrame:
    large = refitted(model, reml=False) if model.solution.reml else model
    rows = [(np.nan, large.n_parameters, large.solution.deviance())]
    for effect in wanted:
        left = [e for e in effects.effects if e is not effect]
        x = effects.spanned(left)
        lost = large.solution.p - x.shape[1]
        small = large if lost == 0 else _with_columns(model, x)
        rows.append((lost, large.n_parameters - lost, small.solution.deviance()))
    return deletions(wanted, rows, test=test)


def deletions(
    wanted: Sequence[Effect], rows: Sequence[tuple[float, ...]], *, test: bool
) -> pd.DataFrame:
    """The table of the whole model and those without a term: ``(df, npar, deviance)`` of each."""
    df, npar, deviance = np.array(rows, dtype=float).T
    index = ["<none>", *(effect.label for effect in wanted)]
    out = pd.DataFrame({"df": df, "aic": deviance + 2.0 * npar}, index=index)
    if test:
        out["statistic"] = np.where(np.isnan(df), np.nan, np.maximum(deviance - deviance[0], 0.0))
        out["p_value"] = stats.chi2.sf(out["statistic"], np.where(df > 0, df, np.nan))
    return Table.of(out)
