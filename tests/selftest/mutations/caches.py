"""Statements 9, 13 and 15: what hosts remember."""

from __future__ import annotations

from typing import Any

from tests.selftest.mutations.common import capture_unchecked
from tests.selftest.mutations.registry import Patch, breaks


@breaks(9, hosts=("a1111", "forge"))
def prompt_caches_kept(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    patch.setattr(a1111, "drop_prompt_caches", lambda: None)
    patch.setattr(forge, "drop_prompt_caches", lambda: None)


@breaks(9, hosts=("a1111", "forge"))
def prompt_caches_kept_after_restore(patch: Patch) -> None:
    from lib_optim.hosts.a1111.model import A1111Model
    from lib_optim.hosts.forge.model import ForgeModel

    patch.setattr(A1111Model, "settle", lambda self: setattr(self, "_leaving", False))
    patch.setattr(ForgeModel, "settle", lambda self: None)


@breaks(9, hosts=("standalone",))
def embeddings_kept(patch: Patch) -> None:
    from lib_optim.hosts.standalone.session import _Live

    patch.setattr(_Live, "wrote", lambda self, component: None)


@breaks(3)
def empty_prompt_kept(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model
    from lib_optim.hosts.webui.caches import drop_prompt_caches

    def freshen(self: Any) -> None:
        if self._stale_text:
            self._stale_text = False
            drop_prompt_caches()

    patch.setattr(model.A1111Model, "freshen", freshen)


@breaks(13)
def vae_override_dropped(patch: Patch) -> None:
    from lib_optim.hosts.a1111.host import A1111Host

    original = A1111Host.open_session

    def open_session(self: Any, base: Any, components: Any) -> Any:
        from modules import sd_vae

        sd_vae.reload_vae_weights(None, None)
        return original(self, base, components)

    patch.setattr(A1111Host, "open_session", open_session)


@breaks(13)
def infotext_forgets_the_vae(patch: Patch) -> None:
    import re

    from lib_optim.hosts.webui.host import WebuiHost

    original = WebuiHost._one_image

    def one_image(self: Any, *arguments: Any) -> Any:
        image, infotext, cut = original(self, *arguments)
        return image, re.sub(r"VAE: [^,]*, ", "", infotext) if self._live else infotext, cut

    patch.setattr(WebuiHost, "_one_image", one_image)


@breaks(13, "merging the VAE under it", hosts=("a1111", "forge"))
def vae_override_not_looked_at(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge

    for module in (a1111, forge):
        patch.setattr(module, "refusal", lambda model, components: None)


@breaks(15, hosts=("a1111",))
def one_key_stays_merged(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession
    from lib_optim.hosts.originals import Originals

    original = TableSession._put_back

    def put_back(self: Any, weights: Any) -> None:
        weights._written.pop(next(reversed(weights._written), ""), None)
        original(self, weights)

    patch.setattr(TableSession, "_put_back", put_back)
    patch.setattr(Originals, "check", lambda self, keys: None)
    patch.setattr(Originals, "capture", capture_unchecked(Originals.capture))
