"""Joining a cluster: an address where nobody listens is refused at once, in a line that says what to look at."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import NASError
from nas.executors.ray_cluster import RayOptions, connect


class Ray(SimpleNamespace):
    """Joins, or fails with an error of Ray's."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(util=SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1"), error=error, joined=[])

    def init(self, **settings: Any) -> None:
        if self.error is not None:
            raise self.error
        self.joined.append(settings)


@pytest.fixture
def port() -> Any:
    """Return a port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://localhost:{}", "auto"])
def test_a_cluster_is_joined_with_the_drivers_code(port: int, form: str) -> None:
    ray = Ray()
    connect(ray, RayOptions(address=form.format(port)))  # type: ignore[arg-type]
    (settings,) = ray.joined
    assert settings["address"] == form.format(port)
    assert [path.rpartition("/")[2] for path in settings["runtime_env"]["py_modules"]] == [
        "nas",
        "controllers",
        "search_spaces",
    ]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}"])
def test_an_address_where_nobody_listens_is_refused_at_once(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ray = Ray()
    with pytest.raises(NASError, match=r"cannot reach Ray \(.*\): Connection refused\. Is the cluster up"):
        connect(ray, RayOptions(address=form.format(port)))  # type: ignore[arg-type]
    assert ray.joined == []


@pytest.mark.parametrize("address", ["no.such.host.invalid:6379", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_one_line(address: str) -> None:
    with pytest.raises(NASError, match="cannot reach Ray") as raised:
        connect(Ray(), RayOptions(address=address))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("mode", "hinted"), [("", True), ("token", False)])
def test_a_cluster_that_does_not_answer_may_ask_for_a_token(
    port: int, mode: str, hinted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    ray = Ray(ConnectionError("ray client connection timeout"))
    with pytest.raises(NASError, match=r"cannot join Ray .*connection timeout") as raised:
        connect(ray, RayOptions(address=f"ray://127.0.0.1:{port}"))  # type: ignore[arg-type]
    assert ("RAY_AUTH_MODE=token" in str(raised.value)) is hinted
