"""How the page is started: where it listens, and what it says when it cannot."""

import socket
import sys

import pytest

from stages.core.errors import StageError
from stages.web import serve


def test_a_free_port_is_taken_and_a_taken_one_is_one_message():
    with serve.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert listening.getsockname()[0] == "127.0.0.1"
        with pytest.raises(StageError, match=rf"127.0.0.1:{port}: .*--port"):
            serve.listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 0), ("192.0.2.1", 0), ("127.0.0.1", 70000), ("a" * 70, 1)]
)
def test_address_that_is_none_of_this_machine_is_one_message(host, port):
    with pytest.raises(StageError, match="Choose another address or port"):
        serve.listen(host, port)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("::1", "http://[::1]:80/"),
        ("nas", "http://nas:80/"),
    ],
)
def test_address_is_what_a_browser_opens(host, address):
    assert serve.address_of(host, 80) == address


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["app", *arguments])
    with pytest.raises(SystemExit) as stopped:
        serve.main()
    return stopped.value.code, capsys.readouterr().err


def test_without_models_it_says_what_to_run(monkeypatch, capsys, tmp_path):
    from stages.core.params import load_params

    content = load_params() | {"profile": "nowhere"}
    monkeypatch.setattr("stages.app.models.load_params", lambda: content)
    monkeypatch.setattr(socket, "create_server", lambda *_, **__: pytest.fail("it serves without models"))
    status, said = run(monkeypatch, capsys, "--store", str(tmp_path / "store"))
    assert status == 1 and "make repro" in said and "Traceback" not in said


def test_every_address_without_a_name_is_refused_before_anything_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr("stages.app.models.Models.open", lambda: pytest.fail("models are read"))
    status, said = run(monkeypatch, capsys, "--host", "0.0.0.0")
    assert status == 1 and "--allow-host" in said


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [((), True), (("--host", "0.0.0.0", "--allow-host", "nas"), False), (("--host", "0.0.0.0", "--allow-host", "nas", "--allow-changes"), True)],
)  # fmt: skip
def test_visitors_from_elsewhere_change_nothing_unless_that_is_allowed(
    monkeypatch, tmp_path, capsys, wardrobe, arguments, changes
):
    served = []
    monkeypatch.setattr("stages.app.models.Models.open", lambda: wardrobe.models)
    monkeypatch.setattr("stages.app.wardrobe.Wardrobe", lambda *_: wardrobe)
    monkeypatch.setattr(
        "uvicorn.Server.run", lambda self, sockets: served.append((self.config.app.state.site, sockets))
    )
    monkeypatch.setattr(sys, "argv", ["app", "--port", "0", "--store", str(tmp_path), *arguments])
    serve.main()
    ((site, sockets),) = served
    assert site.changes is changes
    assert f":{sockets[0].getsockname()[1] if sockets[0].fileno() >= 0 else ''}" in capsys.readouterr().out
