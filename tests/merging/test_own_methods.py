"""The methods that Optim adds to sd-mecha: against their formulas in numpy's float64, and where formulas break down."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib_optim.merging import own
from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import merge_registry, sd_mecha
from lib_optim.merging.methods import merge_method, method_row, method_rows
from lib_optim.merging.recipe import build_recipe
from lib_optim.merging.registration import origin_of

Array = Any
KEYS = {"conv.weight": (6, 5, 3, 3), "linear.weight": (12, 7), "bias": (11,), "scale": (), "to_out.weight": (4, 4)}


def merged(identifier: str, models: list[dict[str, torch.Tensor]], seed: int = 0, **values: Any) -> dict[str, Array]:
    """Merge whole models by a row of the list, with sd-mecha itself."""
    row = method_row(identifier)
    mecha = sd_mecha()
    parameters = {p.name: values.get(p.name, p.default) for p in row.method.parameters}
    # Copies: sd-mecha's tensor_sum writes into what it is given.
    nodes = [mecha.literal({key: tensor.clone() for key, tensor in model.items()}, merge_space="weight")
             for model in models]  # fmt: skip
    result = mecha.merge(
        build_recipe(row, nodes, parameters, seed), merge_dtype=torch.float32, output_dtype=torch.float32, threads=0,
        check_finite_output=False, tqdm=quiet_progress(), output=None,
    )  # fmt: skip
    return {key: tensor.numpy() for key, tensor in result.items() if key in KEYS}


def models(count: int, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [{key: torch.randn(shape, generator=generator) for key, shape in KEYS.items()} for _ in range(count)]


# The formulas once more, written down from the papers' and projects' descriptions


def lerp(a: Array, b: Array, t: Array) -> Array:
    return a * (1 - t) + b * t


def subtraction(a: Array, b: Array, alpha: float, beta: float) -> Array:
    return (a - alpha * beta * b) / (1 - alpha * beta)


def euclidean(a: Array, b: Array, c: Array, alpha: float) -> Array:
    x, y = (a - c) / np.sqrt(((a - c) ** 2).sum()), (b - c) / np.sqrt(((b - c) ** 2).sum())
    sizes, target = np.sqrt((1 - alpha) * x**2 + alpha * y**2), lerp(a, b, alpha) - c
    return c + np.copysign(sizes, target) / np.sqrt((sizes**2).sum()) * np.sqrt((target**2).sum())


def multiply(a: Array, b: Array, c: Array, alpha: float, beta: float) -> Array:
    return c + np.copysign(np.abs(a - c) ** (1 - alpha) * np.abs(b - c) ** alpha, lerp(a, b, beta) - c)


def similarity(a: Array, b: Array, c: Array, alpha: float, beta: float) -> Array:
    s = beta * (a * b / np.maximum(np.abs(a), np.abs(b)) ** 2 + 1) / 2
    return (1 - s) * (a + alpha * (b - c)) + s * ((1 - alpha / 2) * a + alpha / 2 * b)


def distribution(a: Array, b: Array, c: Array, alpha: float, beta: float) -> Array:
    if a.ndim == 0:
        return alpha * a + (1 - alpha) * b
    order = np.argsort(c.ravel(), kind="stable")
    x, y = np.fft.rfft(a.ravel()[order]), np.fft.rfft(b.ravel()[order])
    place = np.arange(x.size) / x.size
    share = np.clip((place - alpha) / beta + 0.5, 0, 1) if beta else (place >= alpha) * 1.0
    out = np.empty(a.size)
    out[order] = np.fft.irfft((1 - share) * x + share * y, a.size)
    return out.reshape(a.shape)


def cosine(x: Array, y: Array, axis: int) -> Array:
    if x.ndim == 0:
        return np.sign(x * y)
    return (x * y).sum(axis) / np.sqrt((x * x).sum(axis) * (y * y).sum(axis))


def extracted(a: Array, b: Array, c: Array, alpha: float, beta: float, gamma: float) -> Array:
    x, y = b - a, c - a
    d = ((cosine(x, y, -1) + 1) / 2) ** gamma
    d = d[..., None] if a.ndim else d
    return a + lerp(x, y, alpha) * lerp(d, 1 - d, beta)


def columns(a: Array, b: Array, width: float, offset: float) -> Array:
    if a.ndim == 0:
        return b if width > 0.5 else a
    axis = 1 if a.ndim > 1 else 0
    n = a.shape[axis]
    taken = [i % n for i in range(round(offset * n), round((offset + width) * n))]
    out = np.moveaxis(a, axis, 0).copy()
    out[taken] = np.moveaxis(b, axis, 0)[taken]
    return np.moveaxis(out, 0, axis)


def cosine_mix(a: Array, b: Array, x: Array, y: Array, alpha: float, low: float, high: float) -> Array:
    whole = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    k = np.clip(((cosine(x, y, 0) + whole) / 2 - low) / (high - low) - alpha, 0, 1)
    return b * (1 - k) + a * k


def cosine_a(a: Array, b: Array, alpha: float, low: float, high: float) -> Array:
    x, y = (t / (np.sqrt((t * t).sum(0)) if t.ndim else np.abs(t)) for t in (a, b))
    return cosine_mix(a, b, x, y, alpha, low, high)


def cosine_b(a: Array, b: Array, alpha: float, low: float, high: float) -> Array:
    return cosine_mix(a, b, a, b, alpha, low, high)


def likeness(a: Array, b: Array, inverse: bool, mean: bool) -> Array:
    alike = np.abs(cosine(a, b, 0))
    inner = np.atleast_1d(alike).ravel()
    inner = inner[inner >= np.percentile(inner, 1, method="midpoint")]
    inner = inner[inner <= np.percentile(inner, 99, method="midpoint")]
    if inner.max() == inner.min():
        return np.float64(1)
    k = (alike - inner.min()) / (inner.max() - inner.min())
    k = 1 - k if inverse else k
    return k.mean() if mean else k


def cosine_sum(a: Array, b: Array, alpha: float, inverse: bool, mean: bool) -> Array:
    return lerp(a, b, alpha * likeness(a, b, inverse, mean))


def cosine_difference(a: Array, b: Array, c: Array, alpha: float, inverse: bool, mean: bool) -> Array:
    return a + (b - c) * alpha * likeness(a, b, inverse, mean)


def smoothed(x: Array) -> Array:
    if x.ndim == 0:
        return x
    padded = np.pad(x, 1, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3,) * x.ndim)
    x = np.median(windows.reshape(*x.shape, -1), axis=-1)
    kernel = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    kernel /= kernel.sum()
    for axis in range(x.ndim):
        reach = [(4, 4) if i == axis else (0, 0) for i in range(x.ndim)]
        padded = np.pad(x, reach, mode="symmetric")
        x = np.lib.stride_tricks.sliding_window_view(padded, 9, axis) @ kernel
    return x


def smooth_add(a: Array, b: Array, c: Array, alpha: float) -> Array:
    return a + alpha * smoothed(b - c)


FORMULAS: dict[str, tuple[int, Callable[..., Array], dict[str, Any]]] = {
    "optim_weighted_subtraction": (2, subtraction, {"alpha": 0.7, "beta": 0.4}),
    "optim_smooth_add": (3, smooth_add, {"alpha": 0.8}),
    "optim_extract": (3, extracted, {"alpha": 0.3, "beta": 0.25, "gamma": 2.0}),
    "optim_euclidean_add_difference": (3, euclidean, {"alpha": 0.3}),
    "optim_multiply_difference": (3, multiply, {"alpha": 0.3, "beta": 0.6}),
    "optim_similarity_add_difference": (3, similarity, {"alpha": 0.7, "beta": 0.8}),
    "optim_distribution_crossover": (3, distribution, {"alpha": 0.4, "beta": 0.3}),
    "optim_tensor_sum_columns": (2, columns, {"width": 0.6, "offset": 0.7}),
    "optim_cosine_a": (2, cosine_a, {"alpha": 0.2, "low": -0.8, "high": 0.97}),
    "optim_cosine_b": (2, cosine_b, {"alpha": 0.2, "low": -0.8, "high": 0.97}),
    "optim_cosine_sum": (2, cosine_sum, {"alpha": 0.7, "inverse": True, "mean": False}),
    "optim_cosine_add_difference": (3, cosine_difference, {"alpha": 0.7, "inverse": False, "mean": True}),
}
OF_ONE_MODEL = {"optim_self_scale", "optim_add_noise"}


def test_every_method_of_ours_is_here() -> None:
    rows = {row.method.id for row in method_rows() if row.source.startswith("optim_")}
    assert rows >= set(FORMULAS) | OF_ONE_MODEL
    from_own = {name for name in merge_registry() if origin_of(name).startswith("lib_optim.merging.own.")}
    assert from_own >= {method_row(name).source for name in (*FORMULAS, *OF_ONE_MODEL)}


@pytest.mark.parametrize("identifier", FORMULAS)
def test_formula(identifier: str) -> None:
    count, formula, values = FORMULAS[identifier]
    given = models(count)
    got = merged(identifier, given, **values)
    assert got.keys() == KEYS.keys()
    for key in KEYS:
        exact = formula(*(model[key].double().numpy() for model in given), **values)
        np.testing.assert_allclose(got[key], exact, rtol=2e-5, atol=2e-5, err_msg=key)
    changed = [not np.allclose(got[key], given[0][key], atol=1e-3) for key in KEYS]
    assert sum(changed) >= 3, "next to nothing was merged"


@pytest.mark.parametrize("identifier", FORMULAS)
@pytest.mark.parametrize("what", ["zeros", "equal", "a is c", "tiny"])
def test_nothing_is_divided_by_zero(identifier: str, what: str) -> None:
    count, _, values = FORMULAS[identifier]
    given = models(count)
    if what == "zeros":
        given = [{key: torch.zeros_like(tensor) for key, tensor in model.items()} for model in given]
    elif what == "equal":
        given = [given[0]] * count
    elif what == "a is c":
        given[-1] = given[0]
    else:
        given = [{key: tensor * 1e-30 for key, tensor in model.items()} for model in given]
    got = merged(identifier, given, **values)
    for key, shape in KEYS.items():
        assert got[key].shape == shape
        assert np.isfinite(got[key]).all(), key
        if what in ("zeros", "equal"):
            np.testing.assert_allclose(got[key], given[0][key], rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("identifier", FORMULAS)
def test_what_a_method_is_given_stays_as_it_is(identifier: str) -> None:
    """A host's models may be fp32 and resident: writing into them would spoil every later trial."""
    count, _, values = FORMULAS[identifier]
    given = models(count)
    method = merge_registry()[method_row(identifier).source]
    names = method.get_param_names().args
    inputs = [model["conv.weight"].clone() for model in given][: 1 if identifier == "optim_smooth_add" else count]
    method.__wrapped__(*inputs, **{name: value for name, value in values.items() if name in names})
    for model, tensor in zip(given, inputs, strict=False):
        assert torch.equal(model["conv.weight"], tensor)


