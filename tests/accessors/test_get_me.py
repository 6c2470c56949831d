"""``getME`` by name against lme4's."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from lme4_fits import REAL, expected, model_of, ours
from properties.compare import close
from tolerances import ADAPTER_CRITERION, ADAPTER_ESTIMATE, ADAPTER_SQUARES

from merextras.accessors.get_me import GETTERS, get_me
from merextras.exceptions import InvalidArgumentError


def test_estimates_and_layout(accessors):
    m, lme4 = accessors[0], accessors[1]["getME"]
    for name in ("beta", "u", "b"):
        close(m.get_me(name), lme4[name], ADAPTER_ESTIMATE)
    close(m.get_me("theta"), lme4["theta"]["values"], ADAPTER_ESTIMATE)
    close(m.get_me("fixef"), lme4["fixef"]["values"], ADAPTER_ESTIMATE)
    np.testing.assert_array_equal(m.get_me("lower"), np.array(lme4["lower"], dtype=float))
    assert m.get_me("Gp").tolist() == lme4["Gp"]
    assert m.get_me("cnms") == [(f, tuple(ours(names))) for f, names in lme4["cnms"].items()]
    assert (m.get_me("n_rtrms"), m.get_me("n_rfacs")) == (lme4["n_rtrms"], lme4["n_rfacs"])
    assert m.get_me("devcomp")["dims"] == lme4["devcomp_dims"]


def test_grouping_factors(accessors):
    m, lme4 = accessors[0], accessors[1]["getME"]
    flist = m.get_me("flist")
    assert list(flist) == list(lme4["flist"])
    for factor, theirs in lme4["flist"].items():
        sizes = flist[factor].value_counts()
        assert list(map(str, flist[factor].cat.categories[:6])) == theirs["first_levels"]
        assert (len(sizes), sizes.min(), sizes.max()) == (
            theirs["n_levels"],
            theirs["min_size"],
            theirs["max_size"],
        )


def test_design(accessors):
    m, lme4 = accessors[0], accessors[1]["getME"]
    x = m.get_me("X")
    assert list(m.fixef().index) == ours(lme4["X_columns"])
    close(x.T @ x, lme4["XtX"], 1e-10)
    if lme4["X_head"] is not None:
        np.testing.assert_allclose(x[:10], lme4["X_head"])


def test_factors(accessors):
    m, lme4 = accessors[0], accessors[1]["getME"]
    close(m.get_me("Lambda").toarray(), lme4["Lambda"], ADAPTER_ESTIMATE)
    close(m.get_me("Lambdat").toarray(), lme4["Lambdat"], ADAPTER_ESTIMATE)
    close(m.get_me("RX"), lme4["RX"], ADAPTER_ESTIMATE)
    # The order of elimination is our own: both factors are brought into the terms' order.
    perm, low, rzx = m.get_me("perm"), m.get_me("L").toarray(), m.get_me("RZX")
    back = np.argsort(perm)
    system = (low @ low.T)[np.ix_(back, back)]
    close(system, np.array(lme4["L_natural"]) @ np.transpose(lme4["L_natural"]), ADAPTER_ESTIMATE)
    close((low @ rzx)[back], np.array(lme4["L_natural"]) @ lme4["RZX_natural"], ADAPTER_ESTIMATE)
    if lme4["perm_is_identity"]:
        assert perm.tolist() == list(range(len(perm)))
        close(low, lme4["L"], ADAPTER_ESTIMATE)
        close(rzx, lme4["RZX"], ADAPTER_ESTIMATE)


def test_devcomp(case):
    m, lme4 = case
    cmp, theirs = m.get_me("devcomp")["cmp"], lme4["devcomp_cmp"]
    for name in ("ldL2", "ldRX2", "sigmaML", "sigmaREML"):
        close(cmp[name], theirs[name], ADAPTER_ESTIMATE)
    for name in ("wrss", "ussq", "pwrss"):
        close(cmp[name], theirs[name], ADAPTER_SQUARES)
    for name in ("REML", "dev"):
        assert np.isnan(cmp[name]) == (theirs[name] is None)
        if theirs[name] is not None:
            close(cmp[name], theirs[name], ADAPTER_CRITERION)


def test_rows_of_the_published_data():
    if not REAL.exists():
        pytest.skip("the tutorial's own data are not here")
    m, lme4 = model_of("accessors", "students", real=True), expected("accessors")["students"]
    close(m.get_me("mu")[:10], lme4["fitted_head"], ADAPTER_ESTIMATE)


# --- What must hold among the pieces, whatever the model -----------------------------------------

SHAPES = ["slopes", "nested", "crossed", "uncorrelated"]


@pytest.fixture(params=SHAPES)
def shape(request):
    return request.getfixturevalue(request.param)


def test_identities(shape):
    m, get = shape, shape.get_me
    x, z, lam, b, u = (get(name) for name in ("X", "Z", "Lambda", "b", "u"))
    close(lam @ u, b, 1e-12)
    close(x @ get("beta") + z @ b, get("mu"), 1e-12)
    zl = (z @ lam).toarray()
    system = zl.T @ zl + np.eye(get("q"))
    perm, low, rzx, rx = get("perm"), get("L").toarray(), get("RZX"), get("RX")
    close(low @ low.T, system[np.ix_(perm, perm)], 1e-12)
    close(low @ rzx, (zl.T @ x)[perm], 1e-12)
    close(rzx.T @ rzx + rx.T @ rx, x.T @ x, 1e-10)
    assert np.allclose(np.triu(low, 1), 0)
    assert np.allclose(np.tril(rx, -1), 0)
    close(m.get_l().toarray(), low, 0)


def test_lind_rebuilds_lambda(shape):
    """Each stored element of Lambdat, column by column, is an element of theta."""
    lam = shape.get_me("Lambdat").tocsc()
    assert len(shape.get_me("Lind")) == lam.nnz
    np.testing.assert_array_equal(shape.get_me("theta")[shape.get_me("Lind")], lam.data)


def test_lambda_of_a_singular_fit_keeps_its_place_for_zeros():
    m = model_of("singular", "perfect_correlation")
    assert m.get_me("Lambdat").nnz == 3 * 18
    np.testing.assert_array_equal(
        m.get_me("theta")[m.get_me("Lind")], m.get_me("Lambdat").tocsc().data
    )


def test_transposes_and_parts(shape):
    get = shape.get_me
    z = get("Z").toarray()
    np.testing.assert_array_equal(get("Zt").toarray(), z.T)
    stacked = np.vstack([part.toarray() for part in get("Ztlist").values()])
    order = np.concatenate(
        [
            start + np.arange(k * levels).reshape(levels, k).T.reshape(-1)
            for start, k, levels in zip(get("Gp"), get("p_i"), get("l_i"), strict=False)
        ]
    )
    np.testing.assert_array_equal(stacked, z.T[order])
    theta, starts = get("theta"), get("Tp")
    for low, start, end in zip(get("Tlist"), starts, starts[1:], strict=False):
        diagonal = end - start == len(low)
        rows, cols = np.diag_indices(len(low)) if diagonal else np.tril_indices(len(low))
        assert sorted(low[rows, cols]) == sorted(theta[start:end])


@pytest.mark.parametrize("name", sorted(GETTERS))
def test_every_name_gives_something(crossed, name):
    assert get_me(crossed, name) is not None


def test_every_name_is_documented():
    documented = set(re.findall(r"\w+", get_me.__doc__.split("Raises")[0]))
    assert set(GETTERS) <= documented


def test_arrays_are_copies(slopes):
    for name in ("X", "y", "mu", "beta", "theta", "b", "u"):
        slopes.get_me(name)[:] = np.pi
        assert not np.any(slopes.get_me(name) == np.pi), name


def test_scalars(slopes):
    get = slopes.get_me
    assert (get("n"), get("p"), get("q"), get("p_i"), get("l_i")) == (180, 2, 36, [2], [18])
    assert (get("REML"), get("is_REML")) == (2, True)
    assert slopes.refit_ml().get_me("REML") == 0
    assert get("sigma") == slopes.sigma()
    assert isinstance(get("frame"), pd.DataFrame)
    assert get("optinfo")["converged"] is True


@pytest.mark.parametrize(("name", "near"), [("thta", "theta"), ("Lambdaa", "Lambda"), (3, "")])
def test_an_unknown_name(slopes, name, near):
    with pytest.raises(InvalidArgumentError, match=f"name={name!r}: allowed: 'A'.*{near}"):
        slopes.get_me(name)
