"""The fast way to merge: linear expressions computed straight into the live tensors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lib_optim.merging.chunks import Leaf, Program, Scratch, assemble, bound_of, lerp_is_exact
from lib_optim.merging.constants import Constants
from lib_optim.merging.executor import CompiledRecipe
from lib_optim.merging.executor import Program as Methods
from lib_optim.merging.expression import Constant, Expression, ModelLeaf, expression_of, keeps_equals
from lib_optim.merging.sources import largest_of
from lib_optim.plan.bounds import Value
from lib_optim.plan.space import Space

if TYPE_CHECKING:
    import torch

__all__ = ["Direct", "Piece", "Tensors", "searched_by_block"]


@dataclass(frozen=True)
class Tensors:
    """Where the models' tensors come from, each by (model, key).

    Attributes:
        stored: The tensor as stored, on the CPU; for its dtype and size.
        load: The same on the device that computes, known to be finite.
        largest: Magnitude of its largest element.
    """

    stored: Callable[[int, str], torch.Tensor]
    load: Callable[[int, str], torch.Tensor]
    largest: Callable[[int, str], float]


@dataclass(frozen=True)
class Piece:
    """The merge of one tensor, ready to be computed.

    Attributes:
        program: What to do.
        leaves: With what.
        bound: No element of the result is larger in magnitude.
    """

    program: Program
    leaves: tuple[torch.Tensor, ...]
    bound: float

    def fits(self, *dtypes: torch.dtype) -> bool:
        """Tell whether the result is finite for certain in every one of `dtypes`."""
        import torch

        return all(self.bound <= torch.finfo(dtype).max for dtype in dtypes)


class Direct:
    """Linear expressions of one recipe.

    Args:
        recipe: The graph, as `build_recipe` makes it.
        models: The model nodes in it.
        parameters: The placeholder nodes in it, by parameter.
        tensors: The models' tensors.
        methods: Runs sd-mecha's methods, for the constants.
        constants: Where they are kept.
        device: Where to compute.
    """

    def __init__(
        self,
        recipe: Any,
        models: Sequence[Any],
        parameters: Mapping[str, Any],
        tensors: Tensors,
        methods: Methods,
        constants: Constants,
        device: torch.device,
    ) -> None:
        self._recipe, self._models, self._parameters = recipe, models, parameters
        self._stored, self._load, self._largest = tensors.stored, tensors.load, tensors.largest
        self._methods, self._constants = methods, constants
        self._device = device
        self._shapes: dict[frozenset[str], _Shape | None] = {}
        self._programs: dict[tuple[Any, ...], Program | None] = {}
        self._exact: dict[torch.dtype, bool] = {}
        self._sizes: dict[tuple[int, str], float] = {}
        self._local = threading.local()

    def piece(self, key: str, values: Mapping[str, Value], searched: frozenset[str]) -> Piece | None:
        """Return how to compute a tensor, or None where its expression is not linear.

        Args:
            key: Which.
            values: Value of every parameter for it.
            searched: Parameters whose value for it may be another in another trial.

        Raises:
            OptimError: A model cannot be read or holds NaN.
        """
        shape = self._shape(searched)
        if shape is None:
            return None
        kept: dict[Constant, torch.Tensor] = {}
        for constant in shape.constants:
            tensor = self._constant(constant, key, values)
            if tensor is not None:
                kept[constant] = tensor
        program = self._program(shape, key, values, kept)
        if program is None:
            return None
        leaves = tuple(
            kept[leaf] if isinstance(leaf, Constant) else self._load(leaf.index, key) for leaf in program.leaves
        )
        if len({leaf.numel() for leaf in leaves}) != 1:
            return None  # a method that makes one number of a tensor
        used = shape.expression if len(kept) == len(shape.constants) else _used(shape.expression, kept)
        return Piece(program, leaves, bound_of(used, values, lambda leaf: self._size(leaf, key, kept)))

    def _program(
        self, shape: _Shape, key: str, values: Mapping[str, Value], kept: Mapping[Constant, torch.Tensor]
    ) -> Program | None:
        """Assemble, or take what was assembled for another tensor of the same kind and values."""
        import torch

        wide = tuple(self._stored(index, key).dtype == torch.float32 for index in shape.models)
        numbers = tuple(values[name] for name in shape.weights)
        place = (id(shape), numbers, wide, tuple(constant in kept for constant in shape.constants))
        if place not in self._programs:
            if len(self._programs) > _PROGRAMS:
                self._programs.clear()
            fp32 = dict(zip(shape.models, wide, strict=True))
            self._programs[place] = assemble(
                shape.expression,
                values,
                lambda leaf: isinstance(leaf, Constant) or fp32[leaf.index],
                lambda constant: constant in kept,
            )
        return self._programs[place]

    def keeps_equals(self, searched: frozenset[str]) -> bool:
        """Tell whether models that all hold the same tensor give that tensor."""
        shape = self._shape(searched)
        return shape is not None and keeps_equals(shape.expression)

    def compute(self, piece: Piece, target: torch.Tensor, rounded: torch.dtype | None = None) -> None:
        """Compute `piece` into `target` (contiguous), rounded to `rounded` before. Any thread."""
        import torch

        if rounded == target.dtype:
            rounded = None
        weight = piece.program.plain_lerp
        if weight is not None and rounded is None and {leaf.dtype for leaf in piece.leaves} == {target.dtype}:
            a, b = piece.leaves
            if target.dtype != torch.float32 and self._lerps_exactly(target.dtype):
                torch.lerp(a.reshape(-1), b.reshape(-1), weight, out=target.view(-1))
                return
        piece.program.run(piece.leaves, target, self._scratch(), rounded)

    def _shape(self, searched: frozenset[str]) -> _Shape | None:
        if searched not in self._shapes:
            expression = expression_of(self._recipe, self._models, self._parameters, searched)
            self._shapes[searched] = None if expression is None else _Shape.of(expression)
        return self._shapes[searched]

    def _constant(self, constant: Constant, key: str, values: Mapping[str, Value]) -> torch.Tensor | None:
        compiled = CompiledRecipe(constant.step, ())
        size = self._stored(0, key).numel()

        def compute() -> torch.Tensor:
            tensor: torch.Tensor = compiled.run(key, values, self._methods)
            return tensor.contiguous()

        return self._constants.get(constant.number, key, size, compute)

    def _size(self, leaf: Leaf, key: str, kept: Mapping[Constant, torch.Tensor]) -> float:
        if isinstance(leaf, ModelLeaf):
            return self._largest(leaf.index, key)
        place = (leaf.number, key)
        if place not in self._sizes:
            self._sizes[place] = largest_of(kept[leaf])
        return self._sizes[place]

    def _lerps_exactly(self, dtype: torch.dtype) -> bool:
        if dtype not in self._exact:
            self._exact[dtype] = lerp_is_exact(dtype, self._device)
        return self._exact[dtype]

    def aside(self, size: int, dtype: torch.dtype) -> torch.Tensor:
        """Return memory for `size` elements on the device that computes; the thread's next call uses it again."""
        import torch

        buffers: dict[torch.dtype, torch.Tensor] = self._local.__dict__.setdefault("aside", {})
        if dtype not in buffers or buffers[dtype].numel() < size:
            with torch.inference_mode(False):
                buffers[dtype] = torch.empty(size, dtype=dtype, device=self._device)
        return buffers[dtype][:size]

    def _scratch(self) -> Scratch:
        if not hasattr(self._local, "scratch"):
            self._local.scratch = Scratch(self._device)
        scratch: Scratch = self._local.scratch
        return scratch


