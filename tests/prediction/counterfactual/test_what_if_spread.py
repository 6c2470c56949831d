"""`what_if_spread`: the variance that the levels make up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from reassigned_rows import Dense
from scipy import stats
from sim_models import fitted
from tolerances import MONTE_CARLO, ORACLE

from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.inference.variance_shares.icc import icc
from merextras.prediction.counterfactual.what_if_spread import what_if_spread

GRID = ("slopes", "nested", "crossed", "singular_slopes")


def grid(model, data, group, levels, weights):
    """Rows (cases, levels, effects) and the centred quadratic forms of the two variances."""
    dense = Dense(model)
    rows = np.array(
        [
            [dense.row(**(row | {group: level})) for level in levels]
            for row in data.to_dict("records")
        ]
    )
    n = len(data)
    by_level = rows - np.einsum("l,nlq->nq", weights, rows)[:, None]
    by_case = rows - rows.mean(axis=0)
    quadratic = [np.einsum("l,nlq,nlr->qr", weights / n, r, r) for r in (by_level, by_case)]
    return dense, quadratic


@pytest.mark.parametrize("shape", GRID)
def test_expected_variances_are_those_of_the_dense_posterior(shape):
    model = fitted(shape)
    group = model.design.factors[-1]
    levels = model.design.terms[-1].levels[:5]
    data = model.design.frame.iloc[::11]
    weights = np.full(5, 0.2)
    table = what_if_spread(model, data, group, list(levels), weights="equal", n_sims=None)
    dense, quadratic = grid(model, data, group, levels, weights)
    scale = dense.s**2 * dense.df / (dense.df - 2)
    expected = [
        dense.centre @ q @ dense.centre + scale * np.trace(q @ dense.covariance) for q in quadratic
    ]
    # Sums of squares less squares of means.
    close(table["variance"][:2], expected, 1e-9)
    y = model.design.y
    close(table["variance"][2:], [scale, np.var(y)], ORACLE)
    close(table["share"], table["variance"] / np.var(y), ORACLE)
    close(table["sd"] ** 2, table["variance"], ORACLE)
    assert table[["lower", "upper"]].isna().all().all()


@pytest.mark.parametrize("shape", ["slopes", "crossed"])
def test_intervals_are_quantiles_of_the_posterior(shape):
    """Against draws from the dense covariance."""
    model, n = fitted(shape), 10_000
    group = model.design.factors[-1]
    levels = model.design.terms[-1].levels[:4]
    data = model.design.frame.iloc[::25]
    table = what_if_spread(
        model, data, group, list(levels), weights="equal", n_sims=n, level=0.8, rng=1
    )
    dense, quadratic = grid(model, data, group, levels, np.full(4, 0.25))
    rng = np.random.default_rng(2)
    sigma = dense.s * np.sqrt(dense.df / rng.chisquare(dense.df, n))
    draws = rng.multivariate_normal(np.zeros(len(dense.centre)), dense.covariance, n)
    draws = dense.centre + sigma[:, None] * draws
    for i, q in enumerate(quadratic):
        made = np.einsum("sq,qr,sr->s", draws, q, draws) / np.var(model.design.y)
        inside = [np.mean(made < table[end].iloc[i]) for end in ("lower", "upper")]
        error = MONTE_CARLO * np.sqrt(2 * 0.1 * 0.9 / n)
        np.testing.assert_allclose(inside, [0.1, 0.9], atol=error)
    scaled = dense.s**2 * dense.df / stats.chi2.isf([0.1, 0.9], dense.df) / np.var(model.design.y)
    np.testing.assert_allclose(table[["lower", "upper"]].iloc[2], scaled, rtol=0.03)


def test_relation_to_the_intraclass_correlation():
    """Balanced groups: the variance of six levels is five sixths of that of all there could be."""
    data = load_dataset("students")
    m = lmer("extro ~ open + agree + social + (1 | school)", data)
    table = what_if_spread(m, data, "school", rng=1).set_index("source")
    between = m.var_corr()["school"].iloc[0, 0]
    assert abs(table.loc["levels", "variance"] / (5 / 6 * between) - 1) < 2e-3
    np.testing.assert_allclose(table["share"][:3].sum(), 1.0, atol=2e-3)
    levels, residual = table["variance"]["levels"], table["variance"]["residual"]
    assert levels / (levels + residual) < icc(m).adjusted
    assert abs(6 / 5 * levels / (6 / 5 * levels + residual) - icc(m).adjusted) < 1e-3
    assert (table["lower"] < table["share"])[:3].all()
    assert (table["share"] < table["upper"])[:3].all()


def test_shrunken_predictions_alone_vary_too_little():
    """Few rows a group: the modes vary less than the levels are expected to."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(200), 2)})
    data["y"] = rng.normal(size=200)[data["g"]] + rng.normal(size=400)
    m = lmer("y ~ 1 + (1 | g)", data)
    levels = what_if_spread(m, data.head(1), "g", n_sims=None)["variance"].iloc[0]
    of_modes = np.var(m.solution.b[0])
    between = m.var_corr()["g"].iloc[0, 0]
    assert of_modes < 0.8 * between
    assert abs(levels / between - 1) < 0.02


