"""Tables, figures, words and symbols."""

import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.reporting import figures, tables
from merextras.reporting.symbols import symbols
from merextras.reporting.words import describe, listing


def test_a_table_is_escaped_and_aligned():
    frame = pd.DataFrame({"<b>": ["<script>", None], "x": [-1.5, np.nan], "n": [3, 12]})
    text = tables.to_html(frame)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert '<th scope="col" class="text">&lt;b&gt;</th>' in text
    assert '<td class="num">\N{MINUS SIGN}1.500</td>' in text
    assert '<td class="num"></td>' in text
    root = ET.fromstring(text)
    assert [len(row) for row in root.iter("tr")] == [3, 3, 3]


def test_a_long_table_says_how_many_rows_there_are():
    text = tables.to_html(pd.DataFrame({"x": range(1500)}), shown=10)
    assert text.count("<tr>") == 11
    assert "and 1\N{NARROW NO-BREAK SPACE}490 more rows, in the file." in text
    assert "None." in tables.to_html(pd.DataFrame({"x": []}))


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "<0.001"), (1e-9, "<0.001"), (0.25, "0.250"), (1.0, ">0.999")]
)
def test_nothing_is_written_as_certain(p, text):
    assert tables.probability(p) == text
    assert tables.to_html(pd.DataFrame({"p_better": [p]})).count(text.replace("<", "&lt;")
        .replace(">", "&gt;")) == 1  # fmt: skip


def test_the_file_has_every_digit():
    frame = pd.DataFrame({"x": [1 / 3], "level": ['a,"b"']})
    assert tables.to_csv(frame) == 'x,level\n0.3333333333333333,"a,""b"""\n'


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_figure_is_drawn_in_its_theme_and_closed(kind, theme):
    before, style = plt.get_fignums(), mpl.rcParams.copy()

    def draw():
        _, ax = plt.subplots(figsize=(3, 2))
        ax.plot([0, 1])
        return ax

    made = figures.render(draw, theme=theme, kind=kind)
    assert made.data == figures.render(draw, theme=theme, kind=kind).data
    assert plt.get_fignums() == before
    assert mpl.rcParams == style
    assert 200 < made.width < 330
    assert made.uri.startswith("data:image/")
    if kind == "svg":
        paper = {"light": "#ffffff", "dark": "#161b22"}[theme]
        assert paper in made.data.decode()


def test_a_figure_that_is_large_as_drawing_goes_as_pixels():
    def draw():
        _, ax = plt.subplots()
        ax.plot(np.random.default_rng(1).normal(size=40_000), "o")
        return ax

    assert figures.for_page(draw, theme="light").kind == "png"
    with pytest.raises(InvalidArgumentError, match="theme='blue'"):
        figures.render(draw, theme="blue")


def test_words_say_what_varies():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    assert describe(m) == (
        "A linear mixed model of Reaction in 180 observations, fitted by restricted maximum "
        "likelihood.",
        "Reaction is expected to depend on Days.",
        "The intercept (standard deviation 24.74) and the effect of Days (standard deviation "
        "5.922) vary between the 18 levels of Subject, with a correlation of 0.07.",
    )
    empty = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"), reml=False)
    assert "fitted by maximum likelihood" in describe(empty)[0]
    assert "there are no predictors" in describe(empty)[1]
    assert listing(["a", "b", "c"]) == "a, b and c"


FORMULAS = [
    "Reaction ~ Days + (Days | Subject)",
    "Reaction ~ Days + (Days || Subject)",
    "Reaction ~ 0 + C(Days) + (1 | Subject)",
    "Reaction ~ Days + offset(Days) + (0 + Days | Subject)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_symbols_are_well_formed(formula):
    m = mx.lmer(formula, mx.load_dataset("sleepstudy"))
    root = ET.fromstring(symbols(m))
    assert root.tag == "math"
    rows = [[len(row)] for row in root.iter("mtr")]
    assert len(rows) == 2 + len(m.design.terms)
    text = "".join(root.itertext())
    assert "Subject[i]" in text
    assert ("∑" in text) == ("C(Days)" in formula)
    assert ("offset" in text) == ("offset" in formula)


def test_symbols_of_weights_and_odd_names():
    data = mx.load_dataset("sleepstudy").assign(w=2.0)
    m = mx.lmer("Reaction ~ Q('a<b') + (1 | Subject)", data.rename(columns={"Days": "a<b"}),
                weights="w")  # fmt: skip
    text = "".join(ET.fromstring(symbols(m)).itertext())
    assert "a<b" in text
    assert "/wi" in text
