"""What is compared with: the released window rule re-stated, and WeightWatcher itself."""

import logging
import warnings

import torch


def released_window(weight: torch.Tensor) -> float:
    """Exponent by singular values and the released window loop, one candidate after the other.

    Re-stated from the description of AlphaLoRA's code at 41cb6e2 (see docs/estimators.md).
    """
    values = torch.linalg.svdvals(weight).square().sort().values
    logs = values.log()
    decades = values.log10()
    counts = torch.histc(decades, 100, min=float(decades[0]), max=float(decades[-1]))
    edges = torch.linspace(float(decades[0]), float(decades[-1]), 101)
    peak = 10.0 ** edges[counts.argmax()]
    low, high = torch.log10(0.95 * peak), 1.5 * peak
    best_alpha, best_distance = torch.tensor(0.0), torch.tensor(1.0)
    for start, xmin in enumerate(values[:-1]):
        if xmin < low:
            continue
        if xmin > high:
            break
        size = float(len(values) - start)
        alpha = 1 + size / (logs[start:].sum() - size * logs[start])
        if alpha <= 1:
            continue
        model = 1 - (values[start:] / xmin) ** (1 - alpha)
        distance = (model - torch.arange(size) / size).abs().max()
        if distance < best_distance:
            best_alpha, best_distance = alpha, distance
    return float(best_alpha)


def weightwatcher_alpha(weight: torch.Tensor) -> float:
    """Exponent by WeightWatcher's default analysis of one linear layer (float64 SVD on a CPU)."""
    import weightwatcher

    logging.getLogger("weightwatcher").setLevel(logging.ERROR)
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = weight.float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watcher = weightwatcher.WeightWatcher(model=torch.nn.Sequential(linear))
        return float(watcher.analyze(plot=False)["alpha"].iloc[0])
