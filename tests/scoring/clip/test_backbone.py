from __future__ import annotations

import gc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.clip import backbone as backbone_module
from lib_optim.scoring.clip.backbone import borrow, loaded_backbones
from lib_optim.scoring.clip.sources import ClipSource
from lib_optim.scoring.clip.views import CROPPED, HALF, PADDED, View
from lib_optim.scoring.registry import scorer_row
from tests.scoring.clip.head_files import linear_shapes, mlp_shapes
from tests.scoring.pictures import scene
from tests.scoring.small_models import random_head, save_transformers_clip, shrink_clips


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_clips(monkeypatch)
    gc.collect()
    assert loaded_backbones() == []


@pytest.fixture
def source(tmp_path: Path) -> ClipSource:
    save_transformers_clip(tmp_path / "clip.safetensors")
    return ClipSource("ViT-L-14-quickgelu", tmp_path / "clip.safetensors", tmp_path)


@pytest.fixture
def three(tmp_path: Path) -> list[Any]:
    """Three heads on one ViT-L-14, and CLIPScore on the same file."""
    for folder in ("clip", "laion1", "laion2", "chad"):
        (tmp_path / folder).mkdir()
    save_transformers_clip(tmp_path / "clip" / "clip-vit-large-patch14.safetensors")
    torch.save(random_head(linear_shapes(32)), tmp_path / "laion1" / "sa_0_4_vit_l_14_linear.pth")
    torch.save(random_head(mlp_shapes(32)), tmp_path / "laion2" / "sac+logos+ava1-l14-linearMSE.pth")
    torch.save(random_head(mlp_shapes(32), seed=1), tmp_path / "chad" / "chadscorer.pth")
    made = [scorer_row(name).build({}, tmp_path) for name in ("laion1", "laion2", "chad")]
    return [*made, scorer_row("clipscore").build({"model": "ViT-L-14", "tag": "openai"}, tmp_path)]


