"""The context network: stated sizes, and no piece is known before it comes."""

from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.networks.build import build_encoder, fitted_arguments
from seisml.networks.context import ContextEncoder

SMALL = {"channels": (4, 6), "kernel_size": 3, "stride": 2, "dilation": (1, 2), "context_size": 5}


def waveforms(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_stated_numbers_of_parameters() -> None:
    for batch_norm, count in ((False, 120_848), (True, 121_328)):
        network = ContextEncoder(batch_norm=batch_norm)
        assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert network.out_size == network.piece_size == 128


def test_shapes_of_any_number_of_pieces() -> None:
    network = build_encoder("ContextEncoder", 2, piece_samples=20, **SMALL)
    for n_pieces in (1, 2, 7):
        z, c = network.sequences(waveforms(3, 2, 20 * n_pieces))
        assert z.shape == (3, n_pieces, 6) and c.shape == (3, n_pieces, 5)
        torch.testing.assert_close(network(waveforms(3, 2, 20 * n_pieces)), c[:, -1])
    whole = ContextEncoder(**SMALL)
    assert whole.sequences(waveforms(3, 1, 33))[0].shape == (3, 1, 6)


def test_pieces_are_embedded_one_by_one_in_their_order() -> None:
    network = ContextEncoder(piece_samples=20, **SMALL)
    x = waveforms(2, 1, 60)
    z, _ = network.sequences(x)
    for k in range(3):
        torch.testing.assert_close(z[:, k], network.model(x[..., 20 * k : 20 * (k + 1)]))


@pytest.mark.parametrize("training", [True, False])
def test_no_context_knows_later_pieces(training: bool) -> None:
    network = ContextEncoder(piece_samples=20, **SMALL).train(training)
    for k in range(4):
        x = waveforms(2, 1, 80).requires_grad_()
        network.sequences(x)[1][:, k].sum().backward()
        assert not x.grad[..., 20 * (k + 1) :].any()
        assert all(x.grad[..., 20 * j : 20 * (j + 1)].any() for j in range(k + 1))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_tells_of_later_pieces_while_training(training: bool) -> None:
    network = ContextEncoder(piece_samples=20, batch_norm=True, **SMALL).train(training)
    x = waveforms(2, 1, 80).requires_grad_()
    network.sequences(x)[1][:, 0].sum().backward()
    assert bool(x.grad[..., 20:].any()) is training


def test_pieces_differ_from_the_start() -> None:
    """With PyTorch's initial weights the embeddings of noise lie 0.002 apart, and their scores teach nothing."""
    torch.manual_seed(0)
    z, _ = ContextEncoder(piece_samples=1000).sequences(waveforms(4, 1, 10_000))
    assert z.std((0, 1)).mean() > 0.01


def test_the_shortest_piece() -> None:
    network = ContextEncoder()
    assert network.fewest == 1 + 1 + 2 + 2 * 9 + 4 * 17  # two taps each; the last two lie behind strides of 2 and 4
    assert network(waveforms(1, 1, network.fewest)).shape == (1, 128)
    with pytest.raises(UserError, match=rf"at least {network.fewest} samples, not {network.fewest - 1}"):
        network(waveforms(1, 1, network.fewest - 1))


def test_input_that_does_not_fit() -> None:
    network = ContextEncoder(piece_samples=20, **SMALL)
    with pytest.raises(UserError, match="pieces of 20 samples, and 50 samples are not a whole"):
        network(waveforms(1, 1, 50))
    with pytest.raises(UserError, match="in_channels"):
        network(waveforms(1, 2, 40))


@pytest.mark.parametrize(
    "wrong", [{"channels": []}, {"context_size": 0}, {"piece_samples": 0}, {"stride": [1]}, {"dilation": -1}]
)
def test_sizes_that_make_no_network(wrong) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        ContextEncoder(**wrong)


def test_arguments_that_are_the_datas() -> None:
    assert fitted_arguments("ContextEncoder", {"context_size": 8}, 300, 3) == {"context_size": 8, "piece_samples": 100}
    assert fitted_arguments("ContextEncoder", {"piece_samples": 50}, 300, 3) == {"piece_samples": 50}
    assert fitted_arguments("ConvNetEncoder", {"n_samples": None}, 300) == {"n_samples": 300}
    assert fitted_arguments("ResNet18Encoder", None, 300) == {}
