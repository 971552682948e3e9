from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from seisml.datasets.tremor.data_module import TremorDataModule
from seisml.errors import UserError
from seisml.losses.deep_clustering import deep_clustering_loss
from seisml.losses.squared_weights import squared_weights
from seisml.methods.convnetquake import ConvNetQuake
from seisml.methods.tremor_clustering import TremorClustering, svm_weights
from seisml.methods.waveform_classifier import WaveformClassifier
from seisml.networks.convnetquake import ConvNetQuakeEncoder
from seisml.tasks.base import Predictions
from seisml.tasks.facts import DataFacts
from seisml.transforms.augmentations.gaussian_noise import GaussianNoise
from seisml.transforms.waveform import WaveformFrontEnd
from tests.datasets.test_tremor import write_file
from tests.networks.heads import with_classifier

T = 256
FACTS = DataFacts(("none", "tremor"), 20.0, T)
SMALL = {"n_layers": 3, "channels": [4, 8, 8]}


def front_end():
    return WaveformFrontEnd(normalize="std", sampling_rate=20.0)


def trainer(**kwargs):
    return pl.Trainer(
        **{"max_epochs": 1, "logger": False, "enable_checkpointing": False, "use_distributed_sampler": False}
        | {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"} | kwargs
    )  # fmt: skip


def batch(n=8, channels=1, samples=T, classes=2):
    waveform = torch.randn(n, channels, samples, generator=torch.Generator().manual_seed(0))
    return {
        "waveform": waveform,
        "label": torch.arange(n) % classes,
        "index": torch.arange(n),
        "epoch": torch.zeros(n).long(),
    }


@pytest.fixture
def data(tmp_path):
    """Tremor is a slow tone, none a fast one."""
    labels = (np.arange(64) // 4) % 2
    time = np.arange(T) / 20
    tones = np.stack([np.sin(2 * np.pi * (2 if label else 6) * time) for label in labels])
    noisy = tones + 0.5 * np.random.default_rng(0).standard_normal(tones.shape)
    path, _ = write_file(tmp_path / "t.h5", n=64, X=noisy.astype(np.float32), y=labels)
    module = TremorDataModule(str(path), batch_size=16, balanced=True)
    module.setup()
    return module


def accuracy(run, method, data):
    outputs = run.predict(method, data.test_dataloader())
    found = torch.cat([output["output"].argmax(-1) == output["label"] for output in outputs])
    return found.float().mean().item()


def test_network_takes_the_length_of_the_data_and_is_printed(data, capsys):
    method = WaveformClassifier(facts=FACTS, front_end=front_end(), LR=1e-2)
    assert method.encoder.n_samples == T and method.encoder_settings()["backbone_params"]["n_samples"] == T
    run = trainer(max_epochs=15)
    run.fit(method, datamodule=data)
    assert accuracy(run, method, data) > 0.9
    assert "Conv1d" in capsys.readouterr().out
    assert run.optimizers[0].param_groups[0]["lr"] == 1e-2  # constant


def test_published_size_in_the_recipe():
    facts = DataFacts(("none", "tremor"), 20.0, 20_000)
    method = WaveformClassifier(facts=facts, front_end=front_end())
    assert sum(parameter.numel() for parameter in method.parameters()) == 177_738


def test_wrong_hyperparameters_reach_the_user():
    with pytest.raises(UserError, match="channels: 2 values"):
        WaveformClassifier(facts=FACTS, front_end=front_end(), backbone_params={"channels": [8, 8]})
    with pytest.raises(UserError, match="chanels"):
        WaveformClassifier(facts=FACTS, front_end=front_end(), backbone_params={"chanels": 8})


def test_penalty_is_added_to_the_cross_entropy():
    method = WaveformClassifier(facts=FACTS, front_end=front_end(), backbone_params=SMALL)
    method.log = method.log_dict = lambda *args, **kwargs: None
    plain = method.training_step(batch(), 0)
    method.l2 = 1e-3
    weights = squared_weights(torch.nn.ModuleList([method.encoder, method.classifier]))
    torch.testing.assert_close(method.training_step(batch(), 0), plain + 1e-3 * weights)
    method.l2_convolutions_only = True
    torch.testing.assert_close(
        method.training_step(batch(), 0), plain + 1e-3 * squared_weights(method.encoder.model[0], True)
    )


def quake(**kwargs):
    facts = DataFacts(("noise", *(f"cluster_{k}" for k in range(1, 7))), 100.0, 1000)
    return ConvNetQuake(facts=facts, front_end=front_end(), **kwargs)


def test_convnetquake_has_the_published_size_and_names():
    method = quake()
    assert sum(parameter.numel() for parameter in method.parameters()) == 22_951
    assert (method.l2, method.l2_convolutions_only, method.LR, method.in_channels) == (5e-4, True, 1e-4, 3)
    network = with_classifier(ConvNetQuakeEncoder(), 7)
    state = {k: v for k, v in method.state_dict().items() if k.startswith(("encoder.", "classifier."))}
    network.load_state_dict(state)
    x = batch(4, 3, 1000)
    log_probability, features = method.eval().predict_log_probability(x)
    assert features.shape == (4, 128)
    expected = network(front_end()(x["waveform"])).log_softmax(-1)
    torch.testing.assert_close(log_probability, expected)


def test_convnetquake_starts_with_logits_that_depend_on_the_waveform():
    """With PyTorch's default weights eight layers leave logits that differ by 2e-4, and nothing is learnt."""
    torch.manual_seed(0)
    features = quake().encoder(torch.randn(64, 3, 1000))
    assert 0.3 < features.square().mean().sqrt() < 3  # the size of the input is handed on
    for module in quake().modules():
        if isinstance(module, torch.nn.Conv1d | torch.nn.Linear):
            expected = (2 / module.weight[0].numel()) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1)
            assert module.weight.abs().max() <= 2 * 1.3**0.5 * expected and not module.bias.any()


def test_convnetquake_sees_noise_in_training_only():
    method = quake(augmentations=[GaussianNoise(share=1.0)])
    x = batch(4, 3, 1000)
    trained = method.train().predict_log_probability(x)[0]
    plain = method.eval().predict_log_probability(x)[0]
    assert not torch.allclose(trained, plain)
    torch.testing.assert_close(plain, method.predict_log_probability(x)[0])


def test_convnetquake_reports_detection_and_location():
    log_probability = torch.eye(7)[[0, 1, 2, 0]].log_softmax(-1)
    label, rows = torch.tensor([0, 1, 1, 2]), torch.arange(4)
    predictions = Predictions(log_probability, label, rows, rows, rows.numpy().astype(str), torch.zeros(4, 2))
    values = quake().task.metrics(predictions, quake().facts)
    assert values["detection_acc"] == 3 / 4 and values["location_acc"] == 1 / 3


@pytest.mark.parametrize("loss", ["deep_clustering", "whitened_kmeans"])
def test_clustering_separates_the_classes(data, loss):
    torch.manual_seed(0)
    method = TremorClustering(
        facts=FACTS, front_end=front_end(), backbone_params={"n_layers": 5, "channels": 8}, LR=1e-2, loss=loss
    )
    before = [parameter.clone() for parameter in method.encoder.parameters()]
    run = trainer(max_epochs=15)
    run.fit(method, datamodule=data)
    assert any(not torch.equal(a, b) for a, b in zip(before, method.encoder.parameters(), strict=True))
    assert accuracy(run, method, data) > 0.9
    embedding = torch.cat([output["embedding"] for output in run.predict(method, data.test_dataloader())])
    label = torch.cat([b["label"] for b in data.test_dataloader()])
    assert deep_clustering_loss(embedding, torch.nn.functional.one_hot(label, 2)) < 0.2


def test_clustering_loss_is_that_of_the_whole_batch():
    method = TremorClustering(facts=FACTS, front_end=front_end(), backbone_params={"n_layers": 4}).eval()
    method.log = lambda *args, **kwargs: None
    x = batch()
    expected = deep_clustering_loss(
        method.encoder(front_end()(x["waveform"])), torch.nn.functional.one_hot(x["label"], 2)
    )
    torch.testing.assert_close(method.training_step(x, 0), expected)


def test_clustering_refusals():
    with pytest.raises(UserError, match="exp_params.loss: 'deep'"):
        TremorClustering(facts=FACTS, front_end=front_end(), loss="deep")
    with pytest.raises(UserError, match="freeze_encoders"):
        TremorClustering(facts=FACTS, front_end=front_end(), freeze_encoders=True)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_svm_weights_answer_as_the_machine_does(n_classes):
    from sklearn.svm import LinearSVC

    generator = torch.Generator().manual_seed(0)
    label = torch.arange(60) % n_classes
    x = torch.randn(60, 4, generator=generator) + 2 * torch.eye(4)[label]
    weight, bias = svm_weights(x, label, n_classes + 1)  # the last class has no sample
    machine = LinearSVC(class_weight="balanced", random_state=0, max_iter=10_000).fit(x.double().numpy(), label.numpy())
    np.testing.assert_array_equal((x @ weight.T + bias).argmax(-1).numpy(), machine.predict(x.double().numpy()))
    with pytest.raises(UserError, match="two classes"):
        svm_weights(x, torch.zeros(60), 2)
