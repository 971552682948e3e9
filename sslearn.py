"""Pretrain an encoder without labels: python sslearn.py --config configs/ssl.yaml [overrides]."""

from seisml.config import main
from seisml.training import train

if __name__ == "__main__":
    main("configs/ssl.yaml", train)
