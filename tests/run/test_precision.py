"""Which precision is the faster one, and runs in each."""

import math

import pytest

from seisml.config.compose import compose
from seisml.run import precision
from seisml.run.precision import choose_precision
from seisml.run.train import train
from tests.run.test_train import PRETRAIN, SMALL
from tests.stores import write_store

EPYC = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni\nbogomips : 1\n"
XEON = "flags : avx512_bf16 amx_bf16 amx_tile\n"
GRAVITON = "Features : fp asimd sve svebf16 bf16\n"
OLD = "flags : fpu avx2 fma\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (EPYC, ("AVX512-BF16",)),
        (XEON, ("AMX-BF16", "AVX512-BF16")),
        (GRAVITON, ("NEON-BF16", "SVE-BF16")),
        (OLD, ()),
        ("model name : x\n", None),
    ],
)
def test_what_linux_says_of_the_processor(tmp_path, text, found):
    (tmp_path / "cpuinfo").write_text(text)
    assert precision._from_linux(tmp_path / "cpuinfo") == found


def test_without_linux_there_is_torch_or_nothing(tmp_path):
    assert precision._from_linux(tmp_path / "cpuinfo") is None
    assert set(precision._from_torch()) <= set(precision.INSTRUCTIONS.values())


@pytest.mark.parametrize(("instructions", "chosen"), [(("AVX512-BF16",), "bfloat16"), ((), "float32")])
def test_auto_takes_the_faster_one_and_says_so(monkeypatch, instructions, chosen):
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: instructions)
    got, words = choose_precision("auto", "cpu")
    assert got == chosen and chosen in words and (instructions or ("no bfloat16",))[0] in words


def test_the_slower_choice_is_warned_about(monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_instructions", tuple)
    got, words = choose_precision("bfloat16", "cpu")
    assert got == "bfloat16" and "slower than float32 here" in words
    assert choose_precision("float32", "cpu") == ("float32", "")


def test_lightning_gets_a_precision_it_knows(monkeypatch, tmp_path, capsys):
    from seisml.run.trainer import build_trainer

    for instructions, expected in ((("AVX512-BF16",), "bf16-mixed"), ((), "32-true")):
        monkeypatch.setattr(precision, "bfloat16_instructions", lambda given=instructions: given)
        assert build_trainer(tmp_path, False, [], gpus=[], precision="auto").precision == expected
        assert "Precision:" in capsys.readouterr().out
    assert build_trainer(tmp_path, False, [], gpus=[], precision="bf16-mixed").precision == "bf16-mixed"
    assert "slower" in capsys.readouterr().out


def test_runs_in_float64_with_probes_and_tests(tmp_path):
    store = write_store(tmp_path / "store", n_events=24)
    more = [f"dataset.root={store}", "trainer_params.precision=64-true", "trainer_params.max_epochs=1"]
    more += [f"encoder_folder={tmp_path / 'encoders'}", "figures=false", "exp_params.knn_acc_record_ep_period=1"]
    more += ["exp_params.ema_decay=0.9"]
    for config, recipe in (("configs/ssl.yaml", PRETRAIN), ("configs/finetune.yaml", SMALL)):
        metrics = train(compose(config, [*recipe, *more]), tmp_path / config).metrics
        assert all(math.isfinite(metrics[name]) for name in ("train/loss", "probe/knn_acc", "test/acc"))
