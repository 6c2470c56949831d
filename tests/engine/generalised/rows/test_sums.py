"""Sums over rows by whole, sorted and unsorted matrices against Z itself."""

import numpy as np
import pytest

from merextras.engine.elimination.conditional_variances import selected_inverse
from merextras.engine.elimination.factor import factorise
from merextras.engine.generalised.rows import sums
from merextras.engine.generalised.rows.table import Table
from tests.support.generalised.glmm_tables import KINDS, N, terms_of
from tests.tolerances import ORACLE


def _close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=ORACLE, atol=ORACLE)


@pytest.mark.parametrize("few", [0, 2**20])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_z(kind, kept, few, monkeypatch):
    monkeypatch.setattr(sums, "_FEW", few)
    rng = np.random.default_rng(7)
    table = Table(np.ones((N, 1)), terms_of(kind, rng, N))
    table.kept = kept
    z = [term.sparse().toarray() for term in table.terms]
    r, columns, w = rng.normal(size=N), rng.normal(size=(N, 3)), rng.random(N) + 0.1
    for own, found, several in zip(z, table.to_terms(r), table.products(columns), strict=True):
        _close(found.reshape(-1), own.T @ r)
        _close(several.reshape(-1, 3), own.T @ columns)
    b = [rng.normal(size=(term.n_levels, term.k)) for term in table.terms]
    _close(table.rows(b), sum(own @ part.reshape(-1) for own, part in zip(z, b, strict=True)))
    lams = [np.tril(rng.normal(size=(term.k, term.k))) for term in table.terms]
    factor = factorise(table.weighted(w), lams)
    lam = np.concatenate(
        [
            own @ np.kron(np.eye(term.n_levels), part)
            for own, term, part in zip(z, table.terms, lams, strict=True)
        ],
        axis=1,
    )
    inner = lam.T @ (w[:, None] * lam) + np.eye(lam.shape[1])
    _close(factor.log_det, np.linalg.slogdet(inner)[1])
    variances = np.einsum("nq,nq->n", lam @ np.linalg.inv(inner), lam)
    _close(table.variances(selected_inverse(factor, to_tail=True)), variances)
