"""Training from scratch, fine-tuning and linear evaluation of an encoder (Lee, Aune, Langet and Eidsvik 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.methods.classifier import Classifier, ensemble
from seisml.methods.linear_head import LinearHead


class Supervised(LinearHead, Classifier):
    """A linear classifier on an encoder; predicts with the ensemble over traces, the mean of their log-softmax.

    Arguments as in :class:`seisml.methods.linear_head.LinearHead` and :class:`seisml.methods.classifier.Classifier`.
    """

    @property
    def class_head(self) -> nn.Module | None:
        """The classifier; none where it works on scaled features, for which no other was made."""
        return self.classifier if isinstance(self.scaling, nn.Identity) else None

    def predict_log_probability(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the events, the mean over their traces, and their mean features."""
        output, mask, features = self.trace_outputs(batch)
        return ensemble(torch.log_softmax(output, dim=-1), mask), features
