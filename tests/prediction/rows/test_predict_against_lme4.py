"""`predict` against lme4 at lme4's own theta: closed forms on both sides."""

from __future__ import annotations

import pytest
from interval_models import EXPECTED, at_r_theta, new_rows_of
from properties.compare import close
from tolerances import LME4_JOINT, LME4_PREDICT

from merextras.exceptions import InvalidArgumentError

MODELS = EXPECTED["predict"]
FORMS = {"NULL": None}
CASES = [(name, form) for name, entry in MODELS.items() for form in entry["known"]]


def model_of(name):
    return at_r_theta(MODELS[name]["formula"], MODELS[name]["data"])


@pytest.mark.parametrize(("name", "form"), CASES)
def test_known_levels(name, form):
    new = new_rows_of(MODELS[name])
    made = model_of(name).predict(new, re_form=FORMS.get(form, form))
    close(made, MODELS[name]["known"][form], LME4_PREDICT)


@pytest.mark.parametrize(("name", "form"), CASES)
@pytest.mark.parametrize("allowed", [True, "zero", "draw"])
def test_unseen_levels(name, form, allowed):
    new = new_rows_of(MODELS[name], "unseen")
    re_form = FORMS.get(form, form)
    made = model_of(name).predict(new, re_form=re_form, allow_new_levels=allowed)
    close(made, MODELS[name]["allowed"][form], LME4_PREDICT)


@pytest.mark.parametrize("name", MODELS)
def test_unseen_levels_are_an_error_by_default(name):
    with pytest.raises(InvalidArgumentError, match="newdata: levels of .* has not seen"):
        model_of(name).predict(new_rows_of(MODELS[name], "unseen"))


@pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name, e in MODELS.items() for form in e["std_error"]]
)
def test_standard_errors(name, form):
    """R's are from the dense inverse of the penalised information."""
    rows = [i - 1 for i in MODELS[name]["rows_1based"]]
    made = model_of(name).predict(re_form=FORMS.get(form, form), se_fit=True)
    close(made["std_error"].iloc[rows], MODELS[name]["std_error"][form], LME4_JOINT)
