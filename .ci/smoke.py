"""What an installed package must do, on a machine that has no checkout: run outside of one."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import polars as pl

import merextras as mx

assert "site-packages" in Path(mx.__file__).parts, mx.__file__
assert mx.__version__ == version("merextras") != "0+unknown"

sleep = mx.load_dataset("sleepstudy")
for name in ("students", "dyestuff", "penicillin", "pastes", "hsb"):
    assert len(mx.load_dataset(name)) > 0

# A polars frame gives the fit of the pandas one.
formula = "Reaction ~ Days + (Days | Subject)"
m = mx.lmer(formula, sleep)
by_polars = mx.lmer(formula, pl.from_pandas(sleep))
np.testing.assert_allclose(by_polars.fixef(), m.fixef(), rtol=1e-12)
np.testing.assert_allclose(m.fixef(), [251.40510, 10.46729], rtol=1e-6)
new = m.predict(pl.DataFrame({"Days": [0, 9], "Subject": [308, 308]}))
np.testing.assert_allclose(new, m.predict(sleep.iloc[[0, 9]]), rtol=1e-12)

mx.plot_ranef(m.ranef())
assert mx.r.VarCorr(m)["Subject"].shape == (2, 2)

command = Path(sys.executable).parent / "merextras"
told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
assert told == f"merextras {mx.__version__}\n", told
print(f"merextras {mx.__version__} works from {Path(mx.__file__).parent}")
