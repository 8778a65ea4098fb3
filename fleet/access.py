"""How to reach a remote, beyond its URL."""

from __future__ import annotations

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

# What may pass from the caller's environment: where programs are, keys in an agent, proxies.
INHERITED: Final[tuple[str, ...]] = (
    "PATH", "SSH_AUTH_SOCK",
    "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip


class Access:
    """How to reach a remote, beyond its URL. All of it is optional.

    environment: the caller's own; only the names in INHERITED are taken over.
    ssh_key, known_hosts: files for ssh. With a key, no other key is tried; with known hosts,
        no other host is trusted. Without them ssh asks its own configuration.
    ssh: the ssh program.
    credentials: a file with `username=...` and `password=...` lines, for HTTPS.
    ca_file: certificates to trust for HTTPS instead of the system's.
    """

    __slots__ = ("ca_file", "credentials", "environment", "known_hosts", "ssh", "ssh_key")

    def __init__(  # noqa: PLR0913  # settings, all by name; a dataclass costs 8 ms to import
        self,
        *,
        environment: Mapping[str, str] | None = None,
        ssh_key: str = "",
        known_hosts: str = "",
        ssh: str = "ssh",
        credentials: str = "",
        ca_file: str = "",
    ) -> None:
        self.environment = dict(environment or {})
        self.ssh_key = ssh_key
        self.known_hosts = known_hosts
        self.ssh = ssh
        self.credentials = credentials
        self.ca_file = ca_file
