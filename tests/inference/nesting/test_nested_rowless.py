"""Models without rows against each other."""

from __future__ import annotations

import numpy as np
import pytest
from chunk_models import table

import merextras as mx
from merextras.exceptions import InvalidArgumentError, NoRowsError, UnsupportedModelError

pytestmark = pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")


@pytest.fixture(scope="module")
def data():
    return table().dropna()


NESTED = {
    "fixed": ("y ~ x * c + (1 | g)", "y ~ x + c + (1 | g)"),
    "coded otherwise": ("y ~ x + c + (1 | g)", "y ~ 0 + c + x + (1 | g)"),
    "polynomial": ("y ~ bs(t, df=4) + (1 | g)", "y ~ 1 + (1 | g)"),
    "factor": ("y ~ x + (1 | g) + (1 | h)", "y ~ x + (1 | g)"),
    "slope": ("y ~ x + (1 + x | g)", "y ~ x + (1 | g)"),
    "covariance": ("y ~ x + (1 + x | g)", "y ~ x + (1 | g) + (0 + x | g)"),
    "several": ("y ~ x + b + (1 + x | g) + (1 | h:k)", "y ~ b + (0 + x | g)"),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested(data, name):
    """Read in chunks of another size, so that the sums are not the same to the last digit."""
    large, small = NESTED[name]
    found = mx.lmer(large, data, chunk_size=170, reml=False).anova(
        mx.lmer(small, data, chunk_size=400, reml=False)
    )
    expected = mx.lmer(large, data, reml=False).anova(mx.lmer(small, data, reml=False))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


DIFFERENT = {
    "rows": (lambda d: d.iloc[:-3], {}, "was fitted to 1484 observations"),
    "response": (lambda d: d.assign(y=d["y"] + (d["g"] == 10)), {}, "the responses of"),
    "order of the response": (
        lambda d: d.assign(y=d["y"].to_numpy()[::-1]),
        {},
        r"the columns \['Intercept', 'x'\] of .* differ",
    ),
    "column": (lambda d: d.assign(x=d["x"] * 1.001), {}, "the columns"),
    "weights": (lambda d: d, {"weights": "w"}, "weights or offsets"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_other_data(data, name):
    change, kwargs, message = DIFFERENT[name]
    large = mx.lmer("y ~ x + c + (1 | g)", [data])
    other = mx.lmer("y ~ x + (1 | g)", [change(data)], **kwargs)
    with pytest.raises(InvalidArgumentError, match=message):
        large.anova(other)


NOT_NESTED = {
    "fixed": ("y ~ x + c + (1 | g)", "y ~ t + (1 | g)", "fixed effects are not made of"),
    "code": ("y ~ np.log(x) + c + (1 | g)", "y ~ x + (1 | g)", "fixed effects are not made of"),
    "term": ("y ~ x + c + b + (1 | g)", "y ~ x + (1 | h)", r"its term \(Intercept \| h\) is in"),
}


@pytest.mark.parametrize("name", NOT_NESTED)
def test_not_nested(data, name):
    large, small, message = NOT_NESTED[name]
    with pytest.raises(
        InvalidArgumentError, match=f"as far as can be told without rows.*{message}"
    ):
        mx.lmer(large, [data]).anova(mx.lmer(small, [data]))


def test_reml_fits_as_they_are(data):
    one = mx.lmer("y ~ x + c + (1 | g) + (1 | h)", [data])
    two = mx.lmer("y ~ x + (1 | g)", [data])
    with pytest.raises(InvalidArgumentError, match="different fixed effects can't be compared"):
        one.anova(two, refit=False)


def test_the_exact_test_and_the_terms_of_its_models(data):
    full = mx.lmer("y ~ x + (1 | g) + (1 | h)", [data])
    null = mx.lmer("y ~ x + (1 | h)", [data])
    alone = mx.lmer("y ~ x + (1 | g)", [data])
    test = mx.exact_rlrt(alone, full=full, null=null, n_sims=50, rng=1)
    again = mx.exact_rlrt(full, term="g", n_sims=50, rng=1)
    assert test.statistic == pytest.approx(again.statistic, rel=1e-9)
    slopes = mx.lmer("y ~ x + (1 + x | g) + (1 | h)", [data])
    with pytest.raises(UnsupportedModelError, match="a variance with its covariances"):
        mx.exact_rlrt(slopes, null=alone)
    with pytest.raises(InvalidArgumentError, match="not nested in the larger model"):
        mx.exact_rlrt(full, null=mx.lmer("y ~ x + (1 | k)", [data]))


def test_least_squares_has_rows(data):
    import statsmodels.formula.api as smf

    model = mx.lmer("y ~ x + (1 | g)", [data], reml=False)
    with pytest.raises(NoRowsError, match="can't be compared"):
        model.anova(smf.ols("y ~ x", data).fit())