def test_self_and_noise_leave_projections_and_norms() -> None:
    (a,) = models(1)
    got = merged("optim_self_scale", [a], alpha=0.9)
    np.testing.assert_allclose(got["conv.weight"], a["conv.weight"] * 0.9, rtol=1e-6)
    assert np.array_equal(got["to_out.weight"], a["to_out.weight"])
    first, again = (merged("optim_add_noise", [a], 5, alpha=0.5)["conv.weight"] for _ in range(2))
    other = merged("optim_add_noise", [a], 6, alpha=0.5)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other["conv.weight"])
    assert np.array_equal(other["to_out.weight"], a["to_out.weight"])
    generator = torch.Generator().manual_seed(zlib.crc32(b"5 conv.weight"))
    noise = torch.randn(KEYS["conv.weight"], generator=generator)
    np.testing.assert_allclose(first, a["conv.weight"] + 0.5 * noise, rtol=1e-6)
    assert merge_method("optim_add_noise").stochastic


def test_impossible_numbers_are_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match=r"alpha·beta is 1, which leaves nothing of A"):
        merged("optim_weighted_subtraction", models(2), alpha=1.0, beta=1.0)
    with pytest.raises(ValueError, match=r"low \(1\) must be below high \(1\)"):
        merged("optim_cosine_b", models(2), low=1.0, high=1.0)


