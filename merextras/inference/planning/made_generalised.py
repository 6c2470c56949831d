"""`make_model` of a generalised model: at assumed parameters, from a fit or a formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.inference.planning.assumed import covariances_of, fixed_effects
from merextras.model.design.build import build_design, response_later
from merextras.model.design.design import RowDesign
from merextras.model.design.rank import full_rank
from merextras.model.formula.parse import parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import unquoted
from merextras.model.frame.read import as_pandas
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.fit import Request
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.made import at_parameters, without_values
from merextras.model.generalised.other_rows import request_of
from merextras.model.generalised.responses.response import Response
from merextras.model.settings.options import Options
from merextras.model.state.control import LmerControl


def made_from_model(
    model: FittedGlmm, data: Any, fixef: Any, var_corr: Mapping[str, Any] | None
) -> FittedGlmm:
    """The model with some of its parameters or its data replaced; see `make_model`."""
    design, response = model.design, replace(model.response, y=np.zeros(model.design.n))
    if data is not None:
        design, response = _on(model, data)
    return _made(design, response, request_of(model), fixef, var_corr, model, model.phi)


def made_from_formula(
    formula: str,
    data: Any,
    choice: FamilyChoice,
    options: Options,
    *,
    by_row: Mapping[str, Any],
    fixef: Any,
    var_corr: Mapping[str, Any] | None,
) -> FittedGlmm:
    """A model of a formula; see `make_model`.

    Raises
    ------
    UnsupportedModelError
        A family with a dispersion that is estimated.
    """
    if choice.of(np.ones(1), np.ones(1) if choice.has_trials else None).n_phi:
        raise UnsupportedModelError(
            f"make_model: family={choice.name!r} has a dispersion that is a parameter: fit such a "
            "model and give it in the formula's place (a negative binomial's size may be given as "
            "dispersion=)"
        )
    frame = _with_values(formula, as_pandas(data))
    options = replace(options, missing="raise").with_rows(frame, **by_row)
    design, response = _read(formula, frame, options, choice)
    request = Request(choice, LmerControl())
    return _made(design, response, request, fixef, var_corr, None, np.empty(0))


def _made(
    design: RowDesign,
    response: Response,
    request: Request,
    fixef: Any,
    var_corr: Mapping[str, Any] | None,
    old: FittedGlmm | None,
    phi: Array,
) -> FittedGlmm:
    beta = fixed_effects(design, fixef, old)
    theta = design.covariances.natural_of(covariances_of(design, var_corr, old))
    fit = at_parameters(design, response, request, theta, beta, phi)
    return FittedGlmm.adapter._of(fit) if old is None else old._like(fit)  # type: ignore[arg-type, return-value]


def _on(model: FittedGlmm, data: Any) -> tuple[RowDesign, Response]:
    """The model's design and its response's trials on other data."""
    formula = model.design.formula
    frame = _with_values(formula, as_pandas(data))
    options = replace(model.design.options.for_data(frame), missing="raise")
    design, made = _read(formula, frame, options, model.choice)
    if made.form == "numbers" and model.response.form in {"booleans", "labels"}:
        made = replace(made, form=model.response.form, labels=model.response.labels)
    return design, made


def _read(
    formula: str, frame: Any, options: Options, choice: FamilyChoice
) -> tuple[RowDesign, Response]:
    design, _ = build_design(formula, frame, options, respond=response_later)
    design = full_rank(design, "warn", stacklevel=5)
    code = parse(written_out(formula, frame.columns)).response
    scope = design.options.scope
    return design, without_values(code, design.frame, scope, choice, design.weights)


def _with_values(formula: str, frame: Any) -> Any:
    """The frame with numbers for a response that is one column, whose values are not used.

    Raises
    ------
    InvalidArgumentError
        A response that is made of columns that the data lack.
    """
    response = unquoted(parse(formula).response)
    if response in frame.columns or response.replace("_", "a").replace(".", "a").isalnum():
        return frame.assign(**{response: 0.0})
    if not response.startswith("cbind("):
        raise InvalidArgumentError(
            f"formula={formula!r}: write a plain name left of the '~', or cbind(successes, "
            "failures) of columns that give the trials"
        )
    return frame
