"""Settings that a comparison makes itself: set by hand they would be passed over, or make a row what it is not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from seisml.comparison.plan import Options
from seisml.config.sweeps import parsed
from seisml.errors import UserError
from seisml.run.settings import flat

DRAWN = "each trial draws its split; --fractions and --folds say how"
LENGTH = "every row takes the same number of steps; give --steps, and --budgets for training from scratch"
OF_LABELS = {  # what the runs with labels are given, and where it comes from
    "seed": "--seeds says how many there are",
    "load_encoder.ckpt_fname": "each row has its encoder, and training from scratch none; name encoders by --pretrain",
    "dataset.split_file": DRAWN,
    "dataset.train_data_ratio": DRAWN,
    "dataset.test_root": "each trial tests on events of its probe; name another --probe",
    "evaluation.folds": "give --folds",
    "trainer_params.max_steps": LENGTH,
    "trainer_params.max_epochs": LENGTH,
    "resume": "the same command goes on by itself",
}
OF_PRETRAINING = {
    "seed": OF_LABELS["seed"],
    "resume": OF_LABELS["resume"],
    "dataset.split_file": "--pretrain EXPERIMENT=self and --hold-out leave out what a trial tests on",
}
SAME_LABELS = "all alternatives learn from the same labels; give --set"
OF_ALTERNATIVES = {**OF_LABELS, "dataset.dev_data_ratio": SAME_LABELS, "dataset.dev_from": SAME_LABELS}


def check_free(options: Options) -> None:
    """Refuse overrides of settings that the comparison makes.

    Raises:
        UserError: Names the first of them, and what to do instead.
    """
    alternatives = [word for words in options.choose for word in words]
    _check(options.overrides, OF_LABELS, "--set")
    _check(alternatives, OF_ALTERNATIVES, "--choose")
    _check(options.pretrain_overrides, OF_PRETRAINING, "--pretrain-set")


def _check(overrides: Sequence[str], reserved: Mapping[str, str], option: str) -> None:
    for key in itertools.chain.from_iterable(map(_keys, overrides)):
        if key in reserved:
            raise UserError(f"{option} {key}: the comparison sets it; {reserved[key]}")


def _keys(override: str) -> list[str]:
    """The settings that an override sets: several where its value is a mapping, ``load_encoder={ckpt_fname: X}``."""
    name, _, value = override.partition("=")
    key = name.lstrip("+~")
    if not value.lstrip().startswith("{"):
        return [key]
    (read,) = parsed([override])
    values = read.value()
    return list(flat({key: values})) if isinstance(values, dict) else [key]
