"""Encoders: sizes, parameter counts by arithmetic, checkpoint layout, channels, small pictures, errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from seisml.errors import UserError
from seisml.networks import AlexNetEncoder, Encoder, SmallResNetEncoder, build_encoder

# Published sizes for three channels and 1000 classes, and the width in front of the classifier.
PUBLISHED = {
    "ResNet18Encoder": (11_689_512, 512),
    "ResNet34Encoder": (21_797_672, 512),
    "ResNet50Encoder": (25_557_032, 2048),
    "ResNet152Encoder": (60_192_808, 2048),
}


def n_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("in_channels", [1, 24])
def test_resnet_parameter_counts(name, in_channels):
    total, width = PUBLISHED[name]
    with torch.device("meta"):
        encoder = build_encoder(name, in_channels)
    assert n_parameters(encoder) == total - (width * 1000 + 1000) - 7 * 7 * 64 * (3 - in_channels)
    assert (encoder.out_size, encoder.in_channels) == (width, in_channels)


@pytest.mark.parametrize("in_channels", [1, 3])
def test_alexnet_parameter_counts(in_channels):
    classifier = (9216 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)
    encoder = AlexNetEncoder(in_channels)
    assert n_parameters(encoder) == 61_100_840 - classifier - 11 * 11 * 64 * (3 - in_channels)


@pytest.mark.parametrize(
    ("name", "published", "theirs"),
    [
        ("ConvNeXtTinyEncoder", 28_589_128, models.convnext_tiny),
        ("ConvNeXtSmallEncoder", 50_223_688, models.convnext_small),
    ],
)
def test_convnext_is_torchvisions_up_to_the_classifier(name, published, theirs):
    with torch.device("meta"):
        encoder, whole = build_encoder(name), theirs(weights=None)
    assert n_parameters(whole) == published
    assert n_parameters(encoder) == published - (768 * 1000 + 1000) - 4 * 4 * 96 * 2
    assert (encoder.out_size, encoder.in_channels) == (768, 1)
    expected = {f"model.{k}": v.shape for k, v in whole.state_dict().items() if not k.startswith("classifier.2.")}
    expected["model.features.0.0.weight"] = torch.Size([96, 1, 4, 4])
    assert {k: v.shape for k, v in encoder.state_dict().items()} == expected


def test_convnext_encodes_crops_and_says_what_is_too_small():
    encoder = build_encoder("ConvNeXtTinyEncoder", out_size_enc=768).eval()
    with torch.no_grad():
        assert encoder(torch.rand(2, 1, 128, 70)).shape == (2, 768)
    with pytest.raises(UserError, match="at least 32 x 32, not 31 x 70"):
        encoder(torch.rand(2, 1, 31, 70))


@pytest.mark.parametrize("name", ["convnext_tiny", "convnext_small"])
def test_published_names_of_backbones(name):
    with torch.device("meta"):
        assert build_encoder(name).out_size == 768


@pytest.mark.parametrize("name", ["ResNet18Encoder", "ResNet50Encoder"])
def test_first_convolution_starts_from_pytorchs_weights(name):
    """As published: uniform within 1 / sqrt(49), standard deviation 0.083; the others' fan-out Kaiming gives 0.0255."""
    torch.manual_seed(0)
    weight = build_encoder(name).model.conv1.weight
    assert weight.std().item() == pytest.approx(1 / (3 * 49) ** 0.5, rel=0.03)
    assert weight.abs().max() <= 1 / 7


def test_small_resnet_parameter_count():
    def block(a, b):
        shortcut = a * b + 2 * b if a != b else 0
        return 9 * a * b + 9 * b * b + 4 * b + shortcut

    expected = 49 * 16 + 32 + block(16, 16) + block(16, 32) + block(32, 64) + block(64, 128)
    assert n_parameters(SmallResNetEncoder()) == expected < 400_000


def test_layout_of_published_checkpoints():
    """torchvision's own keys behind ``model.``, without the classifier's."""
    expected = {f"model.{k}": v.shape for k, v in models.resnet34().state_dict().items() if not k.startswith("fc.")}
    expected["model.conv1.weight"] = torch.Size([64, 1, 7, 7])
    encoder = build_encoder("ResNet34Encoder")
    assert {k: v.shape for k, v in encoder.state_dict().items()} == expected
    checkpoint = {"epoch": 300, "model_state_dict": build_encoder("ResNet34Encoder").state_dict()}
    encoder.load_state_dict(checkpoint["model_state_dict"], strict=True)
    small = SmallResNetEncoder().state_dict()
    assert {"model.conv1.weight", "model.bn1.running_mean", "model.layer1.conv1.weight"} <= set(small)


def test_resnet_equals_torchvision_up_to_the_pool():
    theirs = models.resnet18(weights=None).eval()
    ours = build_encoder("ResNet18Encoder", in_channels=3).eval()
    ours.model.load_state_dict(theirs.state_dict(), strict=False)
    theirs.fc = nn.Identity()
    x = torch.rand(2, 3, 64, 71)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
        maximum = build_encoder("ResNet18Encoder", in_channels=3, pool="max").eval()
        maximum.load_state_dict(ours.state_dict())
        features = nn.Sequential(*list(theirs.children())[:-2])(x)
        torch.testing.assert_close(maximum(x), features.amax(dim=(2, 3)))


