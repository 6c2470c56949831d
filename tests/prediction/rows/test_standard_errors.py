"""Standard errors and intervals of predictions against the dense joint covariance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from interval_models import dense_covariance, dense_prior, dense_rows, sd
from oracle.dense import dense_lambda, dense_pls, dense_z
from properties.compare import close
from scipy import stats
from sim_models import SHAPES, fitted, joint_covariance
from tolerances import DENSE_STANDARD_ERROR, DIFFERENCED_DF, INVARIANCE

from merextras import LmerControl, contest, lmer
from merextras.datasets import load_dataset
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError
from merextras.inference.ddf.satterthwaite import satterthwaite
from merextras.model.newdata.re_form import kept_effects, mask_effects
from merextras.model.newdata.rows import new_rows, own_rows
from merextras.prediction.rows.predict import predict

FORMS = {
    "slopes": ["~ (1 | Subject)", "~ (0 + Days | Subject)"],
    "uncorrelated": ["~ (0 + Days | Subject)"],
    "nested": ["~ (1 | school)", "~ (1 | class:school)"],
    "crossed": ["~ (1 | plate)", "~ (1 | sample)"],
}
CASES = [(shape, form) for shape in SHAPES for form in [None, "NA", *FORMS.get(shape, [])]]
#: New rows with an unseen level of one factor, of the other, of both, of none: the grouping
#: columns, and by terms the label of the level that is drawn.
UNSEEN = {
    "intercept": ({"school": ["I", "X", "X", "Y"]}, [[None, "X", "X", "Y"]]),
    "slopes": ({"Subject": [308, 1, 1, 2]}, [[None, 1, 1, 2]]),
    "uncorrelated": ({"Subject": [308, 1, 1, 2]}, [[None, 1, 1, 2], [None, 1, 1, 2]]),
    "nested": (
        {"school": ["I", "I", "X", "X"], "class": ["a", "e", "a", "e"]},
        [[None, "e:I", "a:X", "e:X"], [None, None, "X", "X"]],
    ),
    "crossed": (
        {"plate": ["a", "zz", "b", "zz"], "sample": ["A", "B", "Z", "Z"]},
        [[None, "zz", None, "zz"], [None, None, "Z", "Z"]],
    ),
    "singular": ({"Batch": ["A", "X", "X", "Y"]}, [[None, "X", "X", "Y"]]),
    "singular_slopes": ({"Subject": [308, 1, 1, 2]}, [[None, 1, 1, 2]]),
}


def unseen_data(shape):
    """Four rows of the model's data with other levels."""
    columns, labels = UNSEEN[shape]
    frame = fitted(shape).design.frame.iloc[[0, 3, 12, 25]]
    return frame.assign(**columns).set_axis(list("wxyz"), axis=0), labels


@pytest.mark.parametrize(("shape", "form"), CASES)
def test_own_rows(shape, form):
    model = fitted(shape)
    kept = kept_effects(model.design, form)
    rows = mask_effects(own_rows(model.design, kept), kept)
    exact, _ = dense_covariance(model, rows)
    made = predict(model, re_form=form, se_fit=True)
    assert list(made) == ["fit", "std_error", "lower", "upper"]
    close(made["std_error"], sd(model, exact), DENSE_STANDARD_ERROR)
    close(made["fit"], predict(model, re_form=form), 0)
    quantile = stats.t.ppf(0.975, model.solution.n - model.solution.p)
    close(made["upper"] - made["fit"], quantile * made["std_error"], INVARIANCE)
    close(made["fit"] - made["lower"], quantile * made["std_error"], INVARIANCE)


@pytest.mark.parametrize(("shape", "form"), CASES)
def test_prediction_intervals_of_own_rows(shape, form):
    """The residual's variance is added, and that of the effects that are left out."""
    model = fitted(shape)
    kept = kept_effects(model.design, form)
    rows = mask_effects(own_rows(model.design, kept), kept)
    exact, _ = dense_covariance(model, rows)
    anew = np.ones(model.design.n)
    for t, term in enumerate(model.design.terms):
        gone = term.rows.values * ~kept.get(t, np.zeros(term.k, dtype=bool))
        lam = model.solution.lams[t]
        anew += np.einsum("nk,kl,nl->n", gone, lam @ lam.T, gone)
    made = predict(model, re_form=form, interval="prediction", level=0.8, ddf="asymptotic")
    close(made["std_error"], sd(model, exact), DENSE_STANDARD_ERROR)
    half = stats.norm.ppf(0.9) * sd(model, exact + np.diag(anew))
    close(made["upper"] - made["fit"], half, DENSE_STANDARD_ERROR)
    close(made["fit"] - made["lower"], half, DENSE_STANDARD_ERROR)


