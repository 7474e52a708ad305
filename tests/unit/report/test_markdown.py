"""Labels come from users: what they wrote is what is shown, and nothing else happens."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cbir_bench.report.markdown import code, escape, slug, table

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = (
    "<script>alert(1)</script>",
    "a|b",
    "*bold* _soft_ __strong__ ~~gone~~",
    "map_at_r",
    "![x](javascript:alert(1)) [y](z)",
    "`code` ``more``",
    r"back\slash \| \<",
    "&lt;b&gt; &amp;",
    "# heading #",
    "line\nbreak\ttab\r\x00end",
    "$x^2$",
    "<https://example.org>",
    "faiss(factory=IVF128,PQ32x4fs,Refine(SQfp16), nprobe=4)",
)


def shown(markdown: str) -> tuple[str, list[str]]:
    """Return the text that a reader sees in the first cell of a table, and the tags around it."""
    rendered = RENDERER.render(table(["name", "n"], [(markdown, "1")]))
    cell = re.search(r"<tbody>.*?<td>(.*?)</td>", rendered, re.DOTALL)[1]
    return html.unescape(re.sub(r"<[^>]*>", "", cell)), re.findall(r"<(\w+)", cell)


@pytest.mark.parametrize("label", NASTY)
def test_a_label_is_shown_as_it_is(label: str) -> None:
    """No tag, no emphasis, no second cell: text is text."""
    text, tags = shown(escape(label))

    assert text == " ".join(re.sub(r"[\x00-\x1f]", " ", label).split())
    assert tags == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_no_text_becomes_a_tag(label: str) -> None:
    """Whatever a folder of images is called."""
    _, tags = shown(escape(label))

    assert tags == []


@pytest.mark.parametrize("text", ["0a1b", "a`b", "``", "a|b", "x\ny"])
def test_code_is_shown_as_it_is(text: str) -> None:
    """Ids and names of metrics stand in typewriter type."""
    actual, tags = shown(code(text))

    assert actual.strip() == text.replace("\n", " ")
    assert tags == ["code"]


def test_a_table_reads_well_as_plain_text() -> None:
    """Many people will look at it in a terminal."""
    actual = table(["name", "n"], [("long name", "1"), ("x", "1,000")], right=[1])

    assert actual == (
        "| name      |     n |\n| --------- | ----: |\n| long name |     1 |\n| x         | 1,000 |"
    )


def test_file_names_are_plain_and_never_taken_twice() -> None:
    """Two data sets may differ only in characters that a file name drops."""
    taken: set[str] = set()

    actual = [slug(text, taken) for text in ("My Set/é", "my set", "../..", "", "MY-SET")]

    assert actual == ["my-set", "my-set-2", "unnamed", "unnamed-2", "my-set-3"]