def counting(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Note the batch sizes that the two towers are given."""
    seen: dict[str, list[int]] = {"encode_image": [], "encode_text": []}
    for name, sizes in seen.items():
        original = getattr(network, name)

        def listen(x: torch.Tensor, original: Any = original, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(len(x))
            return original(x)

        monkeypatch.setattr(network, name, listen)
    return seen


def test_one_backbone_for_all_that_share_it(three: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = backbone_module.read_weights
    monkeypatch.setattr(backbone_module, "read_weights", lambda path, *rest: read.append(path) or original(path, *rest))
    told: list[str] = []
    for scorer in three:
        scorer.load("cpu", told.append)
    assert len(read) == len(told) == 1
    assert loaded_backbones() == [("ViT-L-14-quickgelu", "cpu", 4)]
    assert len({id(scorer._network) for scorer in three}) == 1
    network = weakref.ref(three[0]._network)
    seen = counting(three[0]._network, monkeypatch)
    images = [scene(80, 64, seed=i) for i in range(3)]
    scores = [scorer.score(images, ["a cat"] * 3) for scorer in three]
    assert seen == {"encode_image": [1, 1, 1], "encode_text": [1]}  # once per image, once per prompt
    assert len({tuple(one) for one in scores}) == 4
    monkeypatch.undo()
    for left, scorer in enumerate(three[:0:-1]):
        scorer.unload()
        scorer.unload()
        assert loaded_backbones() == [("ViT-L-14-quickgelu", "cpu", 3 - left)]
    gc.collect()
    assert network() is not None
    three[0].unload()
    assert loaded_backbones() == []
    gc.collect()
    assert network() is None


def test_loading_twice_counts_once(three: list[Any]) -> None:
    three[0].load("cpu")
    three[0].load("cpu")
    assert loaded_backbones() == [("ViT-L-14-quickgelu", "cpu", 1)]
    three[0].unload()
    assert loaded_backbones() == []


def test_a_forgotten_scorer_holds_nothing(three: list[Any]) -> None:
    three[0].load("cpu")
    three[1].load("cpu")
    del three[0]
    gc.collect()
    assert loaded_backbones() == [("ViT-L-14-quickgelu", "cpu", 1)]
    three[0].unload()
    assert loaded_backbones() == []


def test_a_head_that_does_not_load_holds_nothing(three: list[Any], tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "chad" / "chadscorer.pth")
    with pytest.raises(ScorerError):
        three[2].load("cpu")
    assert loaded_backbones() == []
    three[0].load("cpu")
    (tmp_path / "clip" / "clip-vit-large-patch14.safetensors").write_bytes(b"damaged")
    with pytest.raises(ScorerError):  # another file now; the one in memory goes on
        three[1].load("cpu")
    assert loaded_backbones() == [("ViT-L-14-quickgelu", "cpu", 1)]
    assert len(three[0].score([scene(64)], [""])) == 1
    three[0].unload()


def test_other_device_activation_or_file_is_another_backbone(source: ClipSource, tmp_path: Path) -> None:
    plain = ClipSource("ViT-L-14", source.file, tmp_path)
    leases = [borrow(source, "cpu", "x"), borrow(plain, "cpu", "x")]
    stamp = Path(source.file).stat().st_mtime_ns
    save_transformers_clip(Path(source.file), seed=1)
    os.utime(source.file, ns=(stamp + 10**9, stamp + 10**9))
    leases.append(borrow(source, "cpu", "x"))
    assert sorted(loaded_backbones()) == [
        ("ViT-L-14", "cpu", 1),
        ("ViT-L-14-quickgelu", "cpu", 1),
        ("ViT-L-14-quickgelu", "cpu", 1),
    ]
    seen = [lease.backbone.images([scene(64)], ["x"], CROPPED) for lease in leases]
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    for lease in leases:
        lease.end()
        lease.end()


def test_pictures_are_told_apart_by_what_they_show(source: ClipSource, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = borrow(source, "cpu", "x")
    backbone = lease.backbone
    seen = counting(backbone.network, monkeypatch)["encode_image"]
    image = scene(64)
    first = backbone.images([image, image.copy(), scene(64, seed=1)], ["x"] * 3, CROPPED)
    assert seen == [1, 1]  # the copy is the same picture
    assert torch.equal(first[0], first[1])
    image.paste((255, 0, 0), (0, 0, 40, 40))  # changed in place: another picture
    assert not torch.equal(backbone.images([image], ["x"], CROPPED)[0], first[0])
    # The same bytes in another shape, and the same picture seen in another way.
    tall, wide = Image.new("RGB", (32, 64), "red"), Image.new("RGB", (64, 32), "red")
    assert not torch.equal(*backbone.images([tall, wide], ["x"] * 2, PADDED))
    backbone.images([image], ["x"], View(mean=HALF, std=HALF))
    assert seen == [1] * 6
    lease.end()


def test_the_memory_is_bounded(source: ClipSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_module, "_REMEMBERED", 2)
    lease = borrow(source, "cpu", "x")
    images = [scene(64, seed=i) for i in range(4)]
    one = lease.backbone.images(images, ["x"] * 4, CROPPED)
    assert len(lease.backbone._images) == 2
    two = torch.cat([lease.backbone.images([image], ["x"], CROPPED) for image in images])
    assert torch.equal(one, two)
    lease.backbone.texts(["a", "b", "c"])
    assert list(lease.backbone._texts) == ["b", "c"]
    lease.end()


def test_a_gpu_is_given_batches(source: ClipSource, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = borrow(source, "cpu", "x")
    images = [scene(64, seed=i) for i in range(10)]
    singles = lease.backbone.images(images, ["x"] * 10, CROPPED)
    lease.backbone._images.clear()
    lease.backbone._batch = backbone_module._BATCH["cuda"]
    seen = counting(lease.backbone.network, monkeypatch)["encode_image"]
    batches = lease.backbone.images(images, ["x"] * 10, CROPPED)
    assert seen == [8, 2]
    torch.testing.assert_close(batches, singles, atol=1e-5, rtol=1e-5)
    lease.end()


def test_two_threads_load_one_backbone(source: ClipSource) -> None:
    leases: list[Any] = []
    threads = [threading.Thread(target=lambda: leases.append(borrow(source, "cpu", "x"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded_backbones() == [("ViT-L-14-quickgelu", "cpu", 4)]
    assert len({id(lease.backbone) for lease in leases}) == 1
    for lease in leases:
        lease.end()
    assert loaded_backbones() == []
