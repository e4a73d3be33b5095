"""What introspection cannot know of sd-mecha's merge methods: titles, formulas, sensible bounds, what to leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib_optim.plan.bounds import Bound, Value

__all__ = ["BOUNDS", "DEFAULTS", "EXCLUDED", "PLUMBING", "ROW_BOUNDS", "SETTLED", "TABLE", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One line of the table: what introspection cannot know. An empty `shape` follows from the signature."""

    id: str
    title: str
    formula: str
    source: str = ""
    shape: str = ""


# In the order in which they are listed. A method of the registry that is neither here nor excluded (registered by
# another extension) is listed last, under its own name.
TABLE = (
    Entry("weighted_sum", "Weighted sum", "A·(1 − alpha) + B·alpha"),
    Entry("add_difference", "Add difference", "A + (B − C)·alpha; with two models A + (B − A)·alpha"),
    Entry("add_difference_clamped", "Add difference, clamped",
          "A + (B − C)·alpha, kept between A and B; with two models C is A", "add_difference", "clamped"),
    Entry("sum_twice", "Sum twice", "(A·(1 − alpha) + B·alpha)·(1 − beta) + C·beta", "weighted_sum", "sum twice"),
    Entry("triple_sum", "Triple sum", "A·(1 − alpha − beta) + B·alpha + C·beta", "add_difference", "triple sum"),
    Entry("slerp", "Spherical interpolation (slerp)", "From A to B along the arc between them, by alpha"),
    Entry("train_difference_mask", "Train difference",
          "A + (B − C)·mask, where the mask grows as B moves away from A"),
    Entry("add_opposite_mask", "Add opposite", "A + (B − C)·mask, where the mask grows as A and B part around C"),
    Entry("add_strict_opposite_mask", "Add opposite, strict",
          "A + (B − C)·mask, only where A and B lie on opposite sides of C"),
    Entry("add_perpendicular", "Add perpendicular",
          "A + alpha·(the part of B − C that is perpendicular to A − C)", "perpendicular_component", "perpendicular"),
    Entry("add_cosine_a", "Cosine A", "From A to B where they differ in direction, row by row; A where they agree"),
    Entry("add_cosine_b", "Cosine B", "From A to B where they differ in direction and overall; A where they agree"),
    Entry("multiply_quotient", "Multiply quotient",
          "A·(B / C)^alpha, only where A and B moved to opposite sides of C"),
    Entry("geometric_sum", "Geometric sum", "A^(1 − alpha)·B^alpha"),
    Entry("crossover", "Frequency crossover", "Low frequencies of A, high frequencies of B; alpha is where they meet"),
    Entry("tensor_sum", "Tensor sum",
          "A share `width` of the rows of B from `offset` on, the rest of A; of three, differences from C",
          shape="two or from C"),
    Entry("top_k_tensor_sum", "Top-k tensor sum",
          "A with a share `width` of its values in the order of B's; of three, differences from C",
          shape="two or from C"),
    Entry("rotate", "Rotate",
          "A turned towards B by `alignment`, its shape mixed with B's by alpha; of three, differences from C",
          shape="two or from C"),
    Entry("clamp", "Clamp", "A kept between the smallest and the largest of the others"),
    Entry("n_average", "Average", "A·(1 − alpha) + alpha·average(A, B, C, …)"),
    Entry("geometric_median", "Geometric median", "A·(1 − alpha) + alpha·median(A, B, C, …)"),
    Entry("add_difference_ties", "TIES",
          "A + alpha·TIES(B − A, C − A, …), keeping the share k of largest differences", "ties_sum"),
    Entry("add_difference_ties_extended", "TIES extended",
          "A + alpha·TIES(B − A, C − A, …), with model stock or median instead of the mean",
          "ties_sum_extended", "deltas of two"),
    Entry("add_ties_with_dare", "DARE-TIES",
          "A + alpha·TIES of randomly thinned B − A, C − A, …", "ties_sum_with_dropout", "deltas of two"),
    Entry("dropout", "DARE (dropout)", "A + alpha·(B − A, C − A, … with a share `probability` left out at random)"),
    Entry("n_model_stock", "Model stock",
          "A + alpha·t·average(B − A, C − A, …), t from the angle between them", "model_stock", "deltas of two"),
    Entry("truncate_rank", "Low rank difference", "A + alpha·(B − C reduced to `rank`); with two models B − A"),
    Entry("truncate_kronecker", "Kronecker difference",
          "A + alpha·(B − C as one Kronecker product); with two models B − A"),
    Entry("optim_weighted_subtraction", "Weighted subtraction", "(A − B·alpha·beta) / (1 − alpha·beta)"),
    Entry("optim_smooth_add", "Smooth add",
          "A + alpha·(B − C smoothed: median of 3, Gaussian of 1); with two models B − A", "optim_smooth", "delta"),
    Entry("optim_extract", "Extract",
          "A + what B − A and C − A share (beta 0) or do not (beta 1), from B (alpha 0) to C (alpha 1)"),
    Entry("optim_euclidean_add_difference", "Euclidean add difference",
          "C + (A·(1 − alpha) + B·alpha − C) with sizes √((1 − alpha)·(A − C)² + alpha·(B − C)²)"),
    Entry("optim_multiply_difference", "Multiply difference",
          "C ± |A − C|^(1 − alpha)·|B − C|^alpha, with the sign of A·(1 − beta) + B·beta − C"),
    Entry("optim_similarity_add_difference", "Similarity add difference",
          "From A + (B − C)·alpha to a weighted sum of A and B, by beta, where their weights are alike"),
    Entry("optim_distribution_crossover", "Distribution crossover",
          "Low frequencies of A, high ones of B, in the order of C's weights; they meet at alpha, over a width beta"),
    Entry("optim_tensor_sum_columns", "Tensor sum, columns",
          "A with a share `width` of the columns of B from `offset` on"),
    Entry("optim_cosine_a", "Cosine A (supermerger)",
          "B·(1 − k) + A·k, k = (likeness − low)/(high − low) − alpha, of columns brought to one length"),
    Entry("optim_cosine_b", "Cosine B (supermerger)",
          "B·(1 − k) + A·k, k = (likeness − low)/(high − low) − alpha"),
    Entry("optim_cosine_sum", "Cosine sum", "A·(1 − k·alpha) + B·k·alpha, k large where columns of A and B are alike"),
    Entry("optim_cosine_add_difference", "Cosine add difference",
          "A + (B − C)·k·alpha, k large where columns of A and B are alike"),
    Entry("optim_self_scale", "Self", "A·alpha, but output projections and norms as they are", shape="one"),
    Entry("optim_add_noise", "Add noise", "A + alpha·noise, but output projections and norms as they are", shape="one"),
)  # fmt: skip

