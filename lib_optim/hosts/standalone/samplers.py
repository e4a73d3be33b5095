"""Samplers under the WebUI's names, as diffusers schedulers. One row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_optim.plan.errors import HostError
from lib_optim.plan.nearest import did_you_mean

__all__ = ["SAMPLERS", "SCHEDULERS", "SamplerRow", "build_scheduler", "sampler_row"]

SCHEDULERS = ("Automatic", "Karras")


@dataclass(frozen=True)
class SamplerRow:
    """One sampler.

    Attributes:
        title: The WebUI's name.
        scheduler: Class name in diffusers.
        options: Arguments of its own.
        automatic: What the schedule type Automatic stands for, as the WebUI has it.
        karras: How the class does Karras sigmas: ``option``, ``borrowed`` (from the Euler scheduler), or not at all.
    """

    title: str
    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    automatic: str = "Uniform"
    karras: str = "option"


_SPACED = {"timestep_spacing": "linspace"}
SAMPLERS: tuple[SamplerRow, ...] = (
    SamplerRow("Euler a", "EulerAncestralDiscreteScheduler", _SPACED, karras="borrowed"),
    SamplerRow("Euler", "EulerDiscreteScheduler", _SPACED),
    SamplerRow("DPM++ 2M", "DPMSolverMultistepScheduler", {**_SPACED, "solver_order": 2}, automatic="Karras"),
    SamplerRow(
        "DPM++ 2M SDE", "DPMSolverMultistepScheduler",
        {**_SPACED, "solver_order": 2, "algorithm_type": "sde-dpmsolver++"}, automatic="Karras",
    ),
    SamplerRow("Heun", "HeunDiscreteScheduler", _SPACED),
    SamplerRow("LMS", "LMSDiscreteScheduler", _SPACED),
    SamplerRow(
        "DDIM", "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}, karras="no",
    ),
    SamplerRow("UniPC", "UniPCMultistepScheduler", _SPACED),
)  # fmt: skip

# The noise schedule that Stable Diffusion was trained with.
_TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def sampler_row(title: str) -> SamplerRow:
    """Return the sampler called `title` in any case; empty means the first.

    Raises:
        HostError: There is none; names the nearest.
    """
    for row in SAMPLERS:
        if not title or row.title.casefold() == title.casefold():
            return row
    names = [row.title for row in SAMPLERS]
    raise HostError(f"The standalone host has no sampler '{title}'.{did_you_mean(title, names)}")


def build_scheduler(row: SamplerRow, schedule: str, prediction: str, zero_terminal_snr: bool) -> Any:
    """Return a diffusers scheduler.

    Args:
        row: The sampler.
        schedule: One of `SCHEDULERS`; empty means Automatic.
        prediction: ``epsilon`` or ``v_prediction``.
        zero_terminal_snr: Rescale the noise schedule so that it ends in pure noise (Lin et al. 2023).

    Raises:
        HostError: Unknown schedule, or one that the sampler does not do.
    """
    import diffusers

    names = {name.casefold(): name for name in SCHEDULERS}
    if schedule and schedule.casefold() not in names:
        raise HostError(f"The standalone host has no schedule type '{schedule}'; it has {', '.join(SCHEDULERS)}.")
    chosen = names.get(schedule.casefold(), "Automatic")
    karras = chosen == "Karras" or (chosen == "Automatic" and row.automatic == "Karras")
    if karras and row.karras == "no":
        raise HostError(f"The sampler {row.title} has no schedule type Karras in the standalone host; use Automatic.")
    cls = getattr(diffusers, row.scheduler)
    options = {**_TRAINED, **row.options, "prediction_type": prediction}
    if zero_terminal_snr:
        options["rescale_betas_zero_snr"] = True
    if karras and row.karras == "option":
        options["use_karras_sigmas"] = True
    known = cls.__init__.__wrapped__.__code__.co_varnames
    scheduler = cls(**{name: value for name, value in options.items() if name in known})
    if zero_terminal_snr and "rescale_betas_zero_snr" not in known:
        raise HostError(
            f"The sampler {row.title} cannot run a zero terminal SNR checkpoint; use Euler, Euler a or DDIM."
        )
    if karras and row.karras == "borrowed":
        _borrow_sigmas(scheduler, options)
    return scheduler


def _borrow_sigmas(scheduler: Any, options: Mapping[str, Any]) -> None:
    """Give a scheduler without Karras sigmas those of the Euler scheduler: Euler a works on any sigmas."""
    import diffusers

    lender = diffusers.EulerDiscreteScheduler(**options, use_karras_sigmas=True)
    own = scheduler.set_timesteps

    def set_timesteps(steps: int, device: Any = None) -> None:
        own(steps, device=device)
        lender.set_timesteps(steps, device=device)
        scheduler.sigmas, scheduler.timesteps = lender.sigmas, lender.timesteps

    scheduler.set_timesteps = set_timesteps