# The peers' methods that need no module of ours: the same formula, numerically


def test_supermerger_s_and_meh_s_formulas_that_sd_mecha_has_under_another_name() -> None:
    given = models(3)
    a, b, c = ({key: tensor.double().numpy() for key, tensor in model.items()} for model in given)
    key = "conv.weight"

    got = merged("train_difference_mask", given, alpha=0.7)[key]
    scale = np.abs(b[key] - a[key]) / (np.abs(b[key] - c[key]) + np.abs(b[key] - a[key]))
    np.testing.assert_allclose(got, a[key] + (b[key] - c[key]) * scale * 0.7 * 1.8, rtol=1e-4, atol=1e-5)

    # ties_add_difference of meh: base C, TIES of A − C and B − C; here the base stands first
    got = merged("add_difference_ties", [given[2], given[0], given[1]], alpha=0.7, k=0.4)[key]
    deltas = [x[key] - c[key] for x in (a, b)]
    kept = [x * (np.abs(x) >= np.sort(np.abs(x).ravel())[max(int(0.6 * x.size), 1) - 1]) for x in deltas]
    sign = np.sign(sum(np.sign(x) for x in kept))
    agree = [np.sign(x) == sign for x in kept]
    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(sum(x * y for x, y in zip(kept, agree, strict=True)) / sum(1.0 * y for y in agree))
    np.testing.assert_allclose(got, c[key] + 0.7 * mean, rtol=1e-4, atol=1e-5)

    # model-mixer's TIES is the largest half of B − A, and its Dare-Fixed is a random share without rescaling
    got = merged("add_difference_ties", given[:2], alpha=0.7, k=0.5)[key]
    delta = b[key] - a[key]
    large = np.abs(delta) >= np.sort(np.abs(delta).ravel())[int(0.5 * delta.size) - 1]
    np.testing.assert_allclose(got, a[key] + 0.7 * delta * large, rtol=1e-4, atol=1e-5)
    got = merged("dropout", given[:2], 3, alpha=1.0, probability=0.6, rescale=0.0)[key]
    from_a, from_b = np.isclose(got, a[key], atol=1e-6), np.isclose(got, b[key], atol=1e-5)
    assert (from_a | from_b).all()
    assert 0.2 < from_b.mean() < 0.6