@dataclass(frozen=True)
class _Shape:
    """An expression, and what of it decides over the program: its models, constants and parameters."""

    expression: Expression
    models: tuple[int, ...]
    constants: tuple[Constant, ...]
    weights: tuple[str, ...]

    @staticmethod
    def of(expression: Expression) -> _Shape:
        models: dict[int, None] = {}
        constants: dict[Constant, None] = {}
        weights: dict[str, None] = {}

        def visit(node: Expression) -> None:
            if isinstance(node, ModelLeaf):
                models[node.index] = None
            elif isinstance(node, Constant):
                constants[node] = None
                if node.inside is not None:
                    visit(node.inside)  # where there is no room for the constant
            else:
                if isinstance(node.weight, str):
                    weights[node.weight] = None
                visit(node.x)
                visit(node.y)

        visit(expression)
        return _Shape(expression, tuple(models), tuple(constants), tuple(weights))


_PROGRAMS = 1_000  # assembled programs that are kept; a trial needs one per block


def searched_by_block(space: Space) -> dict[str, frozenset[str]]:
    """Return the method parameters that are searched in each block."""
    found: dict[str, set[str]] = {block: set() for block in space.merged_blocks}
    for parameter in space.parameters:
        for block in parameter.blocks:
            found.setdefault(block, set()).add(parameter.method_parameter)
    return {block: frozenset(names) for block, names in found.items()}


def _used(expression: Expression, kept: Mapping[Constant, Any]) -> Expression:
    """The expression with the constants that are not at hand replaced by what is inside of them."""
    if isinstance(expression, Constant):
        return expression if expression in kept or expression.inside is None else _used(expression.inside, kept)
    if isinstance(expression, ModelLeaf):
        return expression
    return replace(expression, x=_used(expression.x, kept), y=_used(expression.y, kept))