@pytest.mark.parametrize("option", ["freq_weights", "weights"])
def test_levels_count_by_their_observations(option):
    data = load_dataset("students").iloc[::4].assign(w=lambda d: np.arange(len(d)) % 3)
    m = lmer("extro ~ open + (1 | school)", data, **{option: "w"})
    counted = data.loc[data.index.repeat(data["w"] if option == "freq_weights" else data["w"] > 0)]
    cases = data.head(5)
    table = what_if_spread(m, cases, "school", n_sims=None).set_index("source")["variance"]
    close([table["outcome"]], [np.var(counted["extro"])], ORACLE)
    shares = counted["school"].value_counts(normalize=True).sort_index().to_numpy()
    dense = Dense(m)
    means = [dense.centre @ dense.row(open=0.0, school=s) for s in m.design.terms[0].levels]
    plug_in = shares @ (means - shares @ means) ** 2
    assert plug_in < table["levels"] < plug_in + 3 * table["residual"] / 20
    inverse = np.mean(1 / counted["w"]) if option == "weights" else 1.0
    scale = m.solution.pwrss / (m.solution.n - m.solution.p - 2)
    close([table["residual"]], [scale * inverse], ORACLE)


def test_several_factors_and_missing_combinations():
    data = load_dataset("students")
    data = data[~((data["school"] == "II") & (data["class"] == "d"))]
    m = lmer("extro ~ open + (1 | school/class)", data)
    swaps = {"school": None, "class": None}
    table = what_if_spread(m, data.head(3), swaps, n_sims=None)
    inner = what_if_spread(m, data.head(3), "class:school", n_sims=None)
    close(table["variance"], inner["variance"], 1e-9)
    nothing = {"school": ["II"], "class": ["d"]}
    with pytest.raises(InvalidArgumentError, match="weights='rows': no row of the data is in one"):
        what_if_spread(m, data.head(3), nothing)
    assert (
        what_if_spread(m, data.head(3), nothing, weights="equal", n_sims=None)["variance"][0] == 0
    )


def test_seeds_and_blocks(monkeypatch):
    model, cases = fitted("slopes"), load_dataset("sleepstudy").head(3)
    first = what_if_spread(model, cases, "Subject", n_sims=50, rng=4)
    pd.testing.assert_frame_equal(first, what_if_spread(model, cases, "Subject", n_sims=50, rng=4))
    monkeypatch.setattr("merextras.prediction.combinations.uncertainty._BLOCK", 7 * 50)
    pd.testing.assert_frame_equal(first, what_if_spread(model, cases, "Subject", n_sims=50, rng=4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "n"}, "weights='n': allowed: 'rows', 'equal'"),
        ({"group": None}, "group=None: allowed: 'school'"),
        ({"levels": ["VII"]}, "levels: levels of 'school' .*not seen: 'VII'"),
        ({"n_sims": -1}, "n_sims=-1"),
        ({"level": 2}, "level=2"),
    ],
)
def test_refuses(arguments, message):
    cases = load_dataset("students").head(2)
    with pytest.raises(InvalidArgumentError, match=message):
        what_if_spread(fitted("intercept"), cases, **{"group": "school", **arguments})