def test_the_classics_are_the_formulas_of_the_field() -> None:
    given = models(3)
    key = "linear.weight"
    a, b, c = (model[key].double().numpy() for model in given)
    expected = {
        ("weighted_sum", 2, ("alpha", 0.3)): lerp(a, b, 0.3),
        ("add_difference", 3, ("alpha", 0.3)): a + 0.3 * (b - c),
        ("sum_twice", 3, ("alpha", 0.3), ("beta", 0.6)): lerp(lerp(a, b, 0.3), c, 0.6),
        ("triple_sum", 3, ("alpha", 0.3), ("beta", 0.6)): a * (1 - 0.3 - 0.6) + b * 0.3 + c * 0.6,
        # 12 rows: both round and cut off give rows 3 to 8, and around the end rows 9 to 11 and 0 to 2
        ("tensor_sum", 2, ("width", 0.5), ("offset", 0.25)): np.concatenate([a[:3], b[3:9], a[9:]]),
        ("tensor_sum", 2, ("width", 0.5), ("offset", 0.75)): np.concatenate([b[:3], a[3:9], b[9:]]),
    }
    for (name, count, *values), wanted in expected.items():
        got = merged(name, given[:count], **dict(values))[key]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6, err_msg=name)

    # top-k: of all of A's values in the order of B's
    order = np.argsort(np.argsort(b.ravel(), kind="stable"), kind="stable")
    got = merged("top_k_tensor_sum", given[:2], width=1.0, offset=0.0)[key]
    np.testing.assert_allclose(got, np.sort(a.ravel())[order].reshape(a.shape), rtol=1e-6)


def test_cosine_b_between_0_and_1_is_sd_mecha_s() -> None:
    given = models(2)
    ours, theirs = merged("optim_cosine_b", given, alpha=0.1), merged("add_cosine_b", given, alpha=0.1)
    for key in KEYS:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-5, atol=1e-6)


def test_the_page_about_methods_names_what_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
    registry = merge_registry()
    assert set(re.findall(r"`(optim_[a-z_]+)`", page)) == {
        method_row(name).source for name in (*FORMULAS, *OF_ONE_MODEL)
    }
    table = page.split("## What Optim adds")[1].split("## What methods")[0]
    for line in re.findall(r"^\| (?!method|-)(.*) \|$", table, re.MULTILINE):
        titles, models, identifiers, _ = line.split(" | ")
        known = [row.method for row in method_rows() if f"`{row.source}`" in identifiers]
        assert known, line
        assert all(method.title in titles or method.title.split(" (")[0] in titles for method in known), line
        wanted = [int(n) for n in models.split(", ")]
        assert all((method.min_models, method.max_models) == (wanted[0], wanted[-1]) for method in known), line
    assert registry.keys() >= {"add_cosine_a", "add_cosine_b", "ties_sum", "dropout", "tensor_sum", "top_k_tensor_sum"}


# Registration


def test_registering_again_changes_nothing_and_a_reloaded_module_replaces_its_own() -> None:
    import importlib

    before = merge_registry()
    own.register()
    assert merge_registry() == before
    module = importlib.import_module("lib_optim.merging.own.extract")
    importlib.reload(module)
    after = merge_registry()
    assert after.keys() == before.keys()
    assert after["optim_extract"].__wrapped__ is module.extract


def test_plain_sd_mecha_can_run_such_a_recipe(tmp_path: Path) -> None:
    """What the user guide says about recipes that name one of these methods."""
    from safetensors.torch import save_file

    paths = []
    for i, model in enumerate(models(2)):
        state = {f"model.diffusion_model.input_blocks.1.0.{key}": tensor for key, tensor in model.items()}
        paths.append(str(tmp_path / f"{i}.safetensors"))
        save_file(state, paths[-1])
    script = (
        "import sd_mecha, lib_optim.merging.own\n"
        "lib_optim.merging.own.register()\n"
        f"a, b = (sd_mecha.model(p, 'sd1-ldm') for p in {paths!r})\n"
        "node = sd_mecha.extensions.merge_methods.resolve('optim_tensor_sum_columns')(a, b, width=0.25)\n"
        "text = sd_mecha.serialize(node, finalize=False)\n"
        "assert 'merge \"optim_tensor_sum_columns\"' in text, text\n"
        "assert sd_mecha.serialize(sd_mecha.deserialize(text), finalize=False) == text\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.returncode == 0, done.stderr
