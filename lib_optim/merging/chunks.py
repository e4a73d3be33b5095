"""Computes linear expressions piece by piece, straight into the memory that they are meant for.

A piece is small enough that everything between reading the sources and writing the target stays in the processor's
cache, so that main memory sees each source once and the target once; nothing the size of a tensor is allocated.
All arithmetic is fp32 as sd-mecha does it, in the same order, so that every bit agrees.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lib_optim.merging.bits import same_bits
from lib_optim.merging.expression import Constant, Expression, Linear, ModelLeaf
from lib_optim.plan.bounds import Value

if TYPE_CHECKING:
    import torch

__all__ = ["CHUNK", "Leaf", "Program", "Scratch", "assemble", "bound_of", "lerp_is_exact"]

CHUNK = 1 << 19
"""Elements per piece: three fp32 pieces are 6 MiB, which a level 3 cache holds, and a call's overhead is small."""

Leaf = ModelLeaf | Constant
_Operation = Literal["load", "lerp", "add", "subtract"]


@dataclass(frozen=True)
class _Instruction:
    """``target = operation(x, y)``; operands below 0 are leaves (``-1 - leaf``), others are pieces of scratch."""

    operation: _Operation
    target: int
    x: int
    y: int = 0
    weight: float = 0.0


@dataclass(frozen=True)
class Program:
    """An expression with its weights, as instructions.

    Attributes:
        leaves: What it reads, each once.
        instructions: The steps; empty where the result is the first leaf as it is.
        pieces: How many pieces of scratch it needs.
    """

    leaves: tuple[Leaf, ...]
    instructions: tuple[_Instruction, ...]
    pieces: int

    @functools.cached_property
    def plain_lerp(self) -> float | None:
        """The weight, where the program is nothing but the lerp from its first leaf to its second."""
        if len(self.leaves) != 2 or not self.instructions:
            return None
        *loads, last = self.instructions
        origin = {step.target: step.x for step in loads}
        operands = (origin.get(last.x, last.x), origin.get(last.y, last.y))
        plain = last.operation == "lerp" and operands == (-1, -2) and all(step.operation == "load" for step in loads)
        return last.weight if plain else None

    def run(
        self,
        leaves: Sequence[torch.Tensor],
        target: torch.Tensor,
        scratch: Scratch,
        rounded: torch.dtype | None = None,
    ) -> None:
        """Write the result into `target`.

        Args:
            leaves: A contiguous tensor per leaf, any floating dtype, all of one number of elements.
            target: Contiguous, as many elements; its dtype rounds the result.
            scratch: On the same device.
            rounded: A dtype that the result is rounded to before.
        """
        flat = [leaf.reshape(-1) for leaf in leaves]
        goal = target.view(-1)
        size = goal.numel()
        whole = size <= scratch.chunk
        if not self.instructions:
            _store(flat[0], goal, rounded)
            return
        import torch

        # An fp32 target that wants no rounding takes the last step's result directly.
        direct = rounded is None and goal.dtype == torch.float32 and self.instructions[-1].operation != "load"
        for begin in range(0, size, scratch.chunk):
            end = min(begin + scratch.chunk, size)
            here = flat if whole else [leaf[begin:end] for leaf in flat]
            place = goal if whole else goal[begin:end]
            result = scratch.execute(self.instructions, here, end - begin, place if direct else None)
            if not direct:
                _store(result, place, rounded)


class Scratch:
    """The working memory of one thread.

    Args:
        device: Where it lies.
        chunk: Elements per piece.
    """

    def __init__(self, device: torch.device, chunk: int = CHUNK) -> None:
        self.chunk = chunk
        self._device = device
        self._pieces: list[torch.Tensor] = []
        self._weights: dict[float, torch.Tensor] = {}

    def execute(
        self, instructions: Sequence[_Instruction], leaves: Sequence[torch.Tensor], size: int, last: Any
    ) -> torch.Tensor:
        """Run `instructions` on one piece of `size` elements; the last result goes to `last` if that is given."""
        import torch

        result: torch.Tensor = leaves[0]
        for i, step in enumerate(instructions):
            x = leaves[-1 - step.x] if step.x < 0 else self._piece(step.x)[:size]
            out = last if last is not None and i == len(instructions) - 1 else self._piece(step.target)[:size]
            if step.operation == "load":
                result = out.copy_(x)
                continue
            y = leaves[-1 - step.y] if step.y < 0 else self._piece(step.y)[:size]
            if step.operation == "lerp":
                result = torch.lerp(x, y, self._weight(step.weight), out=out)
            elif step.operation == "add":
                result = torch.addcmul(x, y, self._weight(step.weight), out=out)
            else:
                result = torch.sub(x, y, out=out)
        return result

    def _piece(self, number: int) -> torch.Tensor:
        import torch

        while len(self._pieces) <= number:
            with torch.inference_mode(False):
                self._pieces.append(torch.empty(self.chunk, dtype=torch.float32, device=self._device))
        return self._pieces[number]

    def _weight(self, number: float) -> torch.Tensor:
        """A 0-dimensional tensor, as sd-mecha hands it over; a plain number takes other instructions in torch."""
        import torch

        tensor = self._weights.get(number)
        if tensor is None:
            if len(self._weights) > 1_000:
                self._weights.clear()
            tensor = self._weights[number] = torch.tensor(number, dtype=torch.float32, device=self._device)
        return tensor


