"""How a run's images are written, and what is read back from the files."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image, features

from lib_optim.plan.run_plan import Budget, DiskSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.archive import export_run, import_run
from lib_optim.run.folder import RunFolder
from lib_optim.run.pictures import bytes_per_pixel, encoded, exif_of, format_problem
from lib_optim.run.results import pixel_hash, read_image, write_image
from lib_optim.scoring.picture_text import infotext_of
from tests.rig import Rig

TEXT = "a cat, größe 日本語 \U0001f431\nSteps: 4, Seed: 7"
LOSSY = (DiskSpec(format="jpeg", quality=80), DiskSpec(format="webp", quality=80))
# piexif.dump({"Exif": {UserComment: piexif.helper.UserComment.dump("a ü", encoding="unicode")}}), piexif 1.1.3
PIEXIF = (
    "4578696600004d4d002a00000008000187690004000000010000001a000000000001928600070000000e00000028"
    "554e49434f4445000061002000fc"
)


def noise(side: int = 64) -> Image.Image:
    return Image.effect_noise((side, side), 90).convert("RGB")


@pytest.mark.parametrize("spec", [DiskSpec(), *LOSSY], ids=lambda spec: spec.format)
def test_the_infotext_is_in_every_format(spec: DiskSpec) -> None:
    with Image.open(io.BytesIO(encoded(noise(), TEXT, spec))) as image:
        assert image.format == spec.format.upper()
        assert infotext_of(image) == TEXT


def test_the_comment_is_the_one_that_the_webui_writes() -> None:
    assert exif_of("a ü").hex() == PIEXIF


@pytest.mark.parametrize("text", ["x" * 40_000, "\U0001f431" * 20_000, "x" + "\U0001f431" * 20_000], ids=len)
def test_a_text_too_long_for_a_jpeg_is_cut_between_characters(text: str) -> None:
    with Image.open(io.BytesIO(encoded(noise(), text, LOSSY[0]))) as image:
        found = infotext_of(image)
    assert text.startswith(found)
    assert len(found.encode("utf-16-be")) > 65_470


@pytest.mark.parametrize("spec", [DiskSpec(), *LOSSY], ids=lambda spec: spec.format)
def test_the_hash_is_of_what_the_file_holds(spec: DiskSpec, tmp_path: Path) -> None:
    folder, image = RunFolder(tmp_path), noise()
    found = write_image(folder, "image", image, TEXT, spec)
    assert pixel_hash(read_image(folder, "image")) == found  # so that a resume does not make it again
    assert (found == pixel_hash(image)) == (spec.format == "png")


def test_a_lower_quality_is_a_smaller_file_and_a_smaller_estimate() -> None:
    for name in ("jpeg", "webp"):
        specs = [DiskSpec(format=name, quality=quality) for quality in (50, 65, 80, 90, 93, 100)]  # type: ignore[arg-type]
        guesses = [bytes_per_pixel(spec) for spec in specs]
        assert guesses == sorted(set(guesses))
        assert guesses[-1] < bytes_per_pixel(DiskSpec())
        sizes = [len(encoded(noise(), "", spec)) for spec in specs]
        assert sizes == sorted(set(sizes))


def test_what_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert format_problem(DiskSpec()) == format_problem(LOSSY[0]) == format_problem(LOSSY[1]) == ""
    assert "between 50 and 100, not 49" in format_problem(DiskSpec(quality=49))
    monkeypatch.setattr(features, "check", lambda _: False)
    assert "writes no WebP" in format_problem(LOSSY[1])


def test_a_plan_of_an_earlier_version_writes_png() -> None:
    assert DiskSpec.from_json({"version": 1, "gigabytes": 2.0}) == DiskSpec(2.0, "png", 90)


def test_a_run_writes_its_images_as_the_plan_says(rig: Rig, tmp_path: Path) -> None:
    def of(spec: DiskSpec, name: str) -> str:
        plan = rig.plan(
            budget=Budget(2), verify=VerifySpec(finalists=0), save=SaveSpec(checkpoint=False), disk=spec, name=name
        )
        (bad,) = rig.manager.check(rig.plan(disk=DiskSpec(format="jpeg", quality=10))).problems
        assert bad.where == "disk.format"
        names = {path.name for path in rig.host.paths().outputs.glob("*")}
        rig.run(plan)
        (made,) = {path.name for path in rig.host.paths().outputs.iterdir()} - names
        return made

    lossless, lossy = of(DiskSpec(), "lossless"), of(LOSSY[0], "lossy")
    assert rig.manager.check(rig.plan(disk=LOSSY[0])).image_bytes < rig.manager.check(rig.plan()).image_bytes / 5
    # Judges saw the images before they were written.
    values = [trial.value for trial in rig.stored(lossless).trials]
    assert [trial.value for trial in rig.stored(lossy).trials] == values

    folder = rig.folder_of(lossy)
    files = sorted(path.name for path in folder.images.iterdir())
    assert len(files) == 4
    assert all(name.endswith(".jpg") for name in files)
    for record in rig.stored(lossy).images:
        with Image.open(folder.path / record.file) as image:
            assert (image.format, infotext_of(image)) == ("JPEG", record.infotext)
        assert pixel_hash(read_image(folder, record.file)) == record.pixels
        assert rig.manager.image_path(lossy, Path(record.file).name) == folder.path / record.file

    with (tmp_path / "run.zip").open("wb") as out:
        export_run(folder, out)
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert sum(name.endswith(".jpg") for name in archive.namelist()) == 4
    again = rig.folder_of(import_run(tmp_path / "run.zip", rig.host.paths().outputs, "again"))
    assert sorted(path.name for path in again.images.iterdir()) == files

    # Another judge, in a fork that writes WebP: what was there stays JPEG and is scored from the file.
    judge = ScorerSpec("similarity", options={"reference": str(folder.path / rig.stored(lossy).images[0].file)})
    changed = dataclasses.replace(folder.read_plan(), name="fork", disk=LOSSY[1], budget=Budget(1), scorers=(judge,))
    name, taken = rig.manager.fork(lossy, changed)
    rig.end()
    assert len(taken.trials) == 2
    endings = [path.suffix for path in sorted(rig.folder_of(name).images.iterdir())]
    assert endings == [".jpg"] * 4 + [".webp"] * 2
