"""Pretrain an encoder without labels: python sslearn.py --config configs/ssl.yaml [overrides]."""

from seisml.config.launch import main

if __name__ == "__main__":
    main("configs/ssl.yaml")
