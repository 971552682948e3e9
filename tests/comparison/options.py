"""Options of small comparisons."""

from seisml.comparison.plan import Options

NETWORK = "load_encoder.backbone_type=SmallResNetEncoder"
SMALL = ("dataset.batch_size=16", "front_end.size=[32,32]", "trainer_params.gpus=[]")
PRETRAIN = (*SMALL, "model_params.proj_hid=64", "model_params.proj_out=64", "trainer_params.max_steps=2",
            "trainer_params.max_epochs=-1")  # fmt: skip
OPTIONS = Options(seeds=2, fractions=(0.0, 1.0), steps=2, budgets=(1.0,), overrides=SMALL, pretrain_overrides=PRETRAIN)