@pytest.mark.parametrize("name", ["ResNet18Encoder", "ResNet34Encoder", "SmallResNetEncoder"])
@pytest.mark.parametrize("size", [(1, 1), (17, 5), (128, 71)])
def test_resnets_take_any_size(name, size):
    encoder = build_encoder(name, in_channels=2)
    y = encoder(torch.rand(2, 2, *size))
    assert y.shape == (2, encoder.out_size) and torch.isfinite(y).all()


@pytest.mark.parametrize(("pool", "width"), [("avg", 256), ("max", 256), ("grid", 9216)])
def test_alexnet_pools(pool, width):
    encoder = build_encoder("AlexNetEncoder", in_channels=2, out_size_enc=width, pool=pool)
    for size in [(63, 63), (128, 71)]:
        assert encoder(torch.rand(1, 2, *size)).shape == (1, width)


@pytest.mark.parametrize("size", [(62, 128), (128, 62), (41, 20)])
def test_alexnet_says_what_is_too_small(size):
    with pytest.raises(UserError, match=f"at least 63 x 63, not {size[0]} x {size[1]}; enlarge"):
        AlexNetEncoder()(torch.rand(1, 1, *size))


def test_alexnet_smallest_picture_is_the_smallest():
    with pytest.raises(RuntimeError, match="too small"):
        AlexNetEncoder().model(torch.rand(1, 1, 62, 63))


@pytest.mark.parametrize("stride", [1, 2, 4, (2, 4)])
def test_small_resnet_options(stride):
    encoder = SmallResNetEncoder(in_channels=3, widths=(4, 6), stem_stride=stride, pool="max")
    assert encoder.model.conv1.stride == (stride if isinstance(stride, tuple) else (stride, stride))
    assert encoder(torch.rand(2, 3, 64, 64)).shape == (2, 6)
    encoder(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_small_resnet_size_before_the_pool():
    encoder = SmallResNetEncoder()
    shapes = []
    encoder.model.layer4.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[2:])))
    for size in [(64, 64), (128, 71), (128, 711)]:
        encoder(torch.rand(1, 1, *size))
    assert shapes == [(2, 2), (4, 3), (4, 23)]


def test_yaml_lists_and_bad_options():
    assert SmallResNetEncoder(widths=8).out_size == 8
    assert SmallResNetEncoder(widths=[8, 8], stem_stride=[2, 2]).out_size == 8  # as a YAML file gives them
    for widths in ((), None, (8, 0), (8, 2.5), "16"):
        with pytest.raises(UserError, match="widths: needs whole numbers"):
            SmallResNetEncoder(widths=widths)
    for stride in (0, 8, "2", (1, 2, 3), 2.0, None):
        with pytest.raises(UserError, match="stem_stride: needs"):
            SmallResNetEncoder(stem_stride=stride)
    with pytest.raises(UserError, match="pool: 'mean'.*avg or max"):
        SmallResNetEncoder(pool="mean")
    with pytest.raises(UserError, match="in_channels.*not 0"):
        SmallResNetEncoder(in_channels=0)


def test_wrong_input():
    encoder = SmallResNetEncoder(in_channels=2)
    with pytest.raises(UserError, match=r"built for 2 channels, the input \(4, 1, 64, 64\) has 1; set model_params"):
        encoder(torch.rand(4, 1, 64, 64))
    with pytest.raises(ValueError, match=r"\(B, C, F, W\), got \(2, 64, 64\)"):
        encoder(torch.rand(2, 64, 64))


