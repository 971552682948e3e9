"""Train from scratch, fine-tune or evaluate linearly: python finetune.py --config configs/finetune.yaml [overrides]."""

from seisml.config.launch import main

if __name__ == "__main__":
    main("configs/finetune.yaml")
