"""The estimates: fixed effects, variances, fit, and how the variance divides."""

from __future__ import annotations

from typing import Any

from merextras.exceptions import MerextrasError
from merextras.inference.ddf.clusters import cluster_codes
from merextras.reporting.script import Named, Script
from merextras.reporting.view import MX, View
from merextras.reporting.words import describe

FIXED, RANDOM, FIT = "Fixed effects", "Random effects", "Fit"
R_SQUARED, ICC, TEXT = "R squared", "Intraclass correlation", "As printed"
#: What p-values of fixed effects can rest on.
DDF = {
    "satterthwaite": "Satterthwaite",
    "kenward-roger": "Kenward-Roger",
    "asymptotic": "normal distribution",
    "CR0": "cluster-robust, CR0",
    "CR1": "cluster-robust, CR1",
    "CR2": "cluster-robust, CR2",
}
#: Those of a generalised model.
_OF_GLMM = ("asymptotic", "CR0", "CR1")


def tests_of(m: Any) -> dict[str, str]:
    """Those of `DDF` that a model has without being told more, the default first.

    Cluster-robust ones need a factor that all others are nested in.
    """
    found = {ddf: DDF[ddf] for ddf in _OF_GLMM} if m.is_glmm() else DDF
    try:
        cluster_codes(m.design, None)
    except MerextrasError:
        return {ddf: words for ddf, words in found.items() if not ddf.startswith("CR")}
    return found


def summary(
    m: Any, *, ddf: str = "satterthwaite", cluster: str | None = None, level: float = 0.95
) -> View:
    """The model summary.

    Parameters
    ----------
    m : MerMod
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}
        Degrees of freedom of tests and intervals of fixed effects; cluster-robust standard errors.
        A generalised model's are asymptotic, or CR0 and CR1.
    cluster : str, optional
        Of the robust ones.
    level : float
        Of the intervals.
    """
    script, model = Script(), Named("m", m)
    tests: dict[str, Any] = {"ddf": ddf} | ({} if cluster is None else {"cluster": cluster})
    if m.is_glmm() and ddf in {"satterthwaite", "asymptotic"}:
        tests.pop("ddf")
    fixed = script.call("fixed", MX.of("tidy"), model, "fixed", ci="wald", level=level, **tests)
    random = script.call("random", script.call("var_corr", model.of("var_corr")).of("to_frame"))
    fit = script.call("fit", MX.of("glance"), model)
    empty = [name for name in ("effect", "group", "level") if name in fixed.value]
    tables = {
        FIXED: fixed.value.drop(columns=empty),
        RANDOM: random.value.rename(columns={"grp": "group"}),
        FIT: fit.value,
    }
    notes = list(describe(m))
    for title, name, verb in ((R_SQUARED, "explained", "r2"), (ICC, "shares", "icc")):
        try:
            found = script.call(name, MX.of(verb), model)
            tables[title] = script.call(name, found.of("to_frame")).value
        except MerextrasError as err:
            notes.append(f"{title}: {err}")
    figures = {}
    if any(term != "Intercept" for term in fixed.value["term"]):
        figures[FIXED] = script.figure(MX.of("plot_coef"), fixed)
    return View(script, tables, figures, tuple(notes))
