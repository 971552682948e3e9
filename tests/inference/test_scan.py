import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from seisml.errors import UserError
from seisml.inference.channels_last import ChannelsLastNetwork, Unconvertible
from seisml.inference.channels_last_windows import window_factors
from seisml.inference.scan import CERTAIN, Scanner
from seisml.inference.window_grid import WindowGrid, window_view
from seisml.networks.convnet import ConvNetEncoder
from seisml.networks.convnetquake import ConvNetQuakeEncoder
from seisml.run.build import build_method
from seisml.tasks.facts import DataFacts
from seisml.transforms.waveform import WaveformFrontEnd
from seisml.waveforms.preprocessing import Preprocessing
from tests.networks.heads import with_classifier

GRID = WindowGrid(20.0, 200, 20)


def build(front_end=None, in_channels=3, target="convnetquake.ConvNetQuake", **exp_params):
    torch.manual_seed(0)
    front_end = front_end or {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": "std"}
    cfg = {
        "model_params": {"_target_": f"seisml.methods.{target}", "in_channels": in_channels},
        "exp_params": {"use_class_weight": False, **exp_params},
        "front_end": front_end,
        "seed": 0,
    }
    return build_method(OmegaConf.create(cfg), DataFacts(("noise", "a", "b"), 20.0, 200)).eval()


def record(n_channels=3, n_samples=2000, offset=0.0):
    return (np.random.default_rng(1).standard_normal((n_channels, n_samples)) * 50 + offset).astype(np.float32)


def direct(method, waveform, mask=None):
    windows = torch.from_numpy(window_view(waveform, GRID).copy())
    n = len(windows)
    batch = {"waveform": windows, "epoch": torch.zeros(n).long(), "index": torch.arange(n)}
    if mask is not None:
        batch["trace_mask"] = torch.from_numpy(mask)
    with torch.inference_mode():
        return method.predict_log_probability(batch)[0].exp().numpy()


@pytest.mark.parametrize("normalize", ["std", "peak", None])
@pytest.mark.parametrize("batch_size", [7, None])
def test_channels_last_gives_the_numbers_of_the_method(normalize, batch_size):
    front_end = {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": normalize}
    method = build(front_end)
    scanner = Scanner(method, GRID, batch_size=batch_size)
    assert scanner.fast
    waveform = record()
    np.testing.assert_allclose(scanner(waveform, np.ones((91, 3), bool)), direct(method, waveform), atol=1e-5)


def test_bfloat16_is_close():
    method, waveform = build(), record()
    got = Scanner(method, GRID, "bfloat16")(waveform, np.ones((91, 3), bool))
    np.testing.assert_allclose(got, direct(method, waveform), atol=1e-2)  # eight bits of log-probabilities of order 1


def test_what_may_be_an_event_is_computed_again_in_float32():
    method, waveform = build(), record()
    usable = np.ones((91, 3), dtype=bool)
    p = Scanner(method, GRID)(waveform, usable)
    middle = float(np.median(np.log((p[:, 1] + p[:, 2]) / p[:, 0])))
    with torch.no_grad():  # half of the windows on either side
        method.classifier.bias[0] += middle - np.log(CERTAIN / (1 - CERTAIN))
    exact = Scanner(method, GRID)(waveform, usable)
    mixed = Scanner(method, GRID, "bfloat16", events=(1, 2))(waveform, usable)
    maybe = mixed[:, 1:].sum(1) > CERTAIN
    assert 5 < maybe.sum() < 86
    assert np.array_equal(exact[maybe], mixed[maybe]) and not np.array_equal(exact[~maybe], mixed[~maybe])
    scanner = Scanner(method, GRID, "bfloat16", events=(1, 2))
    scanner.waveforms = None
    np.testing.assert_allclose(scanner(waveform, usable)[maybe], exact[maybe], atol=5e-3)


def test_only_usable_windows_are_predicted_and_a_missing_component_is_zeros():
    method, waveform = build(), record()
    usable = np.ones((91, 3), dtype=bool)
    usable[10:15] = False
    usable[40, 1] = False
    got = Scanner(method, GRID)(waveform, usable)
    assert np.flatnonzero(np.isnan(got).all(1)).tolist() == [10, 11, 12, 13, 14]
    silent = waveform.copy()
    silent[1] = 0.0
    np.testing.assert_allclose(got[40], direct(method, silent)[40], atol=1e-5)
    np.testing.assert_allclose(got[50], direct(method, waveform)[50], atol=1e-5)
    scanner = Scanner(method, GRID)
    scanner.waveforms = None
    np.testing.assert_allclose(scanner(waveform, usable), got, atol=1e-5)


def test_one_trace_at_a_time_is_an_ensemble_over_components():
    method, waveform = build(in_channels=1), record()
    usable = np.ones((91, 3), dtype=bool)
    usable[5, 2] = False
    scanner = Scanner(method, GRID)
    assert scanner.fast
    np.testing.assert_allclose(scanner(waveform, usable), direct(method, waveform, usable), atol=1e-5)


def test_spectrogram_networks_take_the_general_path():
    front_end = {
        "_target_": "seisml.transforms.spectrogram.SpectrogramFrontEnd",
        "nperseg": 40, "size": [24, 32], "floor": 1.0,
    }  # fmt: skip
    backbone = {"backbone_type": "SmallResNetEncoder", "backbone_params": {"widths": [4, 8]}}
    method = build(front_end, 1, "supervised.Supervised", **backbone)
    scanner = Scanner(method, GRID)
    assert not scanner.fast
    waveform = record(1)
    np.testing.assert_allclose(scanner(waveform, np.ones((91, 1), bool)), direct(method, waveform), atol=1e-5)


@pytest.mark.parametrize("step", [20, 7, 200, 300])
def test_window_factors_equal_the_front_end(step):
    grid = WindowGrid(20.0, 200, step)
    waveform = record(2, offset=1e4)
    waveform[0, :400] = 3.0  # constant windows
    for normalize in ("std", "peak"):
        front_end = WaveformFrontEnd(normalize)
        windows = torch.from_numpy(window_view(waveform, grid).copy())
        mean, factor = window_factors(waveform, grid, front_end)
        got = (windows.double().numpy() - mean[..., None]) * factor[..., None]
        np.testing.assert_allclose(got, front_end(windows.double()).numpy(), atol=1e-6)


@pytest.mark.parametrize("detrend", ["constant", "linear"])
@pytest.mark.parametrize("normalize", ["std", "peak", None])
def test_both_paths_take_the_trend_of_each_window_away(detrend, normalize):
    front_end = {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": normalize, "demean": False}
    method, steps = build(front_end), Preprocessing(detrend=detrend)
    waveform = record() + 200 * np.linspace(-1, 1, 2000, dtype=np.float32) ** 2  # a slope of its own in each window
    usable = np.ones((91, 3), dtype=bool)
    usable[7, 1] = False
    fast, general = Scanner(method, GRID, preprocessing=steps), Scanner(method, GRID, preprocessing=steps)
    general.waveforms = None
    assert fast.fast
    windows = steps.on_window(window_view(waveform, GRID)).astype(np.float32)
    expected = torch.from_numpy(windows * usable[..., None])
    batch = {"waveform": expected, "epoch": torch.zeros(91).long(), "index": torch.arange(91)}
    with torch.no_grad():
        expected = torch.exp(method.predict_log_probability(batch)[0]).numpy()
    for scanner in (fast, general):
        np.testing.assert_allclose(scanner(waveform, usable), expected, atol=1e-4)
    untouched = np.abs(Scanner(method, GRID)(waveform, usable) - expected).max()
    assert untouched > 1e-3 or (detrend == "constant" and normalize)  # who normalises takes the mean away anyway


def test_threads_share_the_batches():
    method, waveform = build(), record()
    usable = np.ones((91, 3), dtype=bool)
    expected = Scanner(method, GRID, batch_size=5)(waveform, usable)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        scanner = Scanner(method, GRID, batch_size=5)
        for _ in range(3):
            assert np.array_equal(scanner(waveform, usable), expected)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_loud_and_quiet_windows_in_one_piece():
    waveform = record()
    waveform[:, 1000:1200] *= 1e7
    method = build()
    np.testing.assert_allclose(
        Scanner(method, GRID)(waveform, np.ones((91, 3), bool)), direct(method, waveform), atol=1e-4
    )


def test_every_layer_of_the_published_networks_converts():
    torch.manual_seed(0)
    tremor = with_classifier(ConvNetEncoder(n_samples=400, n_layers=4, channels=8), 2).eval()
    quake = with_classifier(ConvNetQuakeEncoder(n_samples=400), 7).eval()
    for parameter in tremor.buffers():  # statistics that are not those of a fresh network
        if parameter.is_floating_point():
            parameter.add_(torch.rand_like(parameter))
    for network, width in ((tremor, 1), (quake, 3)):
        x = torch.randn(5, width, 400)
        fast = ChannelsLastNetwork(network.encoder.model, network.classifier, width, 400, 5)
        assert fast.backwards == (network is quake)  # where the zeros come last
        feed(fast, x)
        with torch.no_grad():
            torch.testing.assert_close(fast(), network(x).log_softmax(-1), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(fast(), network(x).log_softmax(-1), atol=1e-5, rtol=1e-4)  # input is kept


def feed(network, x):
    network.input.copy_((x.flip(2) if network.backwards else x).transpose(1, 2))


def test_zeros_may_lie_anywhere_around_the_samples():
    """Any padding, stride, kernel and dilation, forwards or backwards: the numbers are those of the layers."""
    generator, backwards = np.random.default_rng(2), []
    torch.manual_seed(0)
    for _ in range(60):
        layers, width = [], 2
        for _ in range(3):
            before, behind, padding, stride, dilation = (int(k) for k in generator.integers(0, 4, 5))
            layers.append(nn.ConstantPad1d((before, behind), 0.0))
            kernel = max(1 + int(generator.integers(4)), stride)
            layers.append(nn.Conv1d(width, 3, kernel, max(1, stride), padding, max(1, dilation)))
            layers += [nn.ReLU()] if generator.random() < 0.5 else [nn.Tanh(), nn.AdaptiveAvgPool1d(30)]
            width = 3
        encoder = nn.Sequential(*layers, nn.Flatten())
        x = torch.randn(2, 2, 90)
        with torch.no_grad():
            features = encoder(x)
            classifier = nn.Linear(features.shape[1], 3)
            fast = ChannelsLastNetwork(encoder, classifier, 2, 90, 2)
            feed(fast, x)
            torch.testing.assert_close(fast(), classifier(features).log_softmax(-1), atol=1e-5, rtol=1e-4)
        backwards.append(fast.backwards)
    assert 5 < sum(backwards) < 55


def test_pooling_and_batchnorm_after_convolutions():
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv1d(2, 4, 5, padding=2), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2), nn.Dropout(0.5),
        nn.Conv1d(4, 6, 3, dilation=2, groups=2), nn.Tanh(), nn.AvgPool1d(2), nn.AdaptiveMaxPool1d(3), nn.Flatten(),
        nn.Linear(18, 7), nn.ELU(),
    ).eval()  # fmt: skip
    encoder[1].running_mean.normal_()
    encoder[1].running_var.uniform_(0.5, 2)
    classifier = nn.Linear(7, 3)
    x = torch.randn(4, 2, 100)
    fast = ChannelsLastNetwork(encoder, classifier, 2, 100, 4)
    assert not fast.backwards  # pooling drops the last samples, not the first
    feed(fast, x)
    with torch.no_grad():
        torch.testing.assert_close(fast(), classifier(encoder(x)).log_softmax(-1), atol=1e-5, rtol=1e-4)


def test_layers_without_counterpart_are_refused():
    with pytest.raises(Unconvertible, match="GRU"):
        ChannelsLastNetwork(nn.Sequential(nn.GRU(3, 4)), nn.Linear(4, 2), 3, 50, 2)


def test_what_cannot_predict_is_refused():
    with pytest.raises(UserError, match="no class probabilities"):
        Scanner(nn.Linear(2, 2), GRID)
    with pytest.raises(UserError, match="--precision.*bfloat16"):
        Scanner(build(), GRID, "bfloat")