@pytest.mark.parametrize("shape", SHAPES)
def test_unseen_levels(shape):
    model = fitted(shape)
    data, labels = unseen_data(shape)
    rows = new_rows(model, data, unknown="zero")
    known, _ = dense_covariance(model, rows)
    new = dense_prior(model, rows, own_draw=labels[: len(rows.values)])
    with pytest.raises(InvalidArgumentError, match="that the model has not seen"):
        predict(model, data, se_fit=True)
    zero = predict(model, data, allow_new_levels="zero", se_fit=True)
    draw = predict(model, data, allow_new_levels="draw", se_fit=True)
    pd.testing.assert_frame_equal(predict(model, data, allow_new_levels=True, se_fit=True), zero)
    close(draw["fit"], zero["fit"], 0)
    close(zero["std_error"], sd(model, known), DENSE_STANDARD_ERROR)
    close(draw["std_error"], sd(model, known + new), DENSE_STANDARD_ERROR)
    assert list(draw.index) == list("wxyz")
    wide = predict(model, data, allow_new_levels="draw", interval="prediction")
    quantile = stats.t.ppf(0.975, model.solution.n - model.solution.p)
    close(
        wide["upper"] - wide["fit"],
        quantile * sd(model, known + new + np.eye(4)),
        DENSE_STANDARD_ERROR,
    )


def test_an_unseen_level_is_a_level_without_rows():
    """The dense model with one more subject, who has no data, knows what 'draw' says of him."""
    model = fitted("slopes")
    term = model.design.terms[0]
    rows = TermRows(term.rows.codes, term.rows.values, term.rows.n_levels + 1)
    z, lam = dense_z([rows]), dense_lambda([rows], model.solution.lams)
    found = dense_pls(model.design.x, model.design.y, z, lam, np.ones(180), reml=True)
    a = np.zeros(z.shape[1] + 2)
    a[-4:] = [1.0, 5.0, 1.0, 5.0]  # (z, x): the effects of the last subject, then beta
    new = pd.DataFrame({"Days": [5.0], "Subject": [1]})
    made = predict(model, new, allow_new_levels="draw", se_fit=True)
    close(made["std_error"], np.sqrt(model.solution.sigma2 * a @ found["joint"] @ a), 1e-10)


def test_ml_uses_its_own_sigma():
    model = SHAPES["intercept"](reml=False)
    joint, pwrss = joint_covariance(model)
    a = dense_rows(own_rows(model.design))
    exact = np.sqrt(pwrss / 1200 * np.einsum("mi,ij,mj->m", a, joint, a))
    close(predict(model, se_fit=True)["std_error"], exact, DENSE_STANDARD_ERROR)


@pytest.mark.parametrize("shape", ["nested", "crossed"])
def test_blocks_of_rows(shape, monkeypatch):
    model = fitted(shape)
    whole = predict(model, se_fit=True)
    monkeypatch.setattr("merextras.prediction.combinations.prediction_variance._BLOCK", 50)
    pd.testing.assert_frame_equal(predict(model, se_fit=True), whole, rtol=1e-12)


def test_the_population_is_the_uncertainty_of_beta(slopes):
    made = slopes.predict(re_form="NA", se_fit=True)["std_error"]
    x, v = slopes.get_me("X"), slopes.vcov().to_numpy()
    close(made, np.sqrt(np.einsum("np,pq,nq->n", x, v, x)), 1e-12)


