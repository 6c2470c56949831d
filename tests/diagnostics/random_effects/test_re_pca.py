import pickle

import numpy as np
import pytest
import scipy.linalg as la
from performance_models import CASES, MODELS, model_of, plain
from tolerances import ORACLE, RE_PCA

from merextras.accessors.estimates import var_corr


@pytest.mark.parametrize(("name", "how"), CASES)
def test_lme4(name, how):
    found, theirs = model_of(name, how).re_pca(), MODELS[name][how]["re_pca"]
    assert list(found) == list(theirs)
    for factor, components in found.items():
        expected = np.array(theirs[factor]["rotation"], dtype=float)
        k = len(components.sdev)
        # A sign is free.
        rotation = expected.reshape(k, k)
        signs = np.sign(np.sum(rotation * components.rotation, axis=0))
        np.testing.assert_allclose(components.sdev, theirs[factor]["sdev"], rtol=0, atol=RE_PCA)
        np.testing.assert_allclose(components.rotation, signs * rotation, rtol=0, atol=RE_PCA)


@pytest.mark.parametrize("name", ["slopes", "double_bar", "categories", "slope_and_crossed"])
def test_eigenvectors_of_the_covariance(name):
    m = model_of(name)
    for factor, components in m.re_pca().items():
        blocks = [m.covariances[t] for t in m.design.terms_of(factor)]
        relative = la.block_diag(*blocks) / m.sigma() ** 2
        u, d = components.rotation, components.sdev
        np.testing.assert_allclose(u * d**2 @ u.T, relative, rtol=0, atol=ORACLE * relative.max())
        np.testing.assert_allclose(u.T @ u, np.eye(len(d)), rtol=0, atol=1e-14)
        assert (np.diff(d) <= 0).all()
        assert (u[np.argmax(np.abs(u), axis=0), range(len(d))] > 0).all()


def test_names_and_importance():
    m = model_of("categories")
    components = m.re_pca()["g"]
    assert list(components.names) == [plain(name) for name in ("(Intercept)", "fb", "fc")]
    assert list(components.loadings().index) == list(components.names)
    importance = components.importance
    assert list(importance.columns) == ["PC1", "PC2", "PC3"]
    share = components.sdev**2 / np.sum(components.sdev**2)
    np.testing.assert_allclose(importance.loc["proportion of variance"], share)
    np.testing.assert_allclose(importance.loc["cumulative proportion"], np.cumsum(share))
    total = np.trace(np.asarray(var_corr(m)["g"])) / m.sigma() ** 2
    assert np.sum(components.sdev**2) == pytest.approx(total, rel=1e-12)
    frame = m.re_pca().to_frame()
    assert list(frame) == ["group", "term", "std_dev", "proportion", "cumulative"]
    assert frame["term"].tolist() == ["PC1", "PC2", "PC3"]


def test_no_variance_has_no_proportions():
    components = model_of("singular").re_pca()["Batch"]
    assert components.sdev.tolist() == [0.0]
    assert np.isnan(components.proportion).all()
    assert "nan" in repr(components)


def test_printed_frozen_and_pickled():
    found = model_of("nested").re_pca()
    assert repr(found).startswith("cask:batch\n")
    assert "standard deviation" in repr(found)
    again = pickle.loads(pickle.dumps(found))
    assert repr(again) == repr(found)
    for one in (found, again):
        with pytest.raises(ValueError, match="read-only"):
            one["batch"].sdev[0] = 1.0
    with pytest.raises(KeyError, match="'bach'; there are"):
        found["bach"]
