"""Derivatives of every row's log-probability along many directions at once, from one backward pass.

Going back through the model gives, at each linear layer, the layer's inputs a [rows, tokens, in] and the gradients of
its outputs g [rows, tokens, out]. A row's gradient of the layer's weight is then g^T a, for all rows one batched
product, and one more product takes it against all directions: the cost hardly grows with their number, and no gradient
is ever kept.

>>> with Rowwise(lm.model, [direction, other]) as derivatives:               # doctest: +SKIP
...     derivatives(lm, rows)                                               # [rows, 2]

With ``rank`` directions are seen through a few inputs and outputs of each layer alone, those that carry most of what
these directions tell apart in rows like the ones given, and the batched product shrinks accordingly. It is an
approximation; ask for the rank correlation with the exact result before it is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch

from upbringing.errors import InputError
from upbringing.models.batches import batches_by_tokens, budget
from upbringing.models.forward import border_of, logits_at
from upbringing.models.memory import in_batches
from upbringing.models.nudge import Direction, evaluating, laid_out, linear_modules
from upbringing.rows import Encoded

_MOST_AT_ONCE = 2**23  # numbers of rows' gradients of one layer held at once: 32 MiB

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # inputs, gradients [rows, tokens, .] -> [rows, D]


class Dense:
    """All of the layer: directions [D, out, in].

    A row's gradient is laid out with its longer side last, and directions with them before: on CPUs these products are
    up to eight times as fast as the same ones the other way round.
    """

    def __init__(self, stack: torch.Tensor) -> None:
        count, self.outputs, self.inputs = stack.shape
        self.inputs_first = self.outputs >= self.inputs
        ordered = stack.transpose(1, 2) if self.inputs_first else stack
        self.table = ordered.reshape(count, -1).contiguous()

    def __call__(self, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        parts = []
        for some in torch.arange(len(a)).split(self._at_once):
            one, other = self._in_order(a[some[0] : some[-1] + 1], g[some[0] : some[-1] + 1])
            parts.append(self._along(torch.bmm(one.transpose(1, 2), other)))
        return torch.cat(parts)

    def of_runs(self, a: torch.Tensor, g: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """The same for places in a row, ``sizes[i]`` of which are row i's: nothing is copied."""
        one, other = self._in_order(a, g)
        held = a.new_empty(min(self._at_once, len(sizes)), one.shape[1], other.shape[1])
        ends = np.cumsum(sizes)
        parts = []
        for some in torch.arange(len(sizes)).split(len(held)):
            for place, i in enumerate(some.tolist()):
                own = slice(ends[i] - sizes[i], ends[i])
                torch.mm(one[own].T, other[own], out=held[place])
            parts.append(self._along(held[: len(some)]))
        return torch.cat(parts)

    @property
    def _at_once(self) -> int:
        return max(1, _MOST_AT_ONCE // (self.outputs * self.inputs))

    def _in_order(self, a: torch.Tensor, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (a, g) if self.inputs_first else (g, a)

    def _along(self, gradients: torch.Tensor) -> torch.Tensor:
        return (self.table @ gradients.view(len(gradients), -1).T).T


class Squared(Dense):
    """The same, and in one more column the squared length of each row's gradient of this layer."""

    def _along(self, gradients: torch.Tensor) -> torch.Tensor:
        flat = gradients.view(len(gradients), -1)
        return torch.cat([super()._along(gradients), flat.square().sum(1, keepdim=True)], 1)


class Sketched:
    """The layer seen through ``left`` [out, r] and ``right`` [in, r]; directions are cores [r, r] between them."""

    def __init__(self, left: torch.Tensor, right: torch.Tensor, cores: torch.Tensor) -> None:
        self.left, self.right = left, right
        self.core = Dense(cores)

    def __call__(self, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return self.core(a @ self.right, g @ self.left)


class Looked:
    """The token embedding: directions [D, vocabulary, width], of which each token takes up its own row."""

    def __init__(self, stack: torch.Tensor) -> None:
        self.stack = stack

    def __call__(self, ids: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.einsum("btw,btw->b", table[ids], g) for table in self.stack], 1)


class Rowwise:
    """Takes derivatives inside a ``with`` block; afterwards the model is as it was.

    Args:
        directions: changes of linear layers' weights and of the token embedding.
        sketch: what :func:`sketched` found for these directions; None: exact.

    Raises:
        InputError: (when asked) a layer is not read row by row, as in mixtures of experts; take differences instead.
    """

    dense: type[Dense] = Dense

    def __init__(self, model: Any, directions: Sequence[Direction], sketch: dict[str, Sketched] | None = None) -> None:
        self.model, self.count = model, len(directions)
        self.head = model.get_output_embeddings()
        self.modules = _named_by_weight(model, directions)
        self.products: dict[str, Product] = {}
        for name, module in self.modules.items():
            if sketch is not None and name in sketch:
                self.products[name] = sketch[name]
            else:
                self.products[name] = self.dense(_stacked(model, module, directions))
        table = model.get_input_embeddings().weight
        embedding = _name_of(model, table)
        self.looked = Looked(_table(embedding, directions).to(table.device)) if embedding in directions[0] else None
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self._frozen = [p for p in self.model.parameters() if p.requires_grad]
        for parameter in self._frozen:
            parameter.requires_grad_(False)
        embedding = self.model.get_input_embeddings()
        self._handles = [embedding.register_forward_hook(self._at_the_embedding)]
        self._handles += [m.register_forward_hook(self._at(name)) for name, m in self.modules.items()]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        for parameter in self._frozen:
            parameter.requires_grad_(True)

    def __call__(self, encoded: Sequence[Encoded], *, batch_tokens: int | None = None) -> np.ndarray:
        """d log p(row) along each direction [rows, directions], in nats, float64."""
        found = np.zeros((len(encoded), self.count))
        device = self.model.get_input_embeddings().weight.device
        lengths = [len(row) for row in encoded]

        def run(batch: list[int]) -> None:
            found[batch] = self._of([encoded[i] for i in batch], device)

        batches = batches_by_tokens(lengths, budget(batch_tokens, device), border=border_of(self.model))
        with evaluating(self.model), torch.enable_grad():
            in_batches(batches, run, lengths.__getitem__, self.model)
        return found

    def _of(self, batch: Sequence[Encoded], device: torch.device) -> np.ndarray:
        ids, rows, columns = laid_out(batch)
        self._sizes = np.bincount(rows, minlength=len(batch)).tolist()
        self._found = torch.zeros(len(batch), self.count, dtype=torch.float64)
        read = torch.from_numpy(ids).to(device)
        logits, _ = logits_at(
            self.model, torch.from_numpy(rows), torch.from_numpy(columns), input_ids=read, use_cache=False
        )
        wanted = torch.from_numpy(ids[rows, columns + 1]).to(logits.device)
        loss = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum")
        (-loss).backward()  # type: ignore[no-untyped-call]
        return self._found.numpy()

    def _at_the_embedding(self, module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        output.requires_grad_(True)
        if self.looked is not None:
            scale = _scale_of(module, inputs[0], output)
            output.register_hook(lambda g: self._add(self._look(inputs[0], g.float() * scale)))
        return output

    def _look(self, ids: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Of the embedding: its tokens [rows, tokens], their gradients [rows, tokens, width]."""
        assert self.looked is not None
        return self.looked(ids, g)

    def _at(self, name: str) -> Callable[..., None]:
        product, module = self.products[name], self.modules[name]

        def hook(_module: Any, inputs: tuple[Any, ...], output: Any) -> None:
            a = inputs[0].detach()
            if module is self.head:
                output.register_hook(lambda g: self._add(self._ragged(product, a[0].float(), g[0].float())))
                return
            if a.ndim != 3 or len(a) != len(self._sizes):
                raise InputError(f"{name}: does not read row by row, so rows' gradients cannot be told apart")
            output.register_hook(lambda g: self._add(product(a.float(), g.float())))

        return hook

    def _ragged(self, product: Product, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """The product where there are places of targets alone, row after row."""
        if isinstance(product, Sketched):
            a, g, product = a @ product.right, g @ product.left, product.core
        if isinstance(product, Dense):
            return product.of_runs(a, g, self._sizes)
        return product(a[None], g[None]).expand(len(self._sizes), -1)  # sums over all places, whoever's they are

    def _add(self, values: torch.Tensor) -> None:
        self._found += values.detach().double().cpu()


class WithLengths(Rowwise):
    """Beside the derivatives the length of each row's whole gradient: [rows, directions + 1], its square in the last.

    Where the embedding is also the head (tied weights) both ends' gradients are of one matrix: they are added before
    their length is taken.

    Raises:
        InputError: (when asked) as :class:`Rowwise` does.
    """

    dense = Squared

    def __init__(self, model: Any, directions: Sequence[Direction]) -> None:
        super().__init__(model, directions)
        self.count += 1
        self._tied = self.head is not None and self.head.weight is model.get_input_embeddings().weight
        self._of_head: tuple[torch.Tensor, torch.Tensor] | None = None

    def _ragged(self, product: Product, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        if self._tied:
            self._of_head = a, g  # what is at the embedding comes last
        return super()._ragged(product, a, g)

    def _look(self, ids: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Of the embedding's part: a token's gradients add up wherever it stands in a row."""
        assert self.looked is not None
        same = ids[:, :, None] == ids[:, None, :]
        square = (torch.bmm(g, g.transpose(1, 2)) * same).sum((1, 2))
        if self._of_head is not None:
            places = zip(*(part.split(self._sizes) for part in self._of_head), ids, g, strict=True)
            square = square + 2 * torch.stack([((a @ at.T) * by[:, seen]).sum() for a, by, seen, at in places])
        return torch.cat([self.looked(ids, g), square[:, None]], 1)


def sketched(
    model: Any, directions: Sequence[Direction], encoded: Sequence[Encoded], rank: int, *, seed: int = 0
) -> dict[str, Sketched]:
    """What :class:`Rowwise` sees each layer through, [out, rank] and [in, rank], from rows like those to come.

    The best few inputs and outputs are those of the directions once both sides are scaled by how rows' inputs and
    gradients vary (the factors of arXiv:1503.05671), for the error that counts is that of the inner product.
    """
    modules = _named_by_weight(model, directions)
    seen = _moments(model, modules, directions, encoded)
    made: dict[str, Sketched] = {}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for name, module in modules.items():
            stack = _stacked(model, module, directions)
            if rank * 2 < min(stack.shape[1:]):
                of_inputs, of_outputs = seen[name]
                made[name] = _best_sketch(stack, of_inputs, of_outputs, rank)
    return made


def _best_sketch(stack: torch.Tensor, of_inputs: torch.Tensor, of_outputs: torch.Tensor, rank: int) -> Sketched:
    left_root, left_back = _roots(of_outputs)
    right_root, right_back = _roots(of_inputs)
    scaled = left_root @ stack @ right_root
    count, outputs, inputs = scaled.shape
    left = torch.svd_lowrank(scaled.permute(1, 0, 2).reshape(outputs, count * inputs), rank + 8, 4)[0][:, :rank]
    right = torch.svd_lowrank(scaled.permute(2, 0, 1).reshape(inputs, count * outputs), rank + 8, 4)[0][:, :rank]
    return Sketched(left_back @ left, right_back @ right, left.T @ scaled @ right)


def _roots(moment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The square root of a second moment and its pseudo-inverse, float32."""
    values, vectors = torch.linalg.eigh(moment.double())
    floor = values.max() * 1e-6
    root = values.clamp(min=0).sqrt()
    back = torch.where(values > floor, root.clamp(min=1e-30).reciprocal(), 0.0)
    return (vectors * root @ vectors.T).float(), (vectors * back @ vectors.T).float()


class _Moments(Rowwise):
    """Second moments of inputs and of gradients at each layer, instead of derivatives."""

    def __init__(self, model: Any, modules: dict[str, Any]) -> None:
        self.model, self.count, self.looked = model, 1, None
        self.head, self.modules = model.get_output_embeddings(), modules
        self.sums: dict[str, list[torch.Tensor]] = {}
        self.products = {name: self._adding(name) for name in modules}

    def _adding(self, name: str) -> Product:
        def add(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
            flat = [t.reshape(-1, t.shape[-1]) for t in (a, g)]
            moments = [t.T @ t for t in flat]
            old = self.sums.get(name)
            self.sums[name] = moments if old is None else [x + y for x, y in zip(old, moments, strict=True)]
            return a.new_zeros(len(a), 1)

        return add


def _moments(
    model: Any, modules: dict[str, Any], directions: Sequence[Direction], encoded: Sequence[Encoded]
) -> dict[str, list[torch.Tensor]]:
    with _Moments(model, modules) as reader:
        reader(encoded)
    return reader.sums


def _named_by_weight(model: Any, directions: Sequence[Direction]) -> dict[str, Any]:
    """Linear layers, by name, whose weights the directions change."""
    return {n: m for n, m in linear_modules(model).items() if _name_of(model, m.weight) in directions[0]}


def _stacked(model: Any, module: Any, directions: Sequence[Direction]) -> torch.Tensor:
    """The directions of one layer [D, out, in], where the layer is."""
    stack = _table(_name_of(model, module.weight), directions).to(module.weight.device)
    return stack if isinstance(module, torch.nn.Linear) else stack.transpose(1, 2)


def _table(name: str, directions: Sequence[Direction]) -> torch.Tensor:
    return torch.stack([direction[name].float() for direction in directions])


def _scale_of(embedding: Any, ids: torch.Tensor, output: torch.Tensor) -> float:
    """By what an embedding multiplies the rows it looks up: some families scale them by the root of the width."""
    with torch.no_grad():
        found, rows = output.detach().float().flatten(), embedding.weight[ids].float().flatten()
        scale = float(found @ rows / (rows @ rows).clamp(min=1e-30))
        if not torch.allclose(found, scale * rows, rtol=0.02, atol=1e-3 * float(found.abs().max())):
            raise InputError("the token embedding does more than look up, so its derivative is not known here")
    return scale


def _name_of(model: Any, weight: torch.Tensor) -> str:
    return next((name for name, p in model.named_parameters() if p is weight), "")
