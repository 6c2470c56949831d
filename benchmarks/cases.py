"""The cases: a name, a model, and how to make the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.data import (
    Built,
    ar1,
    binary,
    bundled,
    cbpp,
    cbpp_rows,
    contraception,
    crossed,
    cs,
    discrete,
    insteval,
    kinds,
    names,
    nested,
    one_factor,
    plan,
    ratings,
    reference,
    repeated,
    sites,
    verb_agg,
    wide,
)
from benchmarks.models import GAUSSIAN, Bar, Model


@dataclass(frozen=True)
class Case:
    """A model and its data; `make` takes a factor that shrinks generated data."""

    name: str
    model: Model
    make: Callable[[float], Built]
    ours_only: bool = False
    for_tasks: bool = False  # left out of the fits when no case is named


# The list -----------------------------------------------------------------------------------------


def _model(
    response: str,
    fixed: str,
    *bars: tuple[str, str] | tuple[str, str, str],
    family: str = GAUSSIAN,
    residual_by: str = "",
) -> Model:
    return Model(response, fixed, tuple(Bar(*bar) for bar in bars), family, residual_by)


_SLOPES = _model("y", "x", ("1 + x", "g"))
_CROSSED = (("1", "s"), ("1", "d"))
_HSB = partial(bundled, "hsb", {"mathach", "ses", "meanses"}, {"schid"})
_STUDENTS = partial(bundled, "students", {"extro", "open", "agree", "social"}, {"school", "class"})

_SITES = partial(sites, 3_000, 300, 20)
_LOGIT = _model("y", "x", ("1", "g"), family="binomial")

CASES: tuple[Case, ...] = (
    Case(
        "sleepstudy",
        _model("Reaction", "Days", ("1 + Days", "Subject")),
        partial(bundled, "sleepstudy", {"Reaction", "Days"}, {"Subject"}),
    ),
    Case(
        "penicillin",
        _model("diameter", "1", ("1", "plate"), ("1", "sample")),
        partial(bundled, "penicillin", {"diameter"}, {"plate", "sample"}),
    ),
    Case(
        "pastes",
        _model("strength", "1", ("1", "batch"), ("1", "sample")),
        partial(bundled, "pastes", {"strength"}, {"batch", "sample"}),
    ),
    Case(
        "students",
        _model("extro", "open + agree + social", ("1", "school")),
        _STUDENTS,
    ),
    Case(
        "students-nested",
        _model("extro", "open + agree + social", ("1", "school/class")),
        _STUDENTS,
    ),
    Case("insteval-dept", _model("y", "service", *_CROSSED, ("1", "dept")), insteval),
    Case(
        "insteval-dept:service",
        _model("y", "service", *_CROSSED, ("1", "dept:service")),
        insteval,
    ),
    Case(
        "groups-5e4",
        _model("y", "x", ("1", "g")),
        partial(one_factor, 100_000, 50_000, False),
    ),
    *(
        Case(
            f"{kind}-1e6",
            _model("y", f"x + {kind}", ("1", "g")),
            partial(kinds, 1_000_000, 10_000),
        )
        for kind in ("number", "category", "text")
    ),
    Case(
        "columns-300",
        _model("y", " + ".join(names(300)), ("1", "g")),
        partial(wide, 100_000, 1_000, 300),
    ),
    Case(
        "ratings-1e6",
        _model("y", "x", ("1", "user"), ("1", "item")),
        partial(ratings, 1_000_000, 50_000, 5_000, True),
    ),
    Case(
        "ratings-5e5",
        _model("y", "x", ("1", "user"), ("1", "item")),
        partial(ratings, 500_000, 50_000, 5_000, False),
    ),
    Case("slopes-1e5", _SLOPES, partial(one_factor, 1_000_000, 100_000, True)),
    Case(
        "nested-3",
        _model("y", "x", ("1", "a/b/c")),
        partial(nested, 100_000, 100, 10, 10),
    ),
    Case(
        "us-4",
        _model("y", "x", ("0 + t", "g")),
        partial(repeated, 4_000, 200, cs(4)),
    ),
    *(
        Case(
            f"us-{k}",
            _model("y", "x", ("0 + t", "g")),
            partial(repeated, 200_000, 2_000, cs(k)),
        )
        for k in (5, 10, 20, 40)
    ),
    Case(
        "cs-10",
        _model("y", "x", ("0 + t", "g", "cs")),
        partial(repeated, 100_000, 2_000, cs(10)),
    ),
    Case(
        "ar1-10",
        _model("y", "x", ("0 + t", "g", "ar1")),
        partial(repeated, 100_000, 2_000, ar1(10)),
    ),
    Case(
        "hsb-residuals",
        _model("mathach", "ses + meanses", ("1 + ses", "schid"), residual_by="schid"),
        _HSB,
    ),
    Case(
        "cbpp",
        _model("cbind(incidence, healthy)", "period", ("1", "herd"), family="binomial"),
        cbpp,
    ),
    Case(
        "cbpp-rows",
        _model("y", "period", ("1", "herd"), family="binomial"),
        cbpp_rows,
    ),
    Case(
        "contraception-slopes",
        _model("use", "age + age2 + urban + livch", ("1 + urban", "district"), family="binomial"),
        contraception,
    ),
    Case(
        "verb-agg",
        _model(
            "r2",
            "Anger + Gender + btype + situ",
            ("1", "id"),
            ("1", "item"),
            family="binomial",
        ),
        verb_agg,
    ),
    Case(
        "grouseticks",
        _model(
            "TICKS",
            "YEAR + cHEIGHT",
            ("1", "INDEX"),
            ("1", "BROOD"),
            ("1", "LOCATION"),
            family="poisson",
        ),
        partial(
            reference, "grouseticks", {"TICKS", "cHEIGHT"}, {"YEAR", "INDEX", "BROOD", "LOCATION"}
        ),
    ),
    Case(
        "epil-rows",
        _model("y", "lbase * trt + lage + V4", ("1", "row"), ("1", "subject"), family="poisson"),
        partial(reference, "epil", {"y", "lbase", "lage", "V4"}, {"trt", "subject"}),
    ),
    Case(
        "poisson-exposure",
        _model("accidents", "x + offset(log_exposure)", ("1 + x", "site"), family="poisson"),
        _SITES,
    ),
    Case(
        "negative-binomial",
        _model("spread", "x", ("1", "site"), ("1", "region"), family="negative_binomial"),
        _SITES,
    ),
    Case("gamma", _model("cost", "x", ("1 + x", "site"), family="gamma"), _SITES),
    Case("binary-1e5", _LOGIT, partial(binary, 100_000, 10_000)),
    Case("binary-1e6-discrete", _LOGIT, partial(discrete, 1_000_000, 100_000)),
    Case(
        "hsb",
        _model("mathach", "ses + meanses", ("1 + ses", "schid")),
        _HSB,
        for_tasks=True,
    ),
    Case(
        "crossed-1500",
        _model("y", "x + kind", ("1", "a"), ("1", "b"), ("1", "c")),
        partial(crossed, 1_500, (60, 30, 12)),
        for_tasks=True,
    ),
    Case(
        "groups-200",
        _model("y", "x", ("1", "g")),
        partial(one_factor, 10_000, 200, False),
        for_tasks=True,
    ),
    Case("plan", _model("y", "x", ("1", "g")), plan, for_tasks=True),
    *(
        Case(f"scaling-1e{k}", _SLOPES, partial(one_factor, 10**k, 10**k // 10, True), True)
        for k in (4, 5, 6, 7)
    ),
    *(
        Case(f"binary-scaling-1e{k}", _LOGIT, partial(binary, 10**k, 10 ** (k - 1)), True)
        for k in (4, 5, 6)
    ),
)
