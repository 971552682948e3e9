"""Trees as tensors answer as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from seisml.networks.attributes import AttributesEncoder
from seisml.networks.forest import Forest
from seisml.transforms.attributes import POLARISATION, TRACE


def samples(n_classes: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((n, 6)).astype(np.float32)
    return x, (x[:, 0] * 2 + x[:, 1] ** 2 + generator.standard_normal(n) * 0.3 > 1).astype(int) + (
        (x[:, 2] > 0.5).astype(int) if n_classes == 3 else 0
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", [RandomForestClassifier, GradientBoostingClassifier])
def test_probabilities_of_scikit_learn(kind: type, n_classes: int) -> None:
    x, y = samples(n_classes)
    model = kind(n_estimators=20, max_leaf_nodes=16, random_state=0).fit(x[:200], y[:200])
    n_trees = len(np.ravel(model.estimators_))
    forest = Forest(n_trees, 16, n_classes).take(model)
    expected = model.predict_proba(x[200:])
    np.testing.assert_allclose(forest(torch.from_numpy(x[200:])).exp().numpy(), expected, atol=2e-6)
    again = Forest(n_trees, 16, n_classes)
    again.load_state_dict(forest.state_dict())
    torch.testing.assert_close(again(torch.from_numpy(x)), forest(torch.from_numpy(x)))


@pytest.mark.parametrize("kind", [RandomForestClassifier, GradientBoostingClassifier])
def test_a_class_that_was_not_met(kind: type) -> None:
    x, y = samples(2)
    model = kind(n_estimators=5, max_leaf_nodes=8, random_state=0).fit(x, 2 * y)  # classes 0 and 2
    probability = Forest(5, 8, 4).take(model)(torch.from_numpy(x)).exp()
    assert probability[:, [1, 3]].max() < 1e-5
    np.testing.assert_allclose(probability[:, [0, 2]].numpy(), model.predict_proba(x), atol=1e-5)


def test_attributes_encoder() -> None:
    x = torch.randn(2, 3, 500, generator=torch.Generator().manual_seed(0))
    encoder = AttributesEncoder(3)
    assert encoder(x).shape == (2, encoder.out_size)
    assert encoder.out_size == 3 * len(TRACE) + len(POLARISATION) == len(encoder.names)
    plain = AttributesEncoder(3, amplitudes=False)
    torch.testing.assert_close(plain(1e6 * x), plain(x), rtol=1e-3, atol=1e-4)
    assert not plain.state_dict()