def test_fixed_effects_alone_in_satterthwaites_method(slopes):
    """As contest() has it, from exact slopes."""
    new = pd.DataFrame({"Days": [0.0, 1.0, 9.0]})
    made = slopes.predict(new, re_form="NA", se_fit=True, ddf="satterthwaite", level=0.9)
    exact = contest(slopes, [[1, 0], [1, 1], [1, 9]], joint=False, level=0.9)
    close(made["std_error"], exact["std_error"], 1e-12)
    close(made["lower"], exact["conf_low"], DIFFERENCED_DF)
    close(made["upper"], exact["conf_high"], DIFFERENCED_DF)


def test_satterthwaite_of_balanced_means():
    """One-way layout: the mean square between batches has J - 1 degrees of freedom.

    A new batch's mean is mu + b: its variance MSB / (J n) + (MSB - MSW) / n.
    """
    data = load_dataset("dyestuff")
    m = lmer("Yield ~ 1 + (1 | Batch)", data)
    new = pd.DataFrame({"Batch": ["new"]})
    between = 5 * data.groupby("Batch")["Yield"].mean().var()
    within = data.groupby("Batch")["Yield"].var().mean()
    population = m.predict(new, re_form="NA", se_fit=True, ddf="satterthwaite").iloc[0]
    half = stats.t.ppf(0.975, 5) * np.sqrt(between / 30)
    close(population["upper"] - population["fit"], half, DIFFERENCED_DF)
    draw = m.predict(new, allow_new_levels="draw", se_fit=True, ddf="satterthwaite").iloc[0]
    variance = between / 30 + (between - within) / 5
    close(draw["std_error"], np.sqrt(variance), DIFFERENCED_DF)
    df = variance**2 / ((between * 7 / 30) ** 2 / 5 + (within / 5) ** 2 / 24)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    close(draw["upper"] - draw["fit"], half, DIFFERENCED_DF)
    wide = m.predict(new, re_form="NA", interval="prediction", ddf="satterthwaite", level=0.8).iloc[
        0
    ]
    variance += within
    df = variance**2 / ((between * 7 / 30) ** 2 / 5 + (within * 4 / 5) ** 2 / 24)
    close(wide["upper"] - wide["fit"], stats.t.ppf(0.9, df) * np.sqrt(variance), DIFFERENCED_DF)


@pytest.mark.parametrize("shape", ["singular", "singular_slopes"])
def test_satterthwaite_of_a_singular_fit(shape):
    model = fitted(shape)
    made = predict(model, se_fit=True, ddf="satterthwaite")
    assert np.all(np.isfinite(made))
    assert np.all(made["upper"] > made["fit"])


def test_satterthwaite_does_not_depend_on_units(sleep):
    """Days in thousandths have a slope, and a theta, a thousand times smaller."""
    data = sleep.assign(ms=sleep["Days"] * 1000)
    options = {"se_fit": True, "ddf": "satterthwaite"}
    one = lmer("Reaction ~ Days + (Days | Subject)", data).predict(**options)
    other = lmer("Reaction ~ ms + (ms | Subject)", data).predict(**options)
    close(other, one, DIFFERENCED_DF)


# --- The uncertainty of theta --------------------------------------------------------------------


def test_adjusted_for_theta_in_a_balanced_layout():
    """b = B (mean - grand mean), log(MSB) and log(MSW) with variances 2 / df: d'Ad has a form.

    1 - B is their ratio, so that its variance is (1 - B)**2 (2 / 5 + 2 / 24).
    """
    data = load_dataset("dyestuff")
    m = lmer("Yield ~ 1 + (1 | Batch)", data)
    means = data.groupby("Batch")["Yield"].mean()
    ratio = data.groupby("Batch")["Yield"].var().mean() / (5 * means.var())
    more = (means - means.mean()) ** 2 * ratio**2 * (2 / 5 + 2 / 24)
    new = pd.DataFrame({"Batch": means.index})
    plain, adjusted = (m.predict(new, se_fit=True, adjust=a)["std_error"] for a in (False, True))
    close(adjusted**2 - plain**2, more, DIFFERENCED_DF)
    unseen = pd.DataFrame({"Batch": ["new"]})
    options = {"allow_new_levels": "draw", "interval": "prediction"}
    close(m.predict(unseen, adjust=True, **options), m.predict(unseen, **options), 1e-9)


