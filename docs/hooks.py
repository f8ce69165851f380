"""What the site's generator misreads, put right."""

import re

_SHAPE = re.compile(r"<code>\((array_like|ndarray), shape\(([^<]*)\)\)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Write ``array_like, shape (n,)`` as the docstrings do: it is read as code, a pair and a call."""

    def written(found: re.Match[str]) -> str:
        return f"<code>{found[1]}, shape ({found[2] if ',' in found[2] else found[2] + ','})</code>"

    return _SHAPE.sub(written, html)
