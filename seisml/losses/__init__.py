"""Losses: functions of tensors, no state."""

from seisml.losses.barlow_twins import barlow_twins_loss
from seisml.losses.infonce import infonce_constant, infonce_loss, infonce_scores
from seisml.losses.simclr import partner_accuracy, simclr_loss
from seisml.losses.tnc import diag_loss, tnc_accuracy, tnc_loss
from seisml.losses.vibcreg import (
    covariance,
    covariance_full,
    covariance_gram,
    invariance,
    variance,
    vibcreg_loss,
)
from seisml.losses.vicreg import vicreg_loss

__all__ = [
    "barlow_twins_loss",
    "covariance",
    "covariance_full",
    "covariance_gram",
    "diag_loss",
    "infonce_constant",
    "infonce_loss",
    "infonce_scores",
    "invariance",
    "partner_accuracy",
    "simclr_loss",
    "tnc_accuracy",
    "tnc_loss",
    "variance",
    "vibcreg_loss",
    "vicreg_loss",
]
