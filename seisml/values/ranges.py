"""Types of settings that say their limits: the check of a config reads them from the constructors' annotations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Period = Annotated[int, Field(ge=-1)]  # -1 = never
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]
Portion = Annotated[float, Field(ge=0, lt=1)]  # a share that leaves something
Overlap = Annotated[float, Field(ge=0, lt=1)]  # of a window, with the next one
Decay = Annotated[float, Field(gt=0, lt=1)]  # share of a moving average that a step keeps
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]  # a learning rate


class Rates(TypedDict, total=False):
    """Learning rates of a network's parts."""

    encoder: Rate
    clf: Rate
