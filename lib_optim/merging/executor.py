"""Runs a recipe tensor by tensor: the graph is compiled to closures once, after that only parameters change.

`sd_mecha.merge` reads headers, solves the graph and interprets it anew on every call, which costs seconds; this costs
some 20 microseconds a tensor beside the arithmetic, and calls the very same functions on the same numbers, so that
every bit agrees (`lib_optim.merging.selfcheck` checks it on every opening).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lib_optim.merging.mecha import sd_mecha
from lib_optim.plan.bounds import Value

if TYPE_CHECKING:
    import torch

__all__ = ["CompiledRecipe", "Frame", "Program", "Step", "compile_recipe", "compile_step"]

Load = Callable[[int, str], "torch.Tensor"]
Step = Callable[["Frame"], Any]


@dataclass
class Frame:
    """What one tensor's evaluation needs. `values`: parameter name to value, for this tensor's block."""

    key: str
    values: Mapping[str, Value]
    program: Program


@dataclass
class Program:
    """State shared by all tensors of a run.

    Attributes:
        load: (model index, key) to the stored tensor, which is not written to.
        device: Where to compute.
    """

    load: Load
    device: torch.device
    _buffers: dict[int, torch.Tensor] = field(default_factory=dict)
    _scalars: dict[Value, torch.Tensor] = field(default_factory=dict)

    def fresh(self, model: int, key: str) -> torch.Tensor:
        """Return a copy in fp32 that the caller owns."""
        import torch

        return self.load(model, key).to(device=self.device, dtype=torch.float32, copy=True)

    def buffered(self, slot: int, model: int, key: str) -> torch.Tensor:
        """Return a copy in fp32 in the buffer of `slot`, valid until the next call for that slot.

        A fresh allocation per tensor costs more than the arithmetic: the system has to clear its pages.
        """
        import torch

        stored = self.load(model, key)
        buffer = self._buffers.get(slot)
        if buffer is None or buffer.numel() < stored.numel():
            buffer = self._buffers[slot] = torch.empty(stored.numel(), dtype=torch.float32, device=self.device)
        return buffer[: stored.numel()].view(stored.shape).copy_(stored)

    def scalar(self, value: Value) -> torch.Tensor:
        """Return a number as sd-mecha hands it to a method that takes a tensor, on the device that computes.

        sd-mecha leaves it on the CPU, which torch before 2.6 refuses in `lerp` on CUDA (pytorch#141811).
        """
        import torch

        tensor = self._scalars.get(value)
        if tensor is None:
            tensor = torch.tensor(value, dtype=torch.float32, device=self.device)
            if len(self._scalars) < 10_000:
                self._scalars[value] = tensor
        return tensor


@dataclass(frozen=True)
class CompiledRecipe:
    """A recipe ready to run. `calls`: identifiers of the methods it runs."""

    step: Step
    calls: tuple[str, ...]

    def run(self, key: str, values: Mapping[str, Value], program: Program) -> Any:
        """Return the merged tensor of `key` in fp32; it may be overwritten by the next call."""
        import torch

        # A host may call in inference mode; buffers made in it could not be written outside of it.
        with torch.inference_mode(False), torch.no_grad():
            return self.step(Frame(key, values, program))


def compile_recipe(recipe: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> CompiledRecipe:
    """Compile a recipe graph as `build_recipe` makes it.

    Args:
        recipe: The graph.
        models: The model nodes in it, by index.
        parameters: The placeholder nodes in it, by parameter.

    Raises:
        TypeError: The graph holds something that this compiler does not know.
    """
    compiler = _Compiler({id(node): i for i, node in enumerate(models)}, {id(n): p for p, n in parameters.items()})
    return CompiledRecipe(compiler.compile(recipe, buffered=True), tuple(compiler.calls))


def compile_step(node: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Step:
    """Compile one node of such a graph; its result is the caller's own. Arguments and errors as `compile_recipe`."""
    return _Compiler({id(n): i for i, n in enumerate(models)}, {id(n): p for p, n in parameters.items()}).compile(node)


class _Compiler:
    def __init__(self, models: Mapping[int, int], parameters: Mapping[int, str]) -> None:
        self.models, self.parameters = models, parameters
        self.calls: list[str] = []
        self.slots = 0

    def compile(self, node: Any, buffered: bool = False) -> Step:
        """Return the step of a node; `buffered` if its result may live in a buffer that the next tensor overwrites."""
        if id(node) in self.models:
            return self._model(self.models[id(node)], buffered)
        if id(node) in self.parameters:
            name = self.parameters[id(node)]
            return lambda frame: frame.values[name]
        if hasattr(node, "value_dict"):
            # A recipe's values per tensor. Keys outside of it come from the self-check alone, see `MethodRow.keys`.
            table = node.value_dict
            some = next(iter(table.values()))
            return lambda frame: table.get(frame.key, some)
        if not hasattr(node, "merge_method"):
            raise TypeError(f"unknown node {node!r}")
        if node.merge_method.identifier == "convert_singleton":
            value = node.bound_args.args[0].value_dict["key"]
            return lambda frame: value
        return self._call(node, buffered)

    def _model(self, index: int, buffered: bool) -> Step:
        if not buffered:
            return lambda frame: frame.program.fresh(index, frame.key)
        slot = self.slots
        self.slots += 1
        return lambda frame: frame.program.buffered(slot, index, frame.key)

    def _call(self, node: Any, buffered: bool) -> Step:
        method = node.merge_method
        if method.interface is not None or hasattr(method.__wrapped__, "map_keys"):
            raise TypeError(f"{method.identifier} maps keys to each other")
        self.calls.append(method.identifier)
        arguments = node.bound_args
        fused = _FUSED.get(method.identifier)
        if fused is not None and not arguments.kwargs:
            # An argument of a method that is not ours to know gets memory of its own: it may keep or change it.
            steps = [self._argument(child, buffered) for child in arguments.args]
            return lambda frame: fused(frame, *steps)
        types = method.get_input_types()
        kinds = types.args_varargs(len(arguments.args))
        positional = [self._typed(child, kind) for child, kind in zip(arguments.args, kinds, strict=True)]
        named = {name: self._typed(child, types.kwargs[name]) for name, child in arguments.kwargs.items()}
        function = method.instantiate() if method.wrapped_is_class else method.__wrapped__
        inputs = tuple(method.get_param_names().as_dict(len(arguments.args)).values())
        if not method.has_varkwargs:
            return lambda frame: function(
                *[step(frame) for step in positional], **{name: step(frame) for name, step in named.items()}
            )
        relation = sd_mecha().keys_map.RealizedKeyRelation

        def call(frame: Frame) -> Any:
            key = frame.key
            extra = {
                "key": key,
                "key_relation": relation((key,), dict.fromkeys(inputs, (key,))),
                "cache": None,  # sd-mecha's caches are fp16: with one, a trial's bits would depend on earlier trials
                "output_reused": False,
            }
            return function(
                *[step(frame) for step in positional], **{name: step(frame) for name, step in named.items()}, **extra
            )

        return call

    def _argument(self, node: Any, buffered: bool = False) -> Step:
        """Return a step that gives a tensor, as sd-mecha would: numbers become 0-dimensional fp32 tensors."""
        import torch

        step = self.compile(node, buffered)

        def tensor(frame: Frame) -> torch.Tensor:
            value = step(frame)
            return value if isinstance(value, torch.Tensor) else frame.program.scalar(value)

        return tensor

    def _typed(self, node: Any, kind: Any) -> Step:
        """Return a step that gives what sd-mecha would hand to an input of this type."""
        import typing

        import torch

        origin = typing.get_origin(kind)
        if origin is not None and issubclass(origin, sd_mecha().StateDict):
            value = self._argument(node)
            return lambda frame: _OneKey(frame, value)
        if kind is torch.Tensor:
            return self._argument(node)
        step = self.compile(node)
        return lambda frame: _cast(step(frame), kind)


def _cast(value: Any, kind: type) -> Any:
    return value if value is None or isinstance(value, kind) else kind(value)


class _OneKey(Mapping):
    """What a method sees of an input of which it asks for tensors by key."""

    def __init__(self, frame: Frame, step: Step) -> None:
        self._frame, self._step = frame, step

    def __getitem__(self, key: str) -> Any:
        if key != self._frame.key:
            raise KeyError(key)
        return self._step(self._frame)

    def __iter__(self) -> Iterator[str]:
        return iter((self._frame.key,))

    def __len__(self) -> int:
        return 1


# The linear methods again, word for word what sd-mecha 1.1.8 computes, but into memory that is already there. Each
# argument is in a buffer of its own or the result of such a step, so the first may be overwritten.


def _weighted_sum(frame: Frame, a: Step, b: Step, alpha: Step) -> torch.Tensor:
    import torch

    weight = alpha(frame)
    if weight.numel() == 1:
        number = weight.item()
        if math.isclose(number, 0.0):
            return a(frame)
        if math.isclose(number, 1.0):
            return b(frame)
    x = a(frame)
    return torch.lerp(x, b(frame), weight, out=x)


def _add_difference(frame: Frame, a: Step, b: Step, alpha: Step) -> torch.Tensor:
    weight = alpha(frame)
    if weight.numel() == 1 and math.isclose(weight.item(), 0.0):
        return a(frame)
    x, y = a(frame), b(frame)
    if y.dim() > x.dim():  # model stock makes a row of one of a single number
        return x.addcmul(y, weight)
    return x.addcmul_(y, weight)


def _subtract(frame: Frame, a: Step, b: Step) -> torch.Tensor:
    x = a(frame)
    return x.sub_(b(frame))


_FUSED: Mapping[str, Callable[..., torch.Tensor]] = {
    "weighted_sum": _weighted_sum, "add_difference": _add_difference, "subtract": _subtract,
}  # fmt: skip
