"""The catalogue as a page of Markdown, its formulas as TeX."""

import re

from losses.catalogue import KINDS, Entry

_INTRODUCTION = """# Losses

Made by `python -m losses page` from the files in `conf/loss`, `conf/box_loss` and
`conf/class_loss` and from the docstrings of what they name; do not edit.

Train with one by `loss=NAME`, `box_loss=NAME`, `class_loss=NAME`; set a parameter by
`loss.NAME=VALUE`. A value `${protocol.KEY}` is a key of the protocol, described in
[protocols.md](protocols.md). `python -m losses plot NAME` draws one.

Symbols: $z$ logits, $p = \\operatorname{sigmoid}(z)$, $t$ target; over the region
$I = \\sum pt$, $P = \\sum p$, $T = \\sum t$, $FP = P - I$, $FN = T - I$.
"""

_TEX = {
    "Σ": r"\sum ", "·": r"\cdot ", "−": "-", "²": "^2", "√": r"\sqrt", "Δ": r"\Delta ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ",
    "λ": r"\lambda ", "σ": r"\sigma ", "φ": r"\phi ", "π": r"\pi ", "≤": r"\leq ",
    "≥": r"\geq ", "∝": r"\propto ", "½": r"\frac{1}{2}", "%": r"\%", "|": r"\vert ",
}  # fmt: skip
# Words stand upright: whatever has two letters in a row, but for these.
_SYMBOLS = {"pt", "FP", "FN"}
_WORD = re.compile(r"[A-Za-z]{2,}(?:_[A-Za-z]+)*\d?|(?<![A-Za-z])[wd]\d")


def catalogue_page(entries: list[Entry]) -> str:
    """The page of these entries."""
    parts = [_INTRODUCTION]
    for kind, title in KINDS.items():
        parts.append(f"## {title}\n")
        parts += [_section(entry) for entry in entries if entry.kind == kind]
    return "\n".join(parts)


def tex(formula: str) -> str:
    """A formula of a docstring in TeX, in what both MathJax and matplotlib read."""
    words: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        words.append(match[0])
        return f"<{len(words) - 1}>"

    # TeX drops spaces: those between words, or a word and a symbol, are kept.
    formula = re.sub(r"(?<=[\w%²|)]) (?=[A-Za-zα-ω|])", r"\\ ", formula)
    formula = _WORD.sub(set_aside, formula)
    formula = re.sub(r"\^([a-zα-ω])", r"^{\1}", formula)
    formula = re.sub(r"_([a-z0-9])", r"_{\1}", formula)
    for symbol, code in _TEX.items():
        formula = formula.replace(symbol, code)
    return re.sub(r"<(\d+)>", lambda match: _upright(words[int(match[1])]), formula)


def _upright(word: str) -> str:
    if word in _SYMBOLS:
        return word
    if re.fullmatch(r"[wd]\d", word):
        return f"{word[0]}_{word[1]}"
    return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"


def _section(entry: Entry) -> str:
    lines = [f"### `{entry.group}={entry.name}`", "", entry.summary]
    if entry.details:
        lines += ["", entry.details]
    lines += ["", f"$${tex(entry.formula)}$$"]
    if entry.parameters:
        lines += ["", "| parameter | value | range | meaning |", "|---|---|---|---|"]
        for row in entry.parameters:
            cells = (f"`{row.name}`", f"`{row.value}`", row.valid, row.meaning)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", f"Source: {entry.source}", ""]
    return "\n".join(lines)
