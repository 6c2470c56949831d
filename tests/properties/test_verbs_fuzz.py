"""Every verb on some hundred small designs: no raw error, no NaN without a word, and invariance.

A verb may refuse in words (an error of merextras) or warn; it may not fail in numpy's or pandas'
words, nor give a number that depends on the order of the rows, on what groups are called, on the
zero or the unit of a covariate. A design takes some three seconds: the test tries every twentieth.
All, or those of a few seeds, are tried with their faults printed by::

    PYTHONPATH=.:tests:tests/support/small:tests/support/runs \\
        python tests/properties/test_verbs_fuzz.py $(seq 0 330)
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import small_models as small
from fuzz_share import SHARE
from statsmodels.tools.sm_exceptions import ModelWarning
from tolerances import FUZZ_INVARIANT

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning

#: The designs, by their seeds, that are tried: a share of 331, and those that have shown faults.
SEEDS = sorted(
    {*range(0, 331, 1 if SHARE >= 1 else 20), 14, 26, 30, 60, 84, 90, 150, 165, 218, 223, 286}
)
#: Columns in which NaN is documented, and what it means there; of any verb, and of single ones.
MAY_BE_NAN = {
    "df": "none asked for, or the term has none",
    "p_value": "none without degrees of freedom",
    "std_error": "a variance's, where it is zero",
    "statistic": "a variance's",
    "conf_low": "a variance's, where it is zero",
    "conf_high": "a variance's, where it is zero",
    "no_pooling": "shrinkage: a level whose rows do not determine its coefficients",
    "p_better": "what_if: a case in the level that it is in",
    "spread_error": "re_impact: a bin of one level",
}
#: Verbs whose tables have lines without a number, by their documentation.
HAS_EMPTY_LINES = {
    "re_impact": "a bin without levels",
    "what_if_spread": "the outcome's own variance has no interval",
    "influence groups": "a deletion that leaves one level, with its reason in `reasons`",
}


#: Warnings that tell a user something: ours, and statsmodels' own of what is made of statsmodels'.
_WORDS = (MerextrasWarning, ModelWarning)


def verbs(m, data):
    """What each verb makes of a model, by the verb's name; each is called when it is looked at."""
    rows = data.dropna().iloc[:4].reset_index(drop=True)
    names = [c for c in ("x", "w", "i") if c in m.design.fixed.variables]
    moved = {names[0]: [0.0, 1.0]} if names else None
    group = m.design.terms[0].factor
    return {
        "summary": lambda: m.summary().coefficients,
        "summary satterthwaite": lambda: m.summary(ddf="satterthwaite").coefficients,
        "summary kenward-roger": lambda: m.summary(ddf="kenward-roger").coefficients,
        "ranef": lambda: m.ranef(cond_var=True).to_frame(),
        "coef": lambda: m.coef()[group],
        "var_corr": lambda: m.var_corr().to_frame(),
        "re_pca": lambda: m.re_pca().to_frame(),
        "vcov": m.vcov,
        "log_lik": m.log_lik,
        "aic bic": lambda: [m.aic(), m.bic()],
        "anova": m.anova,
        "anova satterthwaite": lambda: m.anova(ddf="satterthwaite"),
        "drop1": m.drop1,
        "confint wald": lambda: m.confint(method="wald", parm="beta_"),
        "confint profile": lambda: m.confint(parm=["sigma"]),
        "confint boot": lambda: m.confint(method="boot", n_sims=3, rng=1, parm="beta_"),
        "bootstrap": lambda: mx.bootstrap(m, n_sims=3, rng=1).estimates,
        "predict": m.predict,
        "predict rows": lambda: m.predict(rows, se_fit=True, interval="prediction"),
        "predict new levels": lambda: m.predict(
            rows.assign(**dict.fromkeys(m.design.terms[0].columns, "never")),
            allow_new_levels=True,
            re_form="NA",
        ),
        "predict_interval": lambda: mx.predict_interval(m, rows, n_sims=5, rng=1),
        "simulate": lambda: m.simulate(rng=1),
        "refit": lambda: m.refit(m.simulate(rng=1).iloc[:, 0]).fixef(),
        "refit_ml": lambda: m.refit_ml().deviance(),
        "update": lambda: m.update(". ~ 1 + (1 | g)").fixef(),
        "hatvalues": m.hatvalues,
        "rstudent": m.rstudent,
        "cooks_distance": m.cooks_distance,
        "influence groups": lambda: m.influence("g").to_frame(),
        "residuals pearson": lambda: m.residuals(type="pearson"),
        "emmeans": lambda: mx.emmeans(m, "f"),
        "emtrends": lambda: mx.emtrends(m, "f", var="x"),
        "joint_tests": lambda: mx.joint_tests(m),
        "contest": lambda: mx.contest(m, np.eye(len(m.fixef()))[-1:]),
        "r2": lambda: mx.r2(m),
        "icc": lambda: mx.icc(m),
        "variance_decomposition": lambda: mx.variance_decomposition(m),
        "performance": lambda: mx.performance(m),
        "ranova": lambda: mx.ranova(m),
        "exact_rlrt": lambda: mx.exact_rlrt(m, n_sims=50, rng=1),
        "all_fit": lambda: mx.all_fit(m),
        "vcov_adj": lambda: mx.vcov_adj(m),
        "what_if": lambda: mx.what_if(m, rows, group, rng=1),
        "what_if_average": lambda: mx.what_if_average(m, rows, changes=moved),
        "what_if_spread": lambda: mx.what_if_spread(m, rows, group),
        "re_sim": lambda: mx.re_sim(m, n_sims=5, rng=1),
        "fe_sim": lambda: mx.fe_sim(m, n_sims=5, rng=1),
        "re_impact": lambda: mx.re_impact(m, rows, group=group),
        "re_margins": lambda: mx.re_margins(m, rows, group=group),
        "expected_rank": lambda: mx.expected_rank(m),
        "shrinkage": lambda: mx.shrinkage(m, group=group),
        "tidy": lambda: mx.tidy(m),
        "glance": lambda: mx.glance(m),
        "augment": lambda: mx.augment(m),
        "model_checks": lambda: mx.model_checks(m),
        "check_convergence": lambda: mx.check_convergence(m),
        "check_collinearity": lambda: mx.check_collinearity(m),
        "check_singularity": lambda: mx.check_singularity(m),
        "residual_table": lambda: mx.residual_table(m),
        "standardize": lambda: mx.standardize(m).fixef(),
        "average_obs": lambda: mx.average_obs(m),
        "to_statsmodels": lambda: m.to_statsmodels().params,
        "display": lambda: repr(mx.display(m)),
        "extract_dic": lambda: mx.extract_dic(m),
        "compare_table": lambda: repr(mx.compare_table(m)),
    }


