"""img2img in the standalone host: a picture as the beginning of an image."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageStat

from lib_optim.hosts.init_images import kept_file, picture_digest, plain_picture
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.img2img import resized
from lib_optim.hosts.standalone.samplers import SAMPLERS
from lib_optim.plan.errors import HostError
from lib_optim.plan.payload import Payload
from tests.hosts.standalone.conftest import job_of, pixels


def kept(host: StandaloneHost, picture: Image.Image) -> str:
    """Keep a picture as a run would; return its digest."""
    digest = picture_digest(picture)
    path = kept_file(host.paths().data, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return digest


def made(host: StandaloneHost, **fields: object) -> Image.Image:
    with host.exclusive(), host.job("test"):
        return host.generate(job_of(**fields), {}).image


@pytest.fixture(scope="module")
def house(shared_host: StandaloneHost) -> Image.Image:
    with shared_host.exclusive():
        shared_host.load(shared_host.checkpoints(refresh=True)[0])
    return made(shared_host, prompt="a picture of a red house on a hill by day", steps=8, cfg_scale=4)


def far(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def test_the_strength_says_how_much_of_the_picture_stays(host: StandaloneHost, house: Image.Image) -> None:
    begin = {"init_image": "house.png", "init_digest": kept(host, house), "steps": 8, "cfg_scale": 4}
    weak, strong = (made(host, **begin, denoising_strength=strength) for strength in (0.2, 1.0))
    assert far(weak, house) < far(strong, house) / 2
    assert weak.tobytes() == made(host, **begin, denoising_strength=0.2).tobytes()  # the same again
    assert weak.tobytes() != made(host, **begin, denoising_strength=0.2, seed=4).tobytes()


@pytest.mark.parametrize("sampler", [row.title for row in SAMPLERS])
def test_every_sampler_begins_from_a_picture(host: StandaloneHost, house: Image.Image, sampler: str) -> None:
    begin = {"init_image": "house.png", "init_digest": kept(host, house), "steps": 8, "sampler_name": sampler}
    near = made(host, **begin, denoising_strength=0.1)
    assert far(near, house) < far(made(host, steps=8, sampler_name=sampler), house) / 2


def test_the_infotext_says_so(host: StandaloneHost, house: Image.Image) -> None:
    job = job_of(init_image="house.png", init_digest=kept(host, house), denoising_strength=0.4)
    with host.exclusive(), host.job("test"):
        assert "Denoising strength: 0.4, Init image: house.png" in host.generate(job, {}).infotext


def test_a_picture_that_changed_or_went_is_refused(host: StandaloneHost, house: Image.Image) -> None:
    digest = kept(host, house)
    with pytest.raises(HostError, match="was not looked up"), host.exclusive():
        pixels(host, init_image="house.png")
    path = kept_file(host.paths().data, digest)
    Image.new("RGB", house.size).save(path)
    with pytest.raises(HostError, match="not what it was"), host.exclusive():
        pixels(host, init_image="house.png", init_digest=digest)
    path.unlink()
    with pytest.raises(HostError, match="is gone"), host.exclusive():
        pixels(host, init_image="house.png", init_digest=digest)
    with pytest.raises(HostError, match="no digest"), host.exclusive():
        pixels(host, init_image="house.png", init_digest="../../etc/passwd")


def test_how_a_picture_is_brought_to_size() -> None:
    wide = Image.new("RGB", (40, 20), "red")
    wide.paste("blue", (20, 0, 40, 20))
    stretched, cropped, filled = (resized(wide, Payload("x", width=64, height=64, resize_mode=i)) for i in (0, 1, 2))
    assert {image.size for image in (stretched, cropped, filled)} == {(64, 64)}
    assert stretched.getpixel((2, 32)) == cropped.getpixel((2, 32)) == filled.getpixel((2, 32)) == (255, 0, 0)
    assert filled.getpixel((2, 1)) == (255, 0, 0)  # drawn out from the edge
    assert filled.getpixel((62, 62)) == (0, 0, 255)
    tall = wide.rotate(90, expand=True)
    for mode in (1, 2):
        assert resized(tall, Payload("x", width=64, height=32, resize_mode=mode)).size == (64, 32)


def test_a_picture_in_latent_size_is_stretched(host: StandaloneHost, house: Image.Image) -> None:
    digest = kept(host, house.resize((100, 75)))
    picture = made(host, init_image="x.png", init_digest=digest, resize_mode=3, denoising_strength=0.1, steps=8)
    assert picture.size == (64, 64)
    assert far(picture, house) < far(made(host, steps=8), house)


def test_what_is_transparent_becomes_white() -> None:
    see_through = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    see_through.putpixel((1, 0), (0, 0, 0, 255))
    assert [plain_picture(see_through).getpixel((i, 0)) for i in (0, 1)] == [(255, 255, 255), (0, 0, 0)]
