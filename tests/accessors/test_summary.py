"""The summary against lme4's, and how it prints."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from lme4_fits import model_of, ours
from properties.compare import close
from tolerances import ADAPTER_CRITERION, ADAPTER_ESTIMATE

import merextras as mx
from merextras.exceptions import RankDeficientWarning


def test_coefficients(accessors):
    m, lme4 = accessors
    table, theirs = m.summary().coefficients, lme4["summary_coefficients"]
    assert list(table.index) == ours(theirs["rows"])
    assert list(table.columns) == ["estimate", "std_error", "statistic"]
    for i, column in enumerate(table):
        close(table[column], [row[i] for row in theirs["values"]], ADAPTER_ESTIMATE)


def test_text_has_lme4s_numbers(accessors):
    m, lme4 = accessors
    text, words = m.summary().to_text(), set(m.summary().to_text().split())
    assert text.startswith("Linear mixed model fit by REML")
    header = [line for line in text.splitlines() if line.startswith(" Groups")]
    correlated = any("Corr" in line for line in lme4["summary_text"] if "Groups" in line)
    assert ("Corr" in header[0]) is correlated
    for row in lme4["summary_coefficients"]["rows"]:
        assert ours([row])[0] in words
    assert f"Number of obs: {m.nobs()}, groups: " in text
    assert f"{lme4['var_corr'][0]['vcov']:.4g}"[:4] in text


def test_sleepstudy_text(slopes):
    assert slopes.summary().to_text() == SLEEPSTUDY
    assert repr(slopes.summary()) == SLEEPSTUDY
    html = slopes.summary()._repr_html_()
    assert html.startswith("<pre>Linear mixed model fit by REML")
    shown = set(re.findall(r"[^\s<>]+", re.sub(r"<[^>]*>", " ", html)))
    assert set(SLEEPSTUDY.split()) <= shown
    assert html.count("<table") == 4


def test_what_is_said_of_the_data(sleep):
    frame = sleep.assign(x2=2 * sleep["Days"], w=1.0 + np.arange(180) % 2)
    frame.loc[3, "Reaction"] = np.nan
    with pytest.warns(RankDeficientWarning):
        m = mx.lmer("Reaction ~ Days + x2 + (1 | Subject)", frame, weights="w")
    notes = (
        "With weights 'w'.",
        "1 row(s) with missing values were left out.",
        "Rank deficient: dropped 1 column(s), x2.",
    )
    assert m.summary().notes == notes
    assert m.summary().to_text().splitlines()[-3:] == list(notes)
    assert repr(m).splitlines()[-3:] == list(notes)
    counted = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, freq_weights=np.full(180, 2))
    assert counted.summary().notes == ("With freq_weights.",)


def test_many_correlations_are_not_printed(sleep):
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(12)]
    frame = sleep.assign(**{name: rng.normal(size=180) for name in names})
    many = mx.lmer(f"Reaction ~ {' + '.join(names)} + (1 | Subject)", frame).summary()
    text = many.to_text()
    assert "The correlation of 13 fixed effects is in summary().correlation." in text
    assert "Correlation of fixed effects:" not in text
    assert many.correlation.shape == (13, 13)
    few = mx.lmer(f"Reaction ~ {' + '.join(names[:11])} + (1 | Subject)", frame).summary()
    assert "Correlation of fixed effects:" in few.to_text()


SLEEPSTUDY = """\
Linear mixed model fit by REML
Formula: Reaction ~ Days + (1 + Days | Subject)

REML criterion at convergence: 1743.6283

Scaled residuals:
     Min       1Q  Median      3Q     Max
-3.95356 -0.46340 0.02312 0.46340 5.17926

Random effects:
 Groups    Name       Variance  Std.Dev.  Corr
 Subject   Intercept    612.09    24.740
           Days          35.07     5.922   0.07
 Residual               654.94    25.592
Number of obs: 180, groups: Subject, 18

Fixed effects:
          Estimate Std. Error t value
Intercept   251.41      6.825  36.838
Days         10.47      1.546   6.771

Correlation of fixed effects:
     Intercept
Days    -0.138"""


def test_ml_shows_the_information_criteria(slopes):
    m = slopes.refit_ml()
    assert m.summary().title == "Linear mixed model fit by maximum likelihood"
    row = m.summary().criteria.iloc[0]
    for name in ("aic", "bic", "log_lik", "deviance", "df_residual"):
        close(row[name], getattr(m, name)(), ADAPTER_CRITERION)
    assert "deviance" in m.summary().to_text()


def test_a_singular_fit_says_so():
    m = model_of("singular", "dyestuff2")
    assert m.summary().notes == ("Singular fit: a variance is zero or a correlation at its bound.",)
    assert "Singular fit" in m.summary().to_text()
    assert "Singular fit" in repr(m)


def test_an_intercept_alone_has_no_correlation_table():
    text = model_of("intercept", "dyestuff").summary().to_text()
    assert "Correlation of fixed" not in text


def test_no_standard_errors_of_variances(slopes):
    assert set(slopes.summary().coefficients.index) == {"Intercept", "Days"}


def test_it_pickles(slopes):
    assert pickle.loads(pickle.dumps(slopes.summary())).to_text() == SLEEPSTUDY
