"""Samplers of other packages as data rows: bayesian-optimization and hyperopt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.search.own_rows import unordered
from lib_optim.search.sampler_row import Package, SamplerOption, SamplerRow

if TYPE_CHECKING:
    import optuna

__all__ = ["PACKAGE_ROWS"]

_HYPEROPT = Package("hyperopt", "hyperopt")


def _bayes_opt(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.bayes_opt_sampler import BayesOptSampler

    return BayesOptSampler(seed, options)


def _hyperopt(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.hyperopt_sampler import HyperoptSampler

    return HyperoptSampler(seed, False, options)


def _adaptive(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.hyperopt_sampler import HyperoptSampler

    return HyperoptSampler(seed, True, options)


PACKAGE_ROWS = (
    SamplerRow(
        "bayes_opt", "GP-UCB, EI or PI", "A Gaussian process, as in bayesian-merger; the package bayesian-optimization",
        (
            SamplerOption("n_startup_trials", int, 10, 2, 1000,
                          "Scored trials, presets and starts included, before the model takes over",
                          "Trials before the model"),
            SamplerOption("acquisition", str, "UCB", None, None,
                          "Upper confidence bound, expected improvement or probability of improvement", "Acquisition",
                          ("UCB", "EI", "PI")),
            SamplerOption("kappa", float, 2.576, 0.0, 100.0, "UCB: how much uncertainty attracts", "Kappa"),
            SamplerOption("xi", float, 0.01, 0.0, 100.0, "EI and PI: improvement that is asked for", "Xi"),
            SamplerOption("decay", float, 1.0, 0.5, 1.0, "Factor of kappa or xi per trial; 1: none", "Decay"),
            SamplerOption("decay_delay", int, 0, 0, 10000, "Trials of the model before it decays", "Decay after"),
            SamplerOption("noise", float, 1e-6, 1e-12, 10.0, "Variance of the scores' noise, on a scale of variance 1",
                          "Noise"),
            SamplerOption("domain_reduction", bool, False, None, None,
                          "Search an ever smaller window around the best", "Reduce the domain"),
            SamplerOption("gamma_osc", float, 0.7, 0.0, 1.0, "Window: shrinking when the best swings", "Oscillation"),
            SamplerOption("gamma_pan", float, 1.0, 0.0, 2.0, "Window: shrinking when the best wanders", "Panning"),
            SamplerOption("eta", float, 0.9, 0.1, 1.0, "Window: shrinking when the best stays", "Zoom"),
            SamplerOption("minimum_window", float, 0.0, 0.0, 1.0, "Window: least width, as a share of each range",
                          "Least window"),
        ),
        _bayes_opt, (Package("bayes_opt", '"bayesian-optimization>=3"', "domain_reduction.py"),), unordered,
        "Other packages",
    ),
    SamplerRow(
        "hyperopt_tpe", "hyperopt's TPE", "The original Tree-structured Parzen estimator (Bergstra et al. 2011)",
        (
            SamplerOption("n_startup_jobs", int, 20, 1, 1000, "Scored trials before the model takes over",
                          "Trials before the model"),
            SamplerOption("n_EI_candidates", int, 24, 1, 1000, "Candidates drawn per suggestion", "Candidates"),
            SamplerOption("gamma", float, 0.25, 0.01, 0.99, "Share of the trials that count as good", "Gamma"),
            SamplerOption("prior_weight", float, 1.0, 0.01, 100.0, "Weight of the even prior", "Prior weight"),
        ),
        _hyperopt, (_HYPEROPT,), unordered, "Other packages",
    ),
    SamplerRow(
        "hyperopt_atpe", "hyperopt's adaptive TPE", "TPE whose settings are predicted from the history (ElectricBrain)",
        (), _adaptive, (_HYPEROPT, Package("lightgbm", "lightgbm"), Package("sklearn", "scikit-learn")), unordered,
        "Other packages",
    ),
)  # fmt: skip
