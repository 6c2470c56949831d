"""statsmodels' results know the formula that they come from."""

import numpy as np
import pytest

import merextras as mx


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ Days",
        "Reaction ~ 0 + Days",
        "Reaction ~ Days * late",
        "Reaction ~ np.log(Days + 1) + C(late, Sum)",
        "Reaction ~ Days + hours",
        "Reaction ~ Days + hours + late",
        "np.log(Reaction) ~ Days",
        "Reaction ~ `my days` + late",
    ],
)
@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
def test_statsmodels_predicts_from_a_frame(formula, engine):
    """By names: without its formula it multiplied columns by their places, 3223.9 for 251.4."""
    data = mx.load_dataset("sleepstudy")
    data["late"], data["hours"] = np.where(data["Days"] > 4, "yes", "no"), data["Days"] * 24
    data["my days"] = data["Days"] ** 2
    control = mx.LmerControl(formula_engine=engine)
    m = mx.lmer(f"{formula} + (1 | Subject)", data, control=control)
    fit = m.to_statsmodels()
    new = data.head(12)[["hours", "Subject", "my days", "late", "Reaction", "Days"]]
    np.testing.assert_allclose(fit.predict(new), m.predict(new, re_form="NA"), rtol=1e-9)
    lhs = formula.partition(" ~")[0]
    assert fit.model.formula.startswith(f"{lhs} ~")
    test = fit.t_test(np.eye(fit.k_fe))
    assert test.effect == pytest.approx(fit.fe_params.to_numpy(), rel=1e-12)
    again = mx.MerMod(fit)
    assert again.log_lik() == pytest.approx(m.log_lik(), rel=1e-9)


def test_the_example_of_sleepstudy():
    data = mx.load_dataset("sleepstudy")
    fit = mx.lmer("Reaction ~ Days + (Days | Subject)", data).to_statsmodels()
    assert fit.predict(data.head(1)).tolist() == pytest.approx([251.4051048484848], rel=1e-7)
    assert fit.model.formula == "Reaction ~ 1 + Days"
