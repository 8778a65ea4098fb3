from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.web.endpoints import endpoints
from reconciler.web.filters import link
from schemas.template import TemplatePort
from tests.builders import a_template, an_assigned_replica

WEB = a_template(ports=(TemplatePort(name="http", container=80, path="/docs"),))
REPLICA = an_assigned_replica(ports={"http": 20000, "postgres": 20001})


def test_http_ports_get_a_url_and_a_curl_and_others_an_address() -> None:
    http, postgres = endpoints(REPLICA, WEB, ("192.0.2.1", "2001:db8::1"))

    assert http.url == "http://192.0.2.1:20000/docs"
    assert http.curl == "curl -fsS 'http://192.0.2.1:20000/docs'"
    assert (postgres.address, postgres.url, postgres.curl) == ("192.0.2.1:20001", "", "")


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert endpoints(REPLICA, WEB, ("2001:db8::1",))[0].url == "http://[2001:db8::1]:20000/docs"


def test_without_an_address_there_is_no_endpoint() -> None:
    assert endpoints(REPLICA, WEB, ()) == ()


@pytest.mark.parametrize(
    "hostile",
    [
        "javascript:alert(1)//",
        "evil.example/'; rm -rf ~; '",
        "fe80::1%<script>",
        "a b",
        "user:pw@host",
        "",
    ],
)
def test_what_is_no_host_never_becomes_an_endpoint(hostile: str) -> None:
    assert endpoints(REPLICA, WEB, (hostile,)) == ()


@given(address=st.text(max_size=60), path=st.text(max_size=60))
def test_no_address_or_path_leaves_the_url_or_the_quotes(address: str, path: str) -> None:
    template = a_template(ports=(TemplatePort(name="http", container=80, path=path),))

    for one in endpoints(REPLICA, template, (address,)):
        assert "'" not in one.address + one.url
        if one.url:
            assert urlsplit(one.url).scheme == "http"
            assert urlsplit(one.url).port == 20000


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a/", "http://a/"),
        ("https://a/", "https://a/"),
        ("javascript:alert(1)", ""),
        (" javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//evil.example", ""),
    ],
)
def test_only_web_addresses_become_links(url: str, shown: str) -> None:
    assert link(url) == shown