def assemble(
    expression: Expression,
    values: Mapping[str, Value],
    is_fp32: Callable[[Leaf], bool],
    is_kept: Callable[[Constant], bool],
) -> Program | None:
    """Turn an expression into a program.

    Args:
        expression: The tree.
        values: Value of every parameter in it.
        is_fp32: Whether a leaf's tensor is fp32, which needs no conversion.
        is_kept: Whether a constant is at hand; one that is not is computed from what is inside of it.

    Returns:
        The program, or None where a constant is neither at hand nor linear, or a value is no number.
    """
    assembler = _Assembler(values, is_fp32, is_kept)
    result = assembler.visit(expression)
    if result is None:
        return None
    return Program(tuple(assembler.leaves), tuple(assembler.instructions), assembler.most)


class _Assembler:
    def __init__(
        self,
        values: Mapping[str, Value],
        is_fp32: Callable[[Leaf], bool],
        is_kept: Callable[[Constant], bool],
    ) -> None:
        self.values, self.is_fp32, self.is_kept = values, is_fp32, is_kept
        self.leaves: list[Leaf] = []
        self.instructions: list[_Instruction] = []
        self.busy: list[bool] = []
        self.most = 0

    def visit(self, expression: Expression) -> int | None:
        """Return the operand that holds the value of `expression`."""
        if isinstance(expression, Constant) and not self.is_kept(expression):
            return None if expression.inside is None else self.visit(expression.inside)
        if isinstance(expression, Linear):
            return self._step(expression)
        if expression not in self.leaves:
            self.leaves.append(expression)
        return -1 - self.leaves.index(expression)

    def _step(self, step: Linear) -> int | None:
        weight = self.values.get(step.weight) if isinstance(step.weight, str) else step.weight
        if isinstance(weight, str) or weight is None:
            return None
        number = float(weight)
        # sd-mecha's own short cuts, which decide over the bits (a + 0·b turns -0 into 0).
        if step.kind != "subtract" and math.isclose(number, 0.0):
            return self.visit(step.x)
        if step.kind == "lerp" and math.isclose(number, 1.0):
            return self.visit(step.y)
        x, y = self.visit(step.x), self.visit(step.y)
        if x is None or y is None:
            return None
        x, y = self._converted(x, step), self._converted(y, step)
        self._free(x)
        self._free(y)
        target = self._take()
        self.instructions.append(_Instruction(step.kind, target, x, y, number))
        return target

    def _converted(self, operand: int, step: Linear) -> int:
        """Torch computes in the widest dtype of the operands; fp32 it must be."""
        if operand >= 0 or self.is_fp32(self.leaves[-1 - operand]):
            return operand
        target = self._take()
        self.instructions.append(_Instruction("load", target, operand))
        return target

    def _take(self) -> int:
        for i, busy in enumerate(self.busy):
            if not busy:
                self.busy[i] = True
                return i
        self.busy.append(True)
        self.most = len(self.busy)
        return len(self.busy) - 1

    def _free(self, operand: int) -> None:
        if operand >= 0:
            self.busy[operand] = False


def bound_of(expression: Expression, values: Mapping[str, Value], largest: Callable[[Leaf], float]) -> float:
    """Return a number that no element of the result exceeds in magnitude, NaN excluded if all leaves are finite.

    Args:
        expression: The tree.
        values: Value of every parameter in it.
        largest: Magnitude of a leaf's largest element.
    """
    if not isinstance(expression, Linear):
        return largest(expression)
    weight = values[expression.weight] if isinstance(expression.weight, str) else expression.weight
    if isinstance(weight, str):
        return math.inf
    x, y, w = bound_of(expression.x, values, largest), bound_of(expression.y, values, largest), float(weight)
    exact = (abs(1 - w) if expression.kind == "lerp" else 1.0) * x + abs(w) * y
    return exact + (x + y) * (1 + abs(w)) * _ROUNDING


_ROUNDING = 2**-20  # fp32 rounds each step by at most 2**-24 of what goes into it, which may be more than comes out


def lerp_is_exact(dtype: torch.dtype, device: torch.device) -> bool:
    """Tell whether this torch computes a lerp of `dtype` tensors as fp32 does, rounded once: tried, bit for bit.

    It does on the CPU in torch 2.13 for fp16 and bf16; releases before, and other devices, decide for themselves.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1 << 15, generator=generator).to(device=device, dtype=dtype) for _ in range(2))
    a[::7] *= 1e-3
    a[::11], b[::22], b[11::22] = -0.0, -0.0, 0.0
    for weight in (0.1, 0.25, 0.37, 0.5, 0.625, 0.9, -0.3, 1.4):
        exact = torch.lerp(a.float(), b.float(), torch.tensor(weight, device=device)).to(dtype)
        try:
            if not same_bits(torch.lerp(a, b, weight), exact):
                return False
        except RuntimeError:
            return False
    return True


def _store(result: torch.Tensor, place: torch.Tensor, rounded: torch.dtype | None) -> None:
    place.copy_(result if rounded is None or result.dtype == rounded else result.to(rounded))
