"""Draws learning curves: ``python docs/gallery/draw.py`` makes an SVG of each JSON file beside it.

A file holds the ``history`` of a training, ``{"loss": [...], "val_loss": [...], "accuracy": [...], ...}``, one number
for each epoch (or for each "each"), and facts, which are no lists (`record.py` writes them). Two panels: the loss, if
there is one, and the first other quantities. Training is the thin line, validation the thick one. The colours are
readable on white and on black, so one picture serves both.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT = 320, 200  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 34  # margins in it
GREY, TRAINING, VALIDATION = "#8a8a8a", "#e08214", "#3b8bd0"
LONGER = {"acc": "accuracy", "val_acc": "val_accuracy"}

History = dict[str, list[float]]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from ``low`` to ``high``: multiples of 1, 2 or 5 times a power of ten, about ``count`` of them."""
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= count)
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", colour: str = GREY) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def panel(name: str, training: list[float], validation: list[float], left: float, each: str = "epoch") -> list[str]:
    """One quantity over the epochs, ``left`` units from the left side of the picture."""
    values = [value for value in training + validation if math.isfinite(value)]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    epochs = max(len(training), len(validation))

    def x(epoch: float) -> float:
        return left + LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(epochs - 1, 1)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    drawn = [text(x(1), 16, name, "start"), text(x((epochs + 1) / 2), HEIGHT - 3, each)]
    for value in ticks(low, high):
        drawn.append(f'<path d="M{x(1):.1f} {y(value):.1f}H{x(epochs):.1f}" stroke="{GREY}" stroke-opacity=".35"/>')
        drawn.append(text(x(1) - 6, y(value) + 4, f"{value:.4g}", "end"))
    for epoch in sorted({round(tick) for tick in ticks(1, max(epochs, 2), 5)} | {1, epochs}):
        if epoch in (1, epochs) or epochs / 8 < epoch - 1 < epochs * 7 / 8 - 1:
            drawn.append(text(x(epoch), HEIGHT - BOTTOM + 16, str(epoch)))
    for line, colour, width in ((training, TRAINING, 1.5), (validation, VALIDATION, 2.5)):
        points = [f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(line, 1) if math.isfinite(value)]
        if points:
            drawn.append(f'<polyline points="{" ".join(points)}" stroke="{colour}" stroke-width="{width}"/>')
            if len(points) == 1:
                drawn.append(f'<circle cx="{x(1):.1f}" cy="{y(line[0]):.1f}" r="3" fill="{colour}"/>')
    return drawn


def picture(history: History, title: str) -> str:
    """The SVG text of a training's loss and of the first quantity beside it."""
    each = str(history.get("each", "epoch"))
    history = {LONGER.get(name, name): values for name, values in history.items() if isinstance(values, list)}
    history.pop("lr", None)
    others = dict.fromkeys(name.removeprefix("val_") for name in history)
    quantities = sorted(others, key=lambda name: name != "loss")[:2]
    drawn: list[str] = []
    for i, name in enumerate(quantities):
        drawn += panel(name, history.get(name, []), history.get(f"val_{name}", []), i * WIDTH, each)
    keys = [("training", TRAINING)] + [("validation", VALIDATION)] * any(n.startswith("val_") for n in history)
    wide = WIDTH * len(quantities)
    for i, (words, colour) in enumerate(keys):
        drawn.append(text(wide - RIGHT - 70 * (len(keys) - 1 - i), 16, words, "end", colour))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {HEIGHT + 4}" width="{wide}" font-size="12"'
        f' font-family="sans-serif" fill="none" role="img" aria-label="{title}: learning curves">',
        *drawn,
        "</svg>\n",
    ])  # fmt: skip


def main(folder: Path = HERE) -> None:
    for path in sorted(folder.glob("*.json")):
        history = json.loads(path.read_text(encoding="utf-8"))
        path.with_suffix(".svg").write_text(picture(history, path.stem.replace("_", " ")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
