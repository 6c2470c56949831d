"""Principal components of the random effects: how many dimensions their covariance has."""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from merextras.model.state.fitted import FittedModel
from merextras.results.estimates.re_pca import Components, RePca


def re_pca(model: FittedModel) -> RePca:
    r"""Principal components of each factor's random effects, lme4's ``rePCA``.

    The covariance of a factor's effects over sigma**2, :math:`\Lambda\Lambda'`, has the singular
    value decomposition :math:`\Lambda = U D V'`: standard deviations D and rotation U. Terms on one
    factor (``||``) are combined block by block.

    Returns
    -------
    RePca
        Mapping factor -> `Components`; prints the importance of the components.

    Notes
    -----
    Of a generalised model the covariance is that of the effects itself.

    A component without variance is a dimension that the model need not have: a perfect correlation,
    or a variance of zero. The components depend on the units of the covariates. R:
    ``lme4::rePCA(m)``; a component's sign is free, and here its largest coefficient is positive.
    Columns are named by effects. Bates, D., Kliegl, R., Vasishth, S. and Baayen, H. (2015),
    *Parsimonious mixed models*, arXiv:1506.04967. Cost: O(k**3).

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> m.re_pca()
    Subject
                               PC1     PC2
    standard deviation      0.9669  0.2309
    proportion of variance  0.9461  0.0539
    cumulative proportion   0.9461  1.0000
                   PC1      PC2
    Intercept  0.99986 -0.01664
    Days       0.01664  0.99986
    """
    design, lams = model.design, model.joint.lams
    found = {}
    for factor in design.factors:
        terms = design.terms_of(factor)
        names = tuple(name for t in terms for name in design.terms[t].names)
        left, sdev, _ = np.linalg.svd(la.block_diag(*(lams[t] for t in terms)))
        largest = left[np.argmax(np.abs(left), axis=0), np.arange(len(sdev))]
        found[factor] = Components(names, sdev, left * np.where(largest < 0.0, -1.0, 1.0))
    return RePca(found)
