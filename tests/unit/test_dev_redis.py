"""The Redis of `credits dev`: its port, its configuration, and the program that is chosen."""

from pathlib import Path

import pytest

from credits.ops.dev.redis_server import choose_port, find_server, local_url, port_of, server_config


def test_the_port_of_the_last_start_is_kept_while_it_is_free() -> None:
    assert choose_port(7001, is_free=lambda _: True, any_free=lambda: 7002) == 7001


@pytest.mark.parametrize("kept", [None, 7001])
def test_another_port_is_chosen_where_there_is_none_or_it_is_taken(kept: int | None) -> None:
    assert choose_port(kept, is_free=lambda _: False, any_free=lambda: 7002) == 7002


def test_the_port_is_read_back_from_the_url() -> None:
    assert port_of(local_url(7001, "password")) == 7001
    assert port_of(None) is None


def test_the_server_listens_here_only_asks_for_a_password_and_never_forgets() -> None:
    lines = server_config(folder=Path("/data/of mine"), port=7001, password="open sesame".replace(" ", "")).splitlines()

    assert "bind 127.0.0.1" in lines
    assert "requirepass opensesame" in lines
    assert "appendonly yes" in lines
    assert "appendfsync everysec" in lines
    assert "maxmemory-policy noeviction" in lines
    assert 'dir "/data/of mine"' in lines


@pytest.mark.parametrize(("version", "is_chosen"), [("6.2.14", False), ("7.0.15", True), ("10.0.1", True)])
def test_a_server_on_path_is_chosen_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_chosen: bool
) -> None:
    program = tmp_path / "redis-server"
    program.write_text(f'#!/bin/sh\necho "Redis server v={version} sha=00000000:0 malloc=libc bits=64"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert (find_server() == program) is is_chosen
