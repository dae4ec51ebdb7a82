"""Fit positive parameters to log errors: Levenberg-Marquardt with a soft-L1 loss, in numpy.

Parameters are fitted as logarithms, kept inside their physical range, and lean to a prior where
data are thin. ``numpy`` is imported by fitting alone; predicting needs none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOSS = 0.15  # log error beyond which a row counts linearly: the floor between frameworks
STEP = 1e-4  # of the numeric derivative, in logarithms


def fit(
    model: Callable[[Vector], Vector],
    seconds: Vector,
    prior: Vector,
    low: Vector,
    high: Vector,
    spread: Vector,
    *,
    rounds: int = 40,
) -> Vector:
    """Return the parameters that minimise soft-L1 of ``log(model / seconds)``.

    Args:
        model: parameters → predicted seconds, one per row.
        seconds: measured.
        prior: start, and what parameters lean to.
        low: the least of each.
        high: the greatest.
        spread: standard deviation of each parameter's logarithm around the prior.
        rounds: of the iteration, at most.
    """
    target = np.log(seconds)
    bottom, top = np.log(low), np.log(high)
    lean = (LOSS / spread) ** 2
    center = np.clip(np.log(prior), bottom, top)
    theta = center.copy()

    def residual(at: Vector) -> Vector:
        return np.log(np.maximum(model(np.exp(at)), 1e-12)) - target

    def objective(r: Vector, at: Vector) -> float:
        soft = 2 * LOSS**2 * (np.sqrt(1 + (r / LOSS) ** 2) - 1)
        return float(soft.sum() + (lean * (at - center) ** 2).sum())

    r = residual(theta)
    value = objective(r, theta)
    damping = 1e-2
    for _ in range(rounds):
        jacobian = _jacobian(residual, theta, r, top)
        pull = 1 / np.sqrt(1 + (r / LOSS) ** 2)
        normal = jacobian.T @ (jacobian * pull[:, None]) + np.diag(lean)
        slope = jacobian.T @ (pull * r) + lean * (theta - center)
        for _ in range(8):
            damped = normal + damping * np.diag(np.diag(normal) + 1e-9)
            step = np.clip(-np.linalg.solve(damped, slope), -2.0, 2.0)
            tried = np.clip(theta + step, bottom, top)
            r_tried = residual(tried)
            value_tried = objective(r_tried, tried)
            if value_tried < value:
                break
            damping *= 5
        else:
            break
        gained = value - value_tried
        theta, r, value = tried, r_tried, value_tried
        damping = max(damping / 5, 1e-7)
        if gained < 1e-6 * value:
            break
    fitted: Vector = np.exp(theta)
    return fitted


def _jacobian(
    residual: Callable[[Vector], Vector], theta: Vector, r: Vector, top: Vector
) -> Vector:
    columns = []
    for i in range(len(theta)):
        step = STEP if theta[i] + STEP <= top[i] else -STEP
        moved = theta.copy()
        moved[i] += step
        columns.append((residual(moved) - r) / step)
    return np.stack(columns, axis=1)
