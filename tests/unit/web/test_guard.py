"""Foreign callers: sites whose name was made to point here, and sites that send what changes something."""

import pytest

from stages.core.errors import StageError
from stages.web.guard import Guard, host_of, hosts_allowed, is_loopback

HERE = hosts_allowed("127.0.0.1", [])


def refused(method="GET", hosts=HERE, **headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    answer = Guard(None, hosts).refusal(method, pairs)
    return answer and answer[0]


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("127.0.0.1:8300", "127.0.0.1"), ("LocalHost", "localhost"), ("localhost.:80", "localhost"), ("[::1]:8300", "::1"),
        ("my-machine.local", "my-machine.local"), ("", ""), ("a b", ""), ("user@127.0.0.1", ""), ("127.0.0.1/x", ""),
        ("127.0.0.1#x", ""), ("[::1", ""), ("127.0.0.1, evil.example", ""), ("127.0.0.1\\@evil.example", ""),
    ],
)  # fmt: skip
def test_host_is_the_name_without_port(value, host):
    assert host_of(value) == host


def test_loopback_is_this_machine_alone():
    assert [host for host in ("127.0.0.1", "127.3.2.1", "localhost", "::1") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "", "192.168.1.5", "localhost.evil.example") if is_loopback(host)] == []


@pytest.mark.parametrize("host", ["127.0.0.1:8300", "localhost:8300", "[::1]:8300", "LOCALHOST"])
def test_own_host_is_answered(host):
    assert refused(host=host) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8300", "127.0.0.1.evil.example", "localhost.evil.example", "", "192.168.1.5"]
)
def test_foreign_host_is_refused_whatever_is_asked(host):
    assert refused(host=host) == 421
    assert refused("POST", host=host, origin=f"http://{host}") == 421


def test_a_request_without_host_or_with_two_is_refused():
    assert refused() == 421
    pairs = [(b"host", b"127.0.0.1"), (b"Host", b"evil.example")]
    assert Guard(None, HERE).refusal("GET", pairs)[0] == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:9000",
        "http://127.0.0.1",
        "http://localhost:8300",
        "file://",
        "http://[",
    ],
)
def test_foreign_origin_may_change_nothing(method, origin):
    assert refused(method, host="127.0.0.1:8300", origin=origin) == 403


def test_the_pages_own_origin_may():
    assert refused("POST", host="127.0.0.1:8300", origin="http://127.0.0.1:8300", sec_fetch_site="same-origin") is None
    assert refused("POST", host="[::1]:8300", origin="http://[::1]:8300") is None


def test_a_program_that_is_no_browser_names_no_origin_and_may():
    assert refused("POST", host="127.0.0.1:8300") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_to_the_page_and_read_nothing(site):
    here = {"host": "127.0.0.1:8300", "sec_fetch_site": site}
    assert refused(**here, sec_fetch_mode="navigate") is None
    assert refused(**here, sec_fetch_mode="no-cors") == 403  # an <img> of that site
    assert refused("POST", **here, sec_fetch_mode="navigate") == 403  # a form of that site, by a browser without Origin


def test_bound_elsewhere_the_address_itself_and_the_names_given_are_answered():
    assert hosts_allowed("192.168.1.5", ["Nas.local:8300"]) == {"192.168.1.5", "nas.local"}
    assert hosts_allowed("fd00::1", []) == {"fd00::1"}
    assert "nas.local" in hosts_allowed("0.0.0.0", ["nas.local"])


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", ""])
def test_bound_to_every_address_the_names_must_be_given(bind):
    with pytest.raises(StageError, match="--allow-host"):
        hosts_allowed(bind, [])


@pytest.mark.parametrize("name", ["http://nas.local", "", "nas.local/page", "*"])
def test_name_that_is_none_is_refused(name):
    if name == "*":
        assert "evil.example" not in hosts_allowed("127.0.0.1", [name])
        return
    with pytest.raises(StageError, match="without scheme and path"):
        hosts_allowed("127.0.0.1", [name])


def test_every_answer_keeps_the_browser_strict(client):
    for answer in (client.get("/"), client.get("/nothing"), client.get("/", headers={"host": "evil.example"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers


def test_a_refused_request_reaches_nothing(client, wardrobe):
    answer = client.post("/wardrobe/folders", json={"folder": "/"}, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403 and "evil.example" in answer.text
    assert client.get("/items/0a-0/picture", headers={"host": "evil.example:8300"}).status_code == 421
    assert wardrobe.added == []
