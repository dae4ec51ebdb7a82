"""Calibrated estimates: measured efficiencies on top of the bound, each with its band."""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "Calibration": "parameters",
    "Figures": "predict",
    "Prediction": "predict",
    "Predictor": "predict",
    "RowFigures": "rows",
    "combine": "predict",
    "figures": "rows",
    "fit": "user_csv",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
