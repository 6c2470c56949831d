"""The linear model of the working response at the mode."""

from __future__ import annotations

import numpy as np

from merextras.engine.elimination.factor import factorise
from merextras.engine.elimination.plan import prepare
from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.pls import Solution
from merextras.foundation.aliases import Array
from merextras.model.design.design import RowDesign


def working_model(point: LaplacePoint, design: RowDesign, weights: Array) -> Solution:
    """That of all rows, in the user's coordinates, with sigma one and no response.

    Parameters
    ----------
    weights : (n,) array
        Observed ones, minus the second derivatives of the log-densities: its covariances are then
        those of Laplace's approximation. Or their expectations, with which it is what Fisher's
        scoring solves, and its hat matrix that of a generalised model.
    """
    table, n = point.criterion.table, design.n
    basis = Basis(table.transform, np.zeros(table.p), table.effects)
    terms = [term.rows for term in design.terms]
    cp = CrossProducts.from_rows(design.x, np.zeros(n), terms, weights, basis).at_sigma2(1.0)
    plan = table.template.plan if table.copies is None else None
    return Solution(factorise(prepare(cp, plan), point.modes.lams), reml=False)
