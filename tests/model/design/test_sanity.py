"""What is refused before it is fitted, and what is said of what is not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from lmer_models import csv

from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.model.design.build import build_design
from merextras.model.design.sanity import check_design, spreads
from merextras.model.settings.options import Options
from merextras.model.state.control import LmerControl


def check(formula, data, **options):
    design, _ = build_design(formula, data, Options(**options))
    check_design(design, design.cross_products().n)


@pytest.fixture(scope="module")
def data():
    forms = csv("forms")
    rng = np.random.default_rng(1)
    return forms.assign(
        one="a", row=np.arange(360), two=np.arange(360) // 2, huge=1e7 * rng.normal(size=360)
    )


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x + (1 | one)", r"'one' of \(1 \| one\) has one level \('a'\) in the rows"),
        ("y ~ x + (x | one)", r"'one' of \(1 \+ x \| one\) has one level"),
        (
            "y ~ x + one + (1 | g)",
            r"the factor 'one' has one level \('a'\) in the rows .* leave it out",
        ),
        ("y ~ x * one + (1 | g)", "the factor 'one' has one level"),
        ("y ~ C(one, Sum) + (1 | g)", r"the factor 'C\(one, Sum\)' has one level"),
        ("y ~ x + (1 | row)", r"'row' of \(1 \| row\) has 360 levels for 360 observations"),
        ("y ~ x + (1 | one:row)", "'one:row' .* has 360 levels for 360 observations"),
        ("y ~ x + (1 | g/row)", "'row:g' of .* has 360 levels"),
        (
            "y ~ x + (x | two)",
            r"\(1 \+ x \| two\) has 360 random effects for 360 observations; .* "
            r"Write \(1 \| two\), or \(1 \+ x \|\| two\)",
        ),
        ("y ~ x + (1 | g) + (1 | g)", "the effect 'Intercept' of 'g' is in two terms"),
        ("y ~ x + (x | g) + (1 | h) + (0 + x | g)", "the effect 'x' of 'g' is in two terms"),
        ("y ~ x + (1 | g:h) + (1 | h:g)", "the effect 'Intercept' of 'h:g' is in two terms"),
        (
            "y ~ x + (0 + one2 + I(2 * one2) | g)",
            r"effect\(s\) \['I\(2 \* one2\)'\] of .* told apart",
        ),
        ("y ~ x + (one2 | g)", r"effect\(s\) \['one2'\] of \(1 \+ one2 \| g\) are zero or"),
        ("y ~ x + (0 + I(0 * x) | g)", r"\['I\(0 \* x\)'\] of .* are zero or determined"),
        ("one2 ~ x + (1 | g)", "response: all values are 7; there is no variation"),
    ],
)
def test_what_is_refused(data, formula, message):
    with pytest.raises(InvalidArgumentError, match=message):
        check(formula, data.assign(one2=7))


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (1 | pair)",
        "y ~ x + (1 | two)",
        "y ~ x + (x || two)",
        "y ~ x + (1 | g) + (0 + x | g)",
        "y ~ x + (1 | g) + (1 | g:h)",
        "y ~ 0 + (1 | g)",
    ],
)
def test_what_is_not(data, formula):
    check(formula, data)


def test_too_few_observations(data):
    few = data.iloc[:6].assign(g=list("aabbcc"))
    with pytest.raises(
        InvalidArgumentError, match="6 observations are too few for 6 fixed effects"
    ):
        check("y ~ x + z + k + w + off + (1 | g)", few)


def test_weights_say_which_rows_are_observations(data):
    left = (data["pair"] == "left").to_numpy(dtype=float)
    for how in ("weights", "frequencies"):
        with pytest.raises(InvalidArgumentError, match=r"'pair' .* has one level"):
            check("y ~ x + (1 | pair)", data, **{how: left})
    y = data["y"].where(left > 0, 3.0).where(left == 0, 2.0)
    with pytest.raises(InvalidArgumentError, match="response: all values are 2"):
        check("y ~ x + (1 | g)", data.assign(y=y), weights=left)


def test_what_is_left_after_the_offset_must_vary(data):
    with pytest.raises(InvalidArgumentError, match="there is no variation"):
        check("y ~ x + (1 | g)", data, offset=data["y"].to_numpy())
    check("one2 ~ x + (1 | g)", data.assign(one2=1.0), offset=data["y"].to_numpy())


def test_frequencies_are_observations(data):
    twice = np.full(360, 2.0)
    check("y ~ x + (1 | row)", data, frequencies=twice)


def test_scales(data):
    with pytest.warns(ApproximationWarning, match="'huge' has standard deviation .*'x'") as caught:
        lmer("y ~ x + huge + (1 | g)", data)
    assert caught[0].filename == __file__
    m = lmer("y ~ x + z + (1 | g)", data)
    with pytest.warns(ApproximationWarning) as caught:
        m.update(". ~ . + huge", data=data)
    assert caught[0].filename == __file__


def test_one_predictor_has_no_scale_to_differ_from(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check("y ~ huge + (1 | g)", data)


def test_no_checks(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lmer("y ~ x + huge + (1 | one)", data, control=LmerControl(check=False))
    assert not any(issubclass(w.category, ApproximationWarning) for w in caught)


@pytest.mark.parametrize(
    "rhs", ["x + huge", "0 + x + huge", "x + I(x + 1e3)", "I(x + 1e6) + x + two"]
)
@pytest.mark.parametrize("weights", [None, "zeros"])
def test_spreads_are_those_of_the_columns(data, rhs, weights):
    """Whether or not what the intercept leaves of a column has digits enough."""
    frame = data.assign(zeros=(data["row"] > 5).astype(float))
    given = Options().with_rows(frame, weights=weights, freq_weights=None, offset=None)
    design, _ = build_design(f"y ~ {rhs} + (1 | g)", frame, given)
    np.testing.assert_allclose(spreads(design), design.x.std(axis=0), rtol=1e-6, atol=1e-12)


def test_the_scales_that_are_told_of(data):
    wide = data.assign(wide=data["huge"] * 1e4 + 1e12)
    with pytest.warns(ApproximationWarning, match=r"'wide' has standard deviation .*e\+1[01], 'x'"):
        check("y ~ x + wide + (1 | g)", wide)
