"""An augmentation of the user's own: one Python file and one YAML file."""

from __future__ import annotations

from pathlib import Path

from seisml.config.compose import compose
from seisml.run.train import train
from tests.run.test_train import SMALL
from tests.stores import write_store

TOY = '''
from seisml.transforms import WaveformAugmentation

seen = []

class Reverse(WaveformAugmentation):
    """Play a share of the waveforms backwards."""

    def __init__(self, share=0.5):
        super().__init__()
        self.share = share

    def forward(self, waveform, random, noise=None):
        seen.append((self.share, tuple(waveform.shape)))
        backwards = random.uniform("whether", 1)[..., None] < self.share
        return backwards * waveform.flip(-1) + ~backwards * waveform
'''


def test_a_class_of_ones_own_goes_by_its_dotted_path(tmp_path, monkeypatch):
    (tmp_path / "toy_augmentation.py").write_text(TOY)
    mine = "\naugmentations:\n  - toy_augmentation.Reverse: {share: 0.3}\n"
    (tmp_path / "mine.yaml").write_text(Path("configs/finetune.yaml").read_text() + mine)
    monkeypatch.syspath_prepend(tmp_path)
    root = write_store(tmp_path / "store", n_events=12)
    overrides = [*SMALL, f"dataset.root={root}", "trainer_params.max_epochs=1", "figures=false"]
    cfg = compose(str(tmp_path / "mine.yaml"), overrides, "configs/finetune.yaml")
    train(cfg, tmp_path / "run")
    import toy_augmentation

    assert toy_augmentation.seen and {share for share, _ in toy_augmentation.seen} == {0.3}
    assert {shape[1:] for _, shape in toy_augmentation.seen} == {(1, 1000)}
