"""arm's mcsamp, which R no longer has either."""

from __future__ import annotations

import pytest

import merextras
from merextras.exceptions import MerextrasError
from merextras.simulation.mcsamp import mcsamp


@pytest.mark.parametrize("error", [MerextrasError, NotImplementedError])
def test_says_what_to_use(error):
    with pytest.raises(error, match=r"lme4 removed mcmcsamp.*sim\(m\).*re_sim\(m\).*fe_sim\(m\)"):
        mcsamp(object(), n_chains=3, n_iter=1000)


@pytest.mark.parametrize("name", ["sim", "re_sim", "fe_sim"])
def test_what_it_names_exists(name):
    assert callable(getattr(merextras, name))
