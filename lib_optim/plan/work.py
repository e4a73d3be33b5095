"""How much work an image is, to tell from one payload how long another takes."""

from __future__ import annotations

from lib_optim.plan.payload import Payload

__all__ = ["pixel_steps"]


def pixel_steps(payload: Payload) -> float:
    """Return the pixels that sampling one image of `payload` goes over, step by step: width x height x steps.

    Hires fix adds those of its second pass, of which as much is sampled as is made anew; so does an `init_image`.
    """
    steps = payload.steps * (payload.denoising_strength if payload.init_image else 1.0)
    done = payload.width * payload.height * max(steps, 1.0)
    if payload.enable_hr and not payload.init_image:
        across, down = payload.hr_resize_x / payload.width, payload.hr_resize_y / payload.height
        factor = max(across, down) or payload.hr_scale
        again = (payload.hr_second_pass_steps or payload.steps) * payload.denoising_strength
        done += payload.width * payload.height * factor**2 * max(again, 1.0)
    return done
