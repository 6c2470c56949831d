"""The page is served to this machine, to who has its key, and to nobody else."""

import socket
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MissingExtraError

pytest.importorskip("shiny", reason="shiny is not installed: the extra [app]")


@pytest.fixture(scope="module")
def explorer():
    m = mx.lmer("extro ~ open + (1 | school)", mx.load_dataset("students"))
    with mx.explore(m, browser=False, wait=False) as page:
        yield page
    assert not page.running
    assert repr(page) == "Explorer(stopped)"
    page.stop()


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):  # noqa: ARG002
        return None


def get(url, **headers):
    """Status, headers and text of an answer, redirections not followed."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as err:
        with err:
            return err.code, err.headers, err.read().decode()


def test_the_key_is_asked_for(explorer):
    at = urlsplit(explorer.url)
    base = f"http://{at.netloc}/"
    assert at.hostname == "127.0.0.1"
    assert get(base)[0] == 403
    assert get(f"{base}?key=wrong")[0] == 403
    assert get(f"{base}lib/", Cookie="merextras-1=x; other=y")[0] == 403
    status, headers, _ = get(explorer.url)
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly; SameSite=Lax" in cookie
    status, _, text = get(base, Cookie=f"a=b; {cookie.split(';')[0]}")
    assert status == 200
    assert "extro ~ open + (1 | school)" in text


def test_a_socket_without_the_key_is_closed(explorer):
    sync = pytest.importorskip("websockets.sync.client")
    from websockets.exceptions import InvalidStatus

    at = urlsplit(explorer.url)
    with pytest.raises(InvalidStatus, match="403"):
        sync.connect(f"ws://{at.netloc}/websocket/", open_timeout=20)


def test_only_this_machine_is_served(explorer):
    port = urlsplit(explorer.url).port
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in {one for one in others if "." in one and not one.startswith("127.")}:
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, port)) != 0


def test_a_port_that_is_taken(explorer, intercepts):
    port = urlsplit(explorer.url).port
    with pytest.raises(InvalidArgumentError, match=rf"port={port}: 127.0.0.1:{port} can't be"):
        mx.explore(intercepts, port=port, browser=False, wait=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": -1}, "port=-1: a whole number from 0"),
        ({"port": True}, "port=True"),
        ({"browser": "firefox"}, "browser='firefox'"),
        ({"data": 3}, "data: expected a pandas DataFrame"),
    ],
)
def test_arguments_that_are_not_allowed(given, message, intercepts):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.explore(intercepts, **{"browser": False, "wait": False, **given})


def test_shiny_that_is_missing_is_asked_for(monkeypatch, intercepts):
    monkeypatch.setattr("merextras.foundation.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mx.explore needs shiny.*'merextras\[app\]'"):
        mx.explore(intercepts)


def test_importing_the_package_loads_no_server():
    import subprocess

    code = (
        "import sys, merextras; merextras.__dir__(); "
        "sys.exit(bool({'shiny', 'jinja2', 'uvicorn', 'merextras.app'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=mx.__path__[0] + "/..")
    assert done.returncode == 0


def test_wait_goes_on_when_the_page_is_stopped(intercepts):
    page = mx.explore(intercepts, browser=False, wait=False)
    page.stop()
    page.wait()
    assert not page.running