def _nan_in(found):
    """Whether numbers are NaN where they may not be."""
    if isinstance(found, str):
        return False
    if hasattr(found, "to_frame") and not isinstance(found, (pd.Series, pd.DataFrame)):
        found = found.to_frame()
    if isinstance(found, pd.DataFrame):
        kept = [c for c in found.columns if c not in MAY_BE_NAN]
        found = found[kept].select_dtypes(["number"])
    try:
        values = np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        return False
    return bool(np.any(np.isnan(values)))


def _called(make):
    """(value or None, warned, fault or None) of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = make()
        except MerextrasError as err:
            return None, True, None if str(err) else "an error without a word"
        except Exception as err:
            return None, False, f"raw {type(err).__name__}: {str(err).splitlines()[0][:120]}"
    ours = any(issubclass(w.category, _WORDS) for w in caught)
    raw = [w for w in caught if not issubclass(w.category, _WORDS)]
    fault = f"raw {raw[0].category.__name__}: {str(raw[0].message)[:120]}" if raw else None
    return found, ours, fault


def _invariants(m, *, like=None):
    """Numbers that no order, label, zero or unit of x may change, by name."""
    index = m.design.index if like is None else like
    table = m.summary(ddf="satterthwaite").coefficients
    # With an interaction, a main effect's coefficient is at the other's zero.
    whole = not any(":" in name for name in table.index)
    slopes = [name for name in table.index if name != "Intercept" and (whole or ":" in name)]
    return {
        "fitted": m.fitted().loc[index].to_numpy(),
        "sigma": np.array([m.sigma()]),
        "hat": m.hatvalues().loc[index].to_numpy(),
        "r2": mx.r2(m).to_frame().select_dtypes("number").to_numpy(dtype=float).reshape(-1),
        "statistics": table.loc[slopes, "statistic"].to_numpy(),
        "df": table.loc[slopes, "df"].to_numpy(),
    }


def _apart(found, expected):
    """The largest difference, relative to the largest number."""
    scale = max(float(np.nanmax(np.abs(expected), initial=0.0)), 1e-300)
    both = np.isfinite(found) & np.isfinite(expected)
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        return np.inf
    return float(np.max(np.abs(found - expected)[both], initial=0.0)) / scale


def _fit(case):
    return mx.lmer(case.formula, case.data, **case.kwargs)


def _invariance_faults(case, m):
    changes = {"order": small.in_another_order, "labels": small.relabelled, "unit": small.scaled}
    if case.shiftable:
        changes["zero"] = small.shifted
    if (
        m.opt_summary.unbounded
    ):  # no optimum, so no numbers to hold: what holds is that this is said
        others = {
            name: _called(lambda change=change: _fit(change(case)))[0]
            for name, change in changes.items()
        }
        return [
            f"{name}: unbounded here and not there"
            for name, other in others.items()
            if other is None or not other.opt_summary.unbounded
        ]
    expected, _, fault = _called(lambda: _invariants(m))
    if expected is None:
        return [f"invariants: {fault}"] if fault else []
    out = []
    for name, change in changes.items():
        found, _, fault = _called(
            lambda change=change: _invariants(_fit(change(case)), like=m.design.index)
        )
        if fault:
            out.append(f"{name}: {fault}")
        if found is None:
            out += [] if fault else [f"{name}: refused here and not there"]
            continue
        for what, values in found.items():
            apart = _apart(values, expected[what])
            if not apart < FUZZ_INVARIANT[what]:
                out.append(f"{name}: {what} apart by {apart:.2g}")
    return out


def faults_of(seed):
    """What is wrong with the design of a seed, a line each."""
    case = small.case_of(seed)
    m, warned, fault = _called(lambda: _fit(case))
    faults = [f"fit: {fault}"] if fault else []
    if m is not None:
        for name, verb in verbs(m, case.data).items():
            found, ours, fault = _called(verb)
            if fault:
                faults.append(f"{name}: {fault}")
            elif found is None or ours or warned or name in HAS_EMPTY_LINES:
                continue
            elif _nan_in(found):
                faults.append(f"{name}: NaN without a word")
        faults += _invariance_faults(case, m)
    return [f"seed {seed} ({case.formula}, {case.kwargs}): {fault}" for fault in faults]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_verb(seed):
    faults = faults_of(seed)
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults)


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        print("\n".join(faults_of(seed)) or f"seed {seed}: no fault", flush=True)
