"""The standalone host's side of a merge session."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from lib_optim.hosts.live import TableSession
from lib_optim.hosts.standalone.model import LoadedModel
from lib_optim.plan.errors import HostChanged

if TYPE_CHECKING:
    import torch

    from lib_optim.hosts.standalone.host import StandaloneHost

__all__ = ["open_session"]


class _Live:
    """Implements ``hosts.live.LiveModel`` on one `LoadedModel` of a host."""

    def __init__(self, host: StandaloneHost, model: LoadedModel) -> None:
        self._host = host
        self._model = model

    def tensor(self, name: str) -> torch.Tensor:
        try:
            return self._model.tensor(name)
        except (AttributeError, KeyError) as error:
            raise HostChanged(f"The model has lost its tensor {name}; reload the checkpoint.") from error

    def guard(self) -> AbstractContextManager[object]:
        import torch

        return torch.no_grad()

    def check_same(self) -> None:
        loaded = self._host.model()
        if loaded is not self._model:
            now = loaded.checkpoint.title if loaded is not None else "none"
            raise HostChanged(
                f"The loaded model is no longer the run's {self._model.checkpoint.title} (now: {now}); resume the run, "
                "and it will be loaded again."
            )

    def prepare(self) -> None:
        """Nothing: this host bakes nothing into its weights."""

    def wrote(self, component: str) -> None:
        self._model.dirty = True
        if component == "text_encoder":
            self._model.embeddings.clear()

    def restored(self) -> None:
        """Call when all originals are back."""
        self._model.dirty = False


def open_session(host: StandaloneHost, model: LoadedModel, components: frozenset[str]) -> TableSession:
    """Return a session on `model`, which `host` has loaded, for `components`."""
    component_of = model.architecture.component_of
    table = model.table.only(lambda key: component_of(key) in components)
    live = _Live(host, model)
    return TableSession(live, table, component_of, model.checkpoint.path, live.restored)
