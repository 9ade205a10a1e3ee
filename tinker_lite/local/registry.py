"""The services of this process: one temporary, and one for each folder."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from tinker_lite.local.service import LocalService

__all__ = ["open_service"]


class _Registry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.services: dict[Path | None, LocalService] = {}
        self.is_hooked = False

    def hook(self) -> None:
        """Arrange for exit and fork, once; importing this module arranges nothing."""
        if not self.is_hooked:
            self.is_hooked = True
            atexit.register(self.close_all)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self.forget_all)

    def close_all(self) -> None:
        for service in list(self.services.values()):
            service.close()

    def forget_all(self) -> None:
        """In the child of a fork: the services, and whoever held the lock, are the parent's."""
        self.lock = threading.Lock()
        for service in self.services.values():
            service.disown()
        self.services.clear()


_registry = _Registry()


def open_service(data_dir: str | os.PathLike[str] | None = None) -> LocalService:
    """The service of this process for a folder, opened now if it is not open.

    It stays open until the process ends or ``close`` is called on it. A process made by a fork has
    services of its own: a fresh temporary one, and none for a folder that its parent holds.

    Args:
        data_dir: Folder of a lasting store; None is the one temporary store of the process.

    Raises:
        ConfigError: The folder cannot be used, or another process holds it.
    """
    key = None if data_dir is None else Path(data_dir).expanduser().resolve()
    with _registry.lock:
        _registry.hook()
        service = _registry.services.get(key)
        if service is None or service.is_closed:
            service = _registry.services[key] = LocalService(key)
        return service