@pytest.mark.parametrize("shape", ["slopes", "uncorrelated", "nested", "crossed"])
def test_adjusted_for_theta_against_the_dense_model(shape):
    model = fitted(shape)
    rows = [term.rows for term in model.design.terms]
    z, x = dense_z(rows), model.design.x
    theta = model.theta

    def fits(at):
        cov = model.design.covariances
        lam = dense_lambda(rows, cov.factors(cov.from_natural(at)))
        found = dense_pls(x, model.design.y, z, lam, np.ones(model.design.n), reml=True)
        return x @ found["beta"] + z @ found["b"]

    steps = 1e-3 * np.maximum(theta, 0.1) * np.eye(len(theta))
    slopes = [
        (8 * (fits(theta + h) - fits(theta - h)) - (fits(theta + 2 * h) - fits(theta - 2 * h)))
        / (12 * np.max(h))
        for h in steps
    ]
    # In the engine's coordinates of theta: through the derivative of the way back.
    at, back = model.point.theta, model.criterion.to_user
    small = 1e-6 * np.eye(len(at))
    turn = np.array([(back(at + h) - back(at - h)) / 2e-6 for h in small]).T
    inner = turn @ satterthwaite(model).parameters[:-1, :-1] @ turn.T
    plain = predict(model, se_fit=True)["std_error"]
    exact = np.sqrt(plain**2 + np.einsum("in,ij,jn->n", slopes, inner, slopes))
    close(predict(model, se_fit=True, adjust=True)["std_error"], exact, DIFFERENCED_DF)


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"interval": "tolerance"}, "interval='tolerance': allowed: 'confidence', 'prediction'"),
        ({"interval": True}, "interval=True: allowed"),
        ({"se_fit": True, "level": 95}, "level=95: .* for 95 % write level=0.95"),
        ({"level": 0.0}, "level=0.0: a level is a number strictly between 0 and 1"),
        ({"se_fit": True, "ddf": "kenward-roger"}, "ddf='kenward-roger': allowed: 'residual'"),
        ({"allow_new_levels": "zeros"}, "allow_new_levels='zeros': allowed: False"),
        ({"allow_new_levels": None}, "allow_new_levels=None: allowed: False"),
        ({"allow_new_levels": 1}, "allow_new_levels=1: allowed: False"),
        ({"weights": 1.0}, "weights: only a prediction interval depends on them"),
        ({"interval": "confidence", "weights": 1.0}, "weights: only a prediction interval"),
        ({"interval": "prediction", "weights": -1.0}, "weights: .* finite and not negative"),
        ({"interval": "prediction", "weights": [1.0]}, "weights: expected 180 values"),
        ({"interval": "prediction", "weights": "w"}, "weights: 'w' is not a column"),
        ({"interval": "prediction", "weights": ["a"] * 180}, "weights: the values must be num"),
    ],
)
def test_bad_arguments(slopes, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        slopes.predict(**given)


@pytest.mark.parametrize(
    "formula",
    [
        "extro ~ cls + (1 | school)",
        "extro ~ C(cls) + (1 | school)",
        "extro ~ cls * open + (1 | school)",
        "extro ~ C(cls, contr.sum) + (1 | school)",
        "extro ~ 0 + cls:open + (1 | school)",
        "extro ~ 1 + (cls | school)",
    ],
)
@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_an_unseen_category_is_never_the_reference_level(students, engine, formula):
    if engine == "formulaic":
        pytest.importorskip("formulaic")
    else:
        formula = formula.replace("contr.sum", "Sum")
    data = students.rename(columns={"class": "cls"}).iloc[::5]
    m = lmer(formula, data, control=LmerControl(formula_engine=engine))
    new = data.head(3)
    close(m.predict(new, se_fit=True), m.predict(se_fit=True).head(3), 1e-10)
    for other in ("z", pd.Categorical(["a", "z", "b"])):
        with pytest.raises(InvalidArgumentError, match=r"newdata: .*'?z'?"):
            m.predict(new.assign(cls=other), se_fit=True)
    missing = m.predict(new.assign(cls=["a", None, "b"]), se_fit=True)
    assert missing.isna().all(axis=1).tolist() == [False, True, False]
