"""What R has of the models of ``reference/glmer_pieces``, and our fits of these."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import merextras as mx

EXPECTED = json.loads(
    (
        Path(__file__).resolve().parents[2] / "reference" / "glmer_pieces" / "expected.json"
    ).read_text(encoding="utf-8")
)


@functools.cache
def districts():
    return mx.glmer("use ~ urban + age + (1 + urban | district)", women())


@functools.cache
def women():
    """Contraception, with 0 and 1 for urban."""
    data = mx.load_dataset("contraception")
    return data.assign(town=(data["urban"] == data["urban"].max()).astype(int))