PLUMBING = "It is a building block of recipes, no way to merge models."
_SAME_IMAGES = (
    "It rearranges the weights of one SDXL model without changing its images, so there is nothing to score, and it "
    "needs a whole model in memory at once."
)
EXCLUDED = {
    **dict.fromkeys(("cast", "fallback", "get_device", "get_dtype", "get_rank_from_ratio", "omit_component",
                     "omit_non_finite", "pick_component", "stack"), PLUMBING),
    **dict.fromkeys(("balance_attention", "balance_attention_sdxl_sgm", "randperm", "randperm_sdxl_sgm"), _SAME_IMAGES),
    **dict.fromkeys(("rebasin", "rebasin_sdxl_sgm"),
                    "It lines up A's neurons with B's without changing A's images, for SDXL only, and needs both whole "
                    "models in memory at once."),
    **dict.fromkeys(("exchange_ema", "exchange_ema_'sd1-ldm'"), "It takes one model (and swaps in its EMA copy)."),
    "scale": "It takes one difference; add_difference with alpha does the same.",
    "subtract": "It gives a difference; the methods that need one make it themselves.",
}  # fmt: skip


# Where a search looks, and whether it does unless asked: our choice, sd-mecha states no ranges. A parameter of a
# method registered by somebody else gets the entry of its name, or is left at its default.
BOUNDS: Mapping[str, tuple[Bound, bool]] = {
    "alpha": (Bound("float", 0.0, 1.0), True),
    "beta": (Bound("float", 0.0, 1.0), True),
    # Between 0 and 1 it takes eigenvectors and matrix logarithms of every layer: minutes, and often no result.
    "alignment": (Bound("float", 0.0, 1.0), False),
    "width": (Bound("float", 0.0, 1.0), True),
    "offset": (Bound("float", 0.0, 1.0), True),
    "tilt": (Bound("float", 0.0, 1.0), True),
    "stiffness": (Bound("float", 0.0, 1.0), True),
    "k": (Bound("float", 0.05, 1.0), True),
    "probability": (Bound("float", 0.0, 0.95), True),
    "kronecker_ratio": (Bound("float", 0.0, 1.0), True),
    "rank": (Bound("int", 1, 128, log=True), True),
    "centralization": (Bound("float", 0.0, 1.0), False),
    "della_eps": (Bound("float", 0.0, 0.2), False),
    "rescale": (Bound("float", 0.0, 1.0), False),
    "cos_eps": (Bound("float", 1e-8, 1e-4, log=True), False),
    "eps": (Bound("float", 1e-8, 1e-4, log=True), False),
    "ftol": (Bound("float", 1e-20, 1e-6, log=True), False),
    "stiefel_eps": (Bound("float", 1e-10, 1e-4, log=True), False),
    "maxiter": (Bound("int", 1, 200), False),
    "stiefel_max_iters": (Bound("int", 1, 200), False),
    "approximate_basis_iters": (Bound("int", 0, 8), False),
}

# Parameters that the user does not see, by registered method.
SETTLED: Mapping[str, Mapping[str, Value]] = {
    # Every overlap but an odd whole number raises TypeError in sd-mecha 1.1.8 (torch.lerp of numpy arrays), and the
    # emphasis only acts there.
    "dropout": {"overlap": 1.0, "overlap_emphasis": 0.0},
}
_LIKENESS = {"low": (Bound("float", -1.0, 0.9), False), "high": (Bound("float", 0.95, 1.0), False)}
# Where a row's own ranges differ from those of the parameter's name.
ROW_BOUNDS: Mapping[str, Mapping[str, tuple[Bound, bool]]] = {
    "optim_weighted_subtraction": {"beta": (Bound("float", 0.0, 0.5), True)},  # at alpha·beta = 1 nothing of A is left
    "optim_extract": {"gamma": (Bound("float", 0.1, 10.0, log=True), True)},
    "optim_cosine_a": _LIKENESS,
    "optim_cosine_b": _LIKENESS,
    "optim_self_scale": {"alpha": (Bound("float", 0.8, 1.2), True)},
    "optim_add_noise": {"alpha": (Bound("float", 0.0, 0.01), True)},
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, Value]] = {
    "sum_twice": {"alpha": 0.5, "beta": 0.5},
    "triple_sum": {"alpha": 0.3, "beta": 0.3},
    "add_ties_with_dare": {"k": 1.0},  # as in sd_mecha.add_ties_with_dare; the registered part has 0.2
}
