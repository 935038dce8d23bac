"""Sets the formulas of a page as MathML, which browsers draw by themselves, without a network.

`pymdownx.arithmatex` marks formulas in TeX; this hook of MkDocs turns them into MathML.
"""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

_MARKED = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
# A word as one text, not as letters that are read one by one.
_WORD = re.compile(r"\\(?:mathrm|operatorname)\{([^{}]*)\}")


def on_page_content(content: str, **_: object) -> str:
    """The page's HTML with its formulas set; called by MkDocs."""
    return _MARKED.sub(_set, content)


def _set(match: re.Match[str]) -> str:
    tex = _WORD.sub(_as_text, html.unescape(match["tex"]))
    return convert(tex, display="inline" if match["tag"] == "span" else "block")


def _as_text(match: re.Match[str]) -> str:
    return rf"\text{{{match[1].replace(chr(92) + '_', '_')}}}"
