"""The quick dropout is a dropout."""

import pytest
import torch
from torch import nn

from baselines.packed.dropout import dropout, quicken


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_share_dropped_and_the_mean_are_right(probability: float) -> None:
    torch.manual_seed(0)
    thinned = dropout(torch.ones(1001, 997), probability)
    assert (thinned == 0).float().mean().item() == pytest.approx(probability, abs=0.003)
    assert thinned.mean().item() == pytest.approx(1.0, abs=0.01)
    assert thinned.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)], rel=1e-3)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(400_000), 0.5) != 0).float() - 0.5
    for distance in (1, 2, 3, 4, 8):
        assert abs((kept[:-distance] * kept[distance:]).mean().item()) < 0.002


def test_nothing_and_everything_can_be_dropped() -> None:
    states = torch.randn(5, 3)
    assert torch.equal(dropout(states, 0.0), states)
    assert not dropout(states, 1.0).any()


def test_the_gradient_passes_where_the_value_does() -> None:
    states = torch.ones(999, requires_grad=True)
    thinned = dropout(states, 0.3)
    thinned.sum().backward()
    assert torch.equal(states.grad, thinned.detach())  # type: ignore[arg-type]


def test_a_seed_gives_the_same_mask_and_evaluation_none() -> None:
    network = nn.Sequential(nn.Dropout(0.4))
    quicken(network)
    states = torch.randn(50, 7)
    masked = []
    for _ in range(2):
        torch.manual_seed(3)
        masked.append(network(states))
    assert torch.equal(*masked)
    assert not torch.equal(masked[0], states)
    assert torch.equal(network.eval()(states), states)
