import sys

import pytest

from merextras.cli import main


def test_version(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("merextras ")


def test_no_command_prints_what_there_is(capsys):
    assert main([]) == 2
    assert "explore" in capsys.readouterr().out


def test_report_of_a_file(tmp_path, capsys, sleep):
    data, out = tmp_path / "sleep.csv", tmp_path / "r.html"
    sleep.to_csv(data, index=False)
    formula = "Reaction ~ Days + (1 | Subject)"
    given = ["--data", str(data), "--formula", formula, "--out", str(out), "--title", "Sleep"]
    assert main(["report", *given]) == 0
    assert str(out) in capsys.readouterr().out
    assert "<h1>Sleep</h1>" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["report", "--data", "x.csv"], "give both --data and --formula"),
        (["explore", "--formula", "y ~ (1 | g)"], "give both --data and --formula"),
        (["report", "--data", "x.xls", "--formula", "y ~ (1 | g)"], "a .csv or .parquet file"),
        (["report", "--data", "no.csv", "--formula", "y ~ (1 | g)"], "--data no.csv: "),
        (["report", "--out", "no/such/r.html"], "there is no folder"),
        (["explore", "--port", "70000", "--no-browser"], "port=70000"),
        (["demo", "--data", "no.csv"], "--data no.csv"),
    ],
)
def test_bad_input_is_said_in_a_line(given, message, capsys):
    assert main(given) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"merextras {given[0]}: ")
    assert message in error


def test_explore_serves_until_it_is_stopped(monkeypatch, capsys):
    pytest.importorskip("shiny")
    stopped = []

    def wait(page):
        stopped.append(page.running)
        page.stop()

    monkeypatch.setattr("merextras.app.serve.Explorer.wait", wait)
    monkeypatch.setattr("matplotlib.use", lambda backend: None)
    assert main(["explore", "--no-browser"]) == 0
    assert stopped == [True]
    assert "The explorer is at http://127.0.0.1:" in capsys.readouterr().out
    assert "matplotlib" in sys.modules
