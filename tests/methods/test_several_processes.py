"""Several processes with shares of a batch get the losses and gradients that one gets with the whole batch."""

from __future__ import annotations

import multiprocessing
import socket

import pytest
import torch
from torch import distributed
from torch.nn.utils import vector_to_parameters

from seisml.methods.self_supervised.barlow_twins import BarlowTwins
from seisml.methods.self_supervised.cpc import CPC
from seisml.methods.self_supervised.masked_spectrogram import MaskedSpectrogram
from seisml.methods.self_supervised.simclr import SimCLR
from seisml.methods.self_supervised.vibcreg import VIbCReg
from seisml.methods.self_supervised.vicreg import VICReg
from seisml.methods.self_supervised.vnibcreg import VNIbCReg
from seisml.methods.supervised import Supervised
from seisml.processes.batch_norm import synchronise
from seisml.processes.collectives import gather, total
from seisml.tasks.facts import DataFacts, Quantity
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.waveform import WaveformFrontEnd

FACTS = DataFacts(("a", "b", "c"), 100.0, 200, (1.0, 2.0, 0.5))
PIECES = DataFacts((), 100.0, 200, (), Quantity("time_to_failure_s", "s", 2.0, 1.0, 2.0, 0.0, 4.0), 5)
SIZE = 8  # 3 processes share it unevenly
PRETRAINING = {"VIbCReg": VIbCReg, "VNIbCReg": VNIbCReg, "VICReg": VICReg, "BarlowTwins": BarlowTwins, "SimCLR": SimCLR}


def build(recipe):
    torch.manual_seed(0)
    return recipe(**{"facts": FACTS, "front_end": WaveformFrontEnd(), **SETTINGS[recipe]})


ENCODER = {"backbone_type": "SmallResNetEncoder"}
NARROW = {"proj_hid": 32, "proj_out": 16, **ENCODER}
SMALL = {"channels": [8, 12], "kernel_size": 4, "stride": [2, 2], "dilation": 1, "context_size": 16}
SETTINGS = {recipe: NARROW for recipe in PRETRAINING.values()} | {
    Supervised: {"use_class_weight": True, **ENCODER},
    MaskedSpectrogram: {"patch_size": [8, 8], "decoder_hid": 16, **ENCODER},
    CPC: {"facts": PIECES, "backbone_params": SMALL, "linear_map": True, "foresight": True, "target_weight": 0.5},
}


def loss_of(method, rank, n):
    """The loss of this process's share of a batch."""
    generator = torch.Generator().manual_seed(1)
    views = torch.randn(3, SIZE, 1, 32, 32, generator=generator)
    label = torch.randint(3, (SIZE,), generator=generator)
    if isinstance(method, CPC):
        waveform = torch.randn(SIZE, 1, PIECES.n_samples, generator=generator)
        number = 4 * torch.rand(SIZE, PIECES.n_pieces, generator=generator)
        method.log_dict = lambda values, **_: None  # no trainer is there to log for
        batch = {"waveform": waveform, "piece_label": number, "index": torch.arange(SIZE), "epoch": torch.zeros(SIZE)}
        return method.training_step({name: values[rank::n] for name, values in batch.items()}, 0)
    torch.manual_seed(2)  # dropout
    if isinstance(method, Supervised):
        output = method.classifier(method.encoder(views[0, rank::n])).log_softmax(-1)
        return method.loss_of(gather(output), gather(label[rank::n]))
    if isinstance(method, MaskedSpectrogram):
        return gather(method.losses(views[0, rank::n], SampleRandom(0, 0, torch.arange(SIZE)[rank::n]))[0]).mean()
    return method.losses(tuple(views[: 3 if isinstance(method, VNIbCReg) else 2, rank::n]))[0]["loss"]


def five_steps(recipe, rank=0, n=1):
    """Losses, the first gradients, and the weights after five steps, in float64."""
    torch.set_default_dtype(torch.float64)
    method = build(recipe)
    if n > 1:
        synchronise(method, torch.device("cpu"))
    parameters = [p for p in method.parameters() if p.requires_grad]
    optimizer, losses, first = torch.optim.SGD(parameters, lr=1e-3), [], []
    for _ in range(5):
        optimizer.zero_grad()
        loss = loss_of(method, rank, n)
        loss.backward()
        if n > 1:  # what DistributedDataParallel does
            together = torch.cat([p.grad.flatten() for p in parameters])
            distributed.all_reduce(together)
            vector_to_parameters(together / n, [p.grad for p in parameters])
        first = first or [p.grad.clone() for p in parameters]
        losses.append(loss.item())
        optimizer.step()
    return losses, first, dict(method.state_dict())


def work(rank, ports, sender):
    """One of several processes: with the others together, then with fewer of them."""
    results = {}
    for n, port in ports.items():
        if rank >= n:
            break
        distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=n, rank=rank)
        share = torch.arange(SIZE)[rank::n]
        assert gather(share).tolist() == list(range(SIZE)) and total(len(share)) == SIZE
        for recipe in SETTINGS:
            losses, *rest = five_steps(recipe, rank, n)
            results[n, recipe.__name__] = (losses, *map(numpy, rest))
        distributed.destroy_process_group()
    if rank == 0:
        sender.send(results)


def numpy(tensors):
    return {k: v.numpy() for k, v in tensors.items()} if isinstance(tensors, dict) else [t.numpy() for t in tensors]


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.mark.long
def test_losses_gradients_and_weights_are_those_of_one_process():
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    ports = {n: free_port() for n in (3, 2)}
    others = [context.Process(target=work, args=(rank, ports, sender)) for rank in range(3)]
    for process in others:
        process.start()
    sender.close()
    results = receiver.recv()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0] * 3
    try:
        for recipe in SETTINGS:
            losses, first, state = five_steps(recipe)
            for n in ports:
                their_losses, their_first, their_state = results[n, recipe.__name__]
                assert losses == pytest.approx(their_losses, rel=1e-7), (recipe, n)
                for mine, other in zip(first, their_first, strict=True):
                    torch.testing.assert_close(mine, torch.from_numpy(other), rtol=1e-5, atol=1e-9)
                assert state.keys() == their_state.keys()
                for name, value in state.items():
                    torch.testing.assert_close(value, torch.as_tensor(their_state[name]), rtol=1e-5, atol=1e-8)
    finally:
        torch.set_default_dtype(torch.float32)
