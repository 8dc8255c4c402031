"""Three ways to a row's derivative agree, in several architectures; afterwards the model is as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPTNeoXConfig

from tests.models.tiny import VOCABULARY, llama, of_config, sequences
from upbringing.errors import InputError
from upbringing.models import LM
from upbringing.models.nudge import batch_gradients, by_differences, by_forward_mode, matrices, norm, nudged
from upbringing.models.rowwise import Rowwise, sketched
from upbringing.rows import Encoded

AGREE = 1e-2  # largest difference of the nudged copies' derivatives, in standard deviations of the rows'
EXACT = 1e-4  # the same between the two exact ways


def untied() -> LM:
    return llama(tie_word_embeddings=False)


def gpt2() -> LM:
    return of_config(GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128), scale=8)


def neox() -> LM:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    return of_config(GPTNeoXConfig(vocab_size=VOCABULARY, num_attention_heads=4, **sizes), scale=8)


MODELS = pytest.mark.parametrize("make", [llama, untied, gpt2, neox])


def rows(count: int = 12, seed: int = 0) -> list[Encoded]:
    return [
        Encoded(ids, [False] * (3 + i % 2) + [True] * (len(ids) - 3 - i % 2))
        for i, ids in enumerate(sequences(count, 5, 20, seed))
    ]


def directions(lm: LM, count: int = 3) -> list[dict[str, torch.Tensor]]:
    made = torch.Generator().manual_seed(0)
    weights = matrices(lm.model)
    return [{name: torch.randn(p.shape, generator=made) for name, p in weights.items()} for _ in range(count)]


@MODELS
def test_nudged_copies_forward_mode_and_one_backward_pass_agree(make: Any) -> None:
    lm, read = make(), rows()
    lm.model.double()  # so that what is compared is the ways, and not the rounding
    along, before = directions(lm), lm.hash
    with Rowwise(lm.model, along) as derivatives:
        backward = derivatives(read)
        np.testing.assert_allclose(derivatives(read, batch_tokens=1), backward, rtol=1e-3, atol=1e-3)
    forward = np.stack([by_forward_mode(lm, read, one) for one in along], 1)
    differences = np.stack([by_differences(lm, read, one) for one in along], 1)
    spread = backward.std(0)
    assert np.abs(forward - backward).max() < EXACT * spread.min()
    assert np.abs(differences - backward).max() < AGREE * spread.min()
    assert lm.hash == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())
    assert all(p.requires_grad and p.grad is None for p in lm.model.parameters())


@MODELS
def test_directions_are_taken_to_where_each_matrix_is(make: Any) -> None:
    lm = make()
    along = directions(lm)  # as a file gives them: on the CPU
    derivatives = Rowwise(lm.model.to("meta"), along)
    assert derivatives.looked is not None
    assert derivatives.looked.stack.device.type == "meta"
    assert {product.table.device.type for product in derivatives.products.values()} == {"meta"}


def test_a_rows_derivatives_are_its_gradient_times_each_direction() -> None:
    lm, read = llama(), rows(4)
    along = directions(lm)
    with Rowwise(lm.model, along) as derivatives:
        found = derivatives(read)
    gradients = list(batch_gradients(lm, read, [[i] for i in range(4)]))
    for i, gradient in enumerate(gradients):
        targets = sum(read[i].loss_mask[1:])
        expected = [-targets * sum(float((gradient[n] * one[n]).sum()) for n in one) for one in along]
        np.testing.assert_allclose(found[i], expected, rtol=1e-3)


def test_a_sketch_of_directions_that_are_of_low_rank_loses_nothing() -> None:
    lm, read = llama(), rows(40)
    made = torch.Generator().manual_seed(0)
    sides = {n: torch.randn(p.shape[0], 2, generator=made) for n, p in matrices(lm.model).items()}
    other = {n: torch.randn(2, p.shape[1], generator=made) for n, p in matrices(lm.model).items()}
    along = [
        {n: sides[n] @ torch.diag(torch.tensor(scale)) @ other[n] for n in sides} for scale in ([1.0, 2], [2.0, -1])
    ]
    kept = sketched(lm.model, along, read, 4)
    assert kept
    with Rowwise(lm.model, along) as derivatives:
        exact = derivatives(read)
    with Rowwise(lm.model, along, kept) as derivatives:
        np.testing.assert_allclose(derivatives(read), exact, atol=0.02 * exact.std())


def test_a_nudge_ends_with_its_block_even_after_an_error() -> None:
    lm = llama()
    direction, before = directions(lm)[0], lm.hash
    old = {name: p.detach().clone() for name, p in lm.model.named_parameters()}
    with pytest.raises(ZeroDivisionError), nudged(lm.model, direction, 0.5):
        name = next(iter(direction))
        torch.testing.assert_close(dict(lm.model.named_parameters())[name].data, old[name] + 0.5 * direction[name])
        _ = 1 / 0
    assert lm.hash == before
    assert all(torch.equal(p, old[name]) for name, p in lm.model.named_parameters())


def test_a_layer_that_does_not_read_row_by_row_is_refused() -> None:
    lm = llama()
    layer = lm.model.model.layers[0].mlp
    layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].reshape(1, -1, inputs[0].shape[-1]),))
    layer.register_forward_hook(lambda _, inputs, output: output.reshape(2, -1, output.shape[-1]))
    same = [Encoded([7, 8, 9], [False, True, True])] * 2
    with pytest.raises(InputError, match="row by row"), Rowwise(lm.model, directions(lm)) as derivatives:
        derivatives(same)
    assert norm(directions(lm)[0]) > 0
