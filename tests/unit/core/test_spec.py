"""Components in one line of text: as short as a shell likes it, and never guessed."""

from __future__ import annotations

import pytest

from cbir_bench.core.errors import SettingError
from cbir_bench.core.spec import parse_spec


@pytest.mark.parametrize(
    ("text", "use", "options"),
    [
        ("pixels", "pixels", {}),
        (" pixels ( ) ", "pixels", {}),
        ("pixels(size=16)", "pixels", {"size": 16}),
        (
            "timm(backbone=resnet50.a1_in1k, gem_p=2.5, flip=true)",
            "timm",
            {"backbone": "resnet50.a1_in1k", "gem_p": 2.5, "flip": True},
        ),
        ('timm(scales="1, 0.5", seed=-1)', "timm", {"scales": "1, 0.5", "seed": -1}),
        ('m(a=\'it is "so"\', b="it\'s \\"so\\"")', "m", {"a": 'it is "so"', "b": 'it\'s "so"'}),
        ("alpha-qe(n=3,alpha=1e-3)", "alpha-qe", {"n": 3, "alpha": 0.001}),
        ("timm(weights=/data (old)/w.pth)", "timm", {"weights": "/data (old)/w.pth"}),
        ("timm(weights=Größe.pth)", "timm", {"weights": "Größe.pth"}),
    ],
)
def test_values_are_what_a_suite_file_would_have(text, use, options):
    """Numbers and truths as such, everything else as text."""
    actual = parse_spec(text)

    assert (actual.use, actual.options) == (use, options)
    assert [type(value) for value in actual.options.values()] == list(map(type, options.values()))


def test_what_was_written_is_kept_without_quotes():
    """An option that is a text may look like a number."""
    actual = parse_spec("timm(scales=1, backbone=\"7\", pooling='gem', seed=0x1)")

    assert actual.written == {"scales": "1", "backbone": "7", "pooling": "gem", "seed": "0x1"}


@pytest.mark.parametrize(
    "text",
    ["", "timm(", "timm(size)", "timm(size=)", "timm(=1)", "timm(a=1 b=2", "a b(c=1)", "(a=1)"],
)
def test_a_line_of_another_form_is_refused_with_an_example(text):
    """Nothing is guessed."""
    with pytest.raises(SettingError, match=r"names no component.*timm\(backbone="):
        parse_spec(text)


def test_an_option_given_twice_is_refused():
    """Which of the two was meant?"""
    with pytest.raises(SettingError, match="gives size twice"):
        parse_spec("pixels(size=1, size=2)")
