"""Timed tasks: the fit, or something that is asked of a fit made beforehand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One thing to do.

    `value` names the number that is read from the result, so that speed is not had for a wrong
    answer; `tolerance` is how far it may be from the reference, None if it is random. `relative`
    says of what the tolerance is a share.
    """

    name: str
    what: str
    value: str
    tolerance: float | None
    relative: bool = False
    cases: tuple[str, ...] = ()


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("fit", "the fit, formula included", "REML criterion or −2 log L", 1e-3),
        Task(
            "profile",
            "profiles of all parameters and their 95 % intervals; lme4's confint(profile(m))",
            "sum of the ends",
            1e-3,
            relative=True,
            cases=("sleepstudy", "penicillin", "students", "contraception-slopes"),
        ),
        Task(
            "profile_fixed",
            "profiles of the fixed effects and their 95 % intervals; lme4's confint(parm='beta_')",
            "sum of the ends",
            1e-3,
            relative=True,
            cases=("sleepstudy", "students"),
        ),
        Task(
            "bootstrap",
            "1000 parametric refits, all parameters of each; lme4's bootMer",
            "SD of the last fixed effect",
            None,
            cases=("students", "sleepstudy", "cbpp", "insteval-dept"),
        ),
        Task(
            "simulate",
            "100 new responses with new random effects; lme4's simulate",
            "SD of all",
            None,
            cases=("students", "slopes-1e5"),
        ),
        Task(
            "simulate_modes",
            "100 new responses at the conditional modes; lme4's simulate(use.u=TRUE)",
            "SD of all",
            None,
            cases=("students", "slopes-1e5"),
        ),
        Task(
            "predict",
            "predictions of all rows, given as new data, random effects included; lme4's predict",
            "mean square",
            1e-5,
            relative=True,
            cases=("students", "insteval-dept", "slopes-1e5"),
        ),
        Task(
            "predict_interval_few",
            "prediction intervals of the first 10,000 rows, given as new data, from 1000 draws; "
            "merTools' predictInterval",
            "mean width",
            None,
            cases=("slopes-1e5",),
        ),
        Task(
            "what_if",
            "the first 100 cases in each of the levels, with their exact intervals; ours alone",
            "mean width",
            None,
            cases=("groups-200",),
        ),
        Task(
            "power",
            "100 simulated studies, each refitted and its last fixed effect tested by Kenward and "
            "Roger's method; the loop of simr's powerSim, by lme4's refit and lmerTest",
            "mean p-value",
            None,
            cases=("sleepstudy", "students", "plan"),
        ),
        Task(
            "power_lrt",
            "50 simulated studies, each refitted with its last fixed effect and without, and the "
            "two compared by the likelihood ratio; the same loop, by lme4's refit and anova",
            "mean p-value",
            None,
            cases=("plan",),
        ),
        Task(
            "kr",
            "F tests with Kenward and Roger's degrees of freedom; pbkrtest's, by lmerTest",
            "sum of den_df",
            1e-3,
            relative=True,
            cases=("crossed-1500", "insteval-dept"),
        ),
        Task(
            "predict_interval",
            "prediction intervals of all rows from 1000 draws; merTools' predictInterval",
            "mean width",
            None,
            cases=("students", "hsb"),
        ),
        Task(
            "re_sim",
            "summaries of 1000 draws of the random effects; merTools' REsim",
            "mean sd",
            None,
            cases=("students", "hsb"),
        ),
        Task(
            "influence",
            "a full refit without each level of the first factor; lme4's influence",
            "largest change of a fixed effect",
            1e-3,
            relative=True,
            cases=("sleepstudy", "hsb"),
        ),
    )
}
