"""The report: one file that needs nothing else."""

import re
import sys
from html.parser import HTMLParser

import pytest
import statsmodels.formula.api as smf

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MissingExtraError
from merextras.reporting.tables import to_html


class Addresses(HTMLParser):
    """All that a page refers to, its headings, and tags that were not closed."""

    EMPTY = frozenset({"meta", "img", "source", "link", "br", "wbr", "mspace"})

    def __init__(self):
        super().__init__()
        self.found, self.headings, self.open, self._title = [], [], [], False

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in {"src", "href", "srcset", "action", "data"}]
        if tag not in self.EMPTY:
            self.open.append(tag)
        self._title = tag == "h2"

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self._title:
            self.headings.append(data)
            self._title = False


def read(path):
    text = path.read_text(encoding="utf-8")
    parser = Addresses()
    parser.feed(text)
    assert parser.open == []
    return text, parser


@pytest.fixture(scope="module")
def sleep_report(tmp_path_factory):
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    made = mx.report(m, tmp_path_factory.mktemp("report") / "sleep.html")
    return m, *read(made)


def test_it_needs_no_other_file(sleep_report):
    _, text, page = sleep_report
    assert all(address.startswith(("data:", "#")) for address in page.found)
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)
    assert "http://" not in re.sub(r"data:[^\"]*", "", text)
    assert "https://" not in re.sub(r"data:[^\"]*", "", text)


def test_it_has_all_sections(sleep_report):
    m, text, page = sleep_report
    assert page.headings == [
        "The model", "Levels of Subject", "Checks", "What if", "Code", "Session",
    ]  # fmt: skip
    fixed = mx.tidy(m, "fixed", ci="wald", ddf="satterthwaite").drop(columns=["effect", "group"])
    assert to_html(fixed) in text
    assert "The intercept (standard deviation 24.74)" in text
    assert '<math display="block"' in text
    assert 'class="mx-not-ok"' in text
    assert "m = mx.lmer(&#34;Reaction ~ Days + (Days | Subject)&#34;, data)" in text
    assert "statsmodels" in text
    # Each figure in light and, for who reads in dark, in dark.
    assert text.count("<picture>") == text.count('prefers-color-scheme: dark)" srcset=') == 4
    assert "@media print" in text


def test_it_is_the_same_again(sleep_report, tmp_path):
    m, text, _ = sleep_report
    assert mx.report(m, str(tmp_path / "again.html")).read_text(encoding="utf-8") == text


@pytest.mark.usefixtures("figures_unseen")
def test_names_are_text(tmp_path):
    data = mx.load_dataset("students").replace({"school": {"I": "<script>alert(1)</script>"}})
    data = data.rename(columns={"open": "x<img src=//e.vil>"})
    m = mx.lmer("extro ~ Q('x<img src=//e.vil>') + (1 | school)", data)
    text, page = read(mx.report(m, tmp_path / "r.html", title="<h1>"))
    assert "<script>alert" not in text
    assert "<img src=//" not in text
    assert "<h1>&lt;h1&gt;</h1>" in text
    assert all(address.startswith(("data:", "#")) for address in page.found)


@pytest.mark.usefixtures("figures_unseen")
def test_a_statsmodels_fit_and_a_section_that_can_not_be(tmp_path, students):
    fit = smf.mixedlm("extro ~ open", students, groups="school").fit()
    text, _ = read(mx.report(fit, tmp_path / "fit.html", ddf="asymptotic", level=0.9))
    assert "mx.MerMod(smf.mixedlm(" in text
    m = mx.lmer("extro ~ open + (1 | school)", students, chunk_size=500)
    text, page = read(mx.report(m, tmp_path / "chunks.html"))
    assert "keeps no rows" in text
    assert "Levels of school" in page.headings
    assert "What the level amounts to" in read(
        mx.report(m, tmp_path / "with.html", data=students)
    )[0]  # fmt: skip


@pytest.mark.usefixtures("figures_unseen")
def test_several_factors_and_many_levels(tmp_path):
    m = mx.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mx.load_dataset("penicillin"))
    text, page = read(mx.report(m, tmp_path / "r.html"))
    assert [h for h in page.headings if h.startswith("Levels")] == [
        "Levels of plate", "Levels of sample",
    ]  # fmt: skip
    assert "more rows, in what the code makes" in text
    assert "from the lowest to the highest and in their own" in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": 3}, "path=3: a file's name"),
        ({"path": "."}, r"path='\.': a folder"),
        ({"path": "no/such/r.html"}, "there is no folder no/such"),
        ({"ddf": "kr"}, "ddf='kr': allowed: 'satterthwaite'"),
        ({"level": 95}, "level=95"),
    ],
)
def test_arguments_that_are_not_allowed(given, message, tmp_path, intercepts):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.report(intercepts, **{"path": tmp_path / "r.html", **given})
    assert list(tmp_path.iterdir()) == []


def test_jinja2_that_is_missing_is_asked_for(monkeypatch, intercepts, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr("merextras.foundation.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mx.report needs jinja2.*'merextras\[report\]'"):
        mx.report(intercepts, tmp_path / "r.html")
