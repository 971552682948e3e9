"""The earlier classifier on the stacked trace: python original_implementation/train.py [--configs YAML] [overrides]."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if (HERE.parent / "seisml").is_dir():  # run from a clone that is not installed
    sys.path.insert(0, str(HERE.parent))

from seisml.config.launch import main  # noqa: E402  the path must be set first

if __name__ == "__main__":
    main(str(HERE / "config.yaml"))