def test_build_by_name():
    assert isinstance(build_encoder("SmallResNetEncoder", widths=(4, 8)), SmallResNetEncoder)
    assert isinstance(build_encoder("seisml.networks.resnet.SmallResNetEncoder"), SmallResNetEncoder)
    assert build_encoder("ResNet18Encoder", out_size_enc=512).out_size == 512


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone_type": "ResNet43Encoder"}, "backbone_type: .*'ResNet43Encoder'; did you mean 'ResNet34Encoder'"),
        ({"backbone_type": "resnet34encoder"}, "did you mean 'ResNet34Encoder'"),
        ({"backbone_type": "Projector"}, "no encoder is called 'Projector'"),
        ({"backbone_type": "Encoder"}, "no encoder is called 'Encoder'"),
        ({"backbone_type": None}, "no encoder is called None"),
        ({"backbone_type": "nowhere.at.all.Net"}, "cannot import 'nowhere.at.all.Net'"),
        ({"backbone_type": "seisml.networks.Nothing"}, "cannot import"),
        ({"backbone_type": ".Net"}, "cannot import"),
        ({"backbone_type": "seisml.networks.Projector"}, "is not of class Encoder; derive it"),
        ({"backbone_type": "SmallResNetEncoder", "out_size_enc": 300}, "gives 128 features, not 300; set 128 or null"),
        ({"backbone_type": "SmallResNetEncoder", "pol": "max"}, "pol: .*no such argument; did you mean 'pool'"),
    ],
)
def test_build_errors(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        build_encoder(**arguments)
    assert "\n" not in str(error.value)


def test_resnet34_message_of_the_contract():
    with pytest.raises(UserError) as error:
        build_encoder("ResNet34Encoder", out_size_enc=300)
    assert str(error.value) == "out_size_enc: ResNet34Encoder gives 512 features, not 300; set 512 or null"


class Waveforms(Encoder):
    """A user's own one-dimensional encoder."""

    min_size = (10,)

    def __init__(self, in_channels: int = 1, **options):
        super().__init__(in_channels, out_size=4)
        self.model = nn.Sequential(nn.Conv1d(in_channels, 4, 10), nn.AdaptiveMaxPool1d(1), nn.Flatten())


def test_own_encoder_for_waveforms():
    encoder = build_encoder(f"{__name__}.Waveforms", in_channels=3, out_size_enc=4, anything=1)
    assert encoder(torch.rand(2, 3, 50)).shape == (2, 4)
    with pytest.raises(UserError, match="needs waveforms of at least 10 samples, not 9; take longer windows"):
        encoder(torch.rand(2, 3, 9))
    with pytest.raises(ValueError, match=r"\(B, C, T\), got \(2, 3, 5, 5\)"):
        encoder(torch.rand(2, 3, 5, 5))


@pytest.mark.parametrize("name", ["ResNet18Encoder", "SmallResNetEncoder"])
def test_channels_last_reaches_every_layer(name):
    """Pictures of one channel are ambiguous in memory; the maps behind the first convolution must not fall back."""
    encoder = build_encoder(name).to(memory_format=torch.channels_last)
    kept = []
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda m, args, out: kept.append(out.is_contiguous(memory_format=torch.channels_last))
            )
    plain = build_encoder(name)
    plain.load_state_dict(encoder.state_dict())
    x = torch.rand(2, 1, 64, 64)
    y = encoder(x)
    assert kept and all(kept)
    torch.testing.assert_close(y, plain(x), rtol=1e-4, atol=1e-4)


def test_bfloat16_autocast():
    encoder = SmallResNetEncoder().to(memory_format=torch.channels_last)
    x = torch.rand(4, 1, 64, 64)
    expected = encoder(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = encoder(x)
    y.float().square().mean().backward()
    assert (y.float() - expected).norm() < 0.05 * expected.norm()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.parametrize("size", [(32, 3), (16, 11), (64, 64)])
def test_narrow_pictures_have_gradients_in_bfloat16(size):
    """Where a picture comes to have fewer columns than a stride, oneDNN gave unset memory for gradients."""
    torch.manual_seed(0)
    encoder = build_encoder("SmallResNetEncoder").to(memory_format=torch.channels_last)
    plain = SmallResNetEncoder()
    plain.load_state_dict(encoder.state_dict())
    x = torch.rand(8, 1, *size)
    weight = torch.rand(8, encoder.out_size)
    torch.testing.assert_close(encoder(x), plain(x), rtol=1e-4, atol=1e-4)
    (plain(x) * weight).sum().backward()
    for _ in range(3):
        unset = [torch.full((n,), float("nan")) for n in (500, 5000, 20000, 50000, 200000)]
        del unset
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            y = encoder(x)
        (y.float() * weight).sum().backward()
        found, expected = (torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (encoder, plain))
        assert torch.cosine_similarity(found, expected, dim=0) > 0.8


def test_fresh_weights_follow_the_seed():
    torch.manual_seed(3)
    first = SmallResNetEncoder().state_dict()
    torch.manual_seed(3)
    second = SmallResNetEncoder().state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """ResNet-18 of three channels whose weights lie in PyTorch's cache, and no way to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    torch.manual_seed(0)
    network = models.resnet18(weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
    path = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    torch.save(network.state_dict(), path)
    return network


@pytest.mark.parametrize(("in_channels", "max_pool"), [(1, True), (1, False), (2, True)])
def test_imagenet_weights_answer_as_three_channels_do_to_the_picture_repeated(imagenet, in_channels, max_pool):
    encoder = build_encoder("ResNet18Encoder", in_channels, max_pool=max_pool).eval()
    encoder.load_imagenet()
    if not max_pool:
        imagenet.maxpool = nn.Identity()
    imagenet.fc = nn.Identity()
    x = torch.randn(2, 1, 64, 80)
    with torch.no_grad():
        expected = imagenet(x.expand(-1, 3, -1, -1))
        torch.testing.assert_close(encoder(x.expand(-1, in_channels, -1, -1)), expected, rtol=1e-4, atol=1e-4)


def test_imagenet_weights_that_cannot_be_fetched(imagenet):
    with pytest.raises(UserError, match=r"resnet34-.*\.pth .*; set load_encoder.weights=null, or put the file at "):
        build_encoder("ResNet34Encoder").load_imagenet()
