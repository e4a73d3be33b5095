"""Published weights, where somebody has them: OPTIM_CLIP_WEIGHTS is a scorers' models folder with some of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ScorerRow
from lib_optim.scoring.clip.heads import LINEAR, MLP
from lib_optim.scoring.clip.laion import CHAD, V1, V2
from lib_optim.scoring.clip.layouts import read_weights
from lib_optim.scoring.clip.rows import CLIP_ROWS
from lib_optim.scoring.clip.scorer import HeadKind
from lib_optim.scoring.state_dicts import fill
from tests.scoring.pictures import noisy, scene

pytestmark = pytest.mark.original_weights
# What v1's ViT-L-14 head gives for its authors' mean embeddings of pictures rated 0 to 9 (vit_l_14_embeddings).
RATED = (-2.457909, -0.137857, 1.895110, 3.584934, 5.099726, 6.470104, 7.786991, 9.048002, 10.226408, 11.304426)
HEADS = [(file, LINEAR, "laion1") for file, _ in V1.values()]
HEADS += [(file, MLP, "laion2") for file in V2.values()] + [(CHAD, MLP, "chad")]


def folder() -> Path:
    given = os.environ.get("OPTIM_CLIP_WEIGHTS")
    if not given:
        pytest.skip("needs published weights of scorers on CLIP; set OPTIM_CLIP_WEIGHTS to a models folder with them")
    return Path(given)


def there(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the folder of OPTIM_CLIP_WEIGHTS")
    return path


def head(path: Path, kind: HeadKind) -> torch.nn.Module:
    tensors = read_weights(path, "x", "x")
    return fill(kind.network(tensors), tensors, kind.extras, "x", path)


@pytest.mark.parametrize(("file", "kind", "name"), HEADS, ids=[file.name for file, _, _ in HEADS])
def test_published_heads_are_the_files_of_their_rows(file, kind: HeadKind, name: str) -> None:
    path = there(folder() / name / file.name)
    assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (file.bytes, file.sha256)
    network = head(path, kind)
    width = next(network.parameters()).shape[1]
    drawn = torch.nn.functional.normalize(torch.randn(100, width, generator=torch.Generator().manual_seed(0)), dim=-1)
    with torch.inference_mode():
        scores = network(drawn)
    assert 0 < float(scores.min()) < float(scores.max()) < 10


def test_laion1_gives_its_authors_embeddings_their_ratings() -> None:
    path = there(folder() / "laion1" / "sa_0_4_vit_l_14_linear.pth")
    network = head(path, LINEAR)
    for rating, wanted in enumerate(RATED):
        mean = np.load(there(path.parent / "vit_l_14_embeddings" / f"rating{rating}.npy"))
        assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-3)
        assert network(torch.from_numpy(mean)).item() == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("row", CLIP_ROWS, ids=lambda row: row.id)
def test_published_files_load_and_tell_pictures_apart(row: ScorerRow) -> None:
    scorer = row.build({}, folder())
    try:
        scorer.load("cpu")
    except ScorerError as error:
        if "needs the file" in str(error):
            pytest.skip(str(error))
        raise
    clean = scene(512, seed=1)
    scores = scorer.score([clean, noisy(clean, 60)], ["coloured discs on a plain ground"] * 2)
    scorer.unload()
    low, high = sorted(row.typical)
    assert scores[0] != scores[1]
    assert all(low - 2 * (high - low) < score < high + 2 * (high - low) for score in scores)
