"""What servers send in place of an image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapy_imgpipe.guards import text_kind


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("HTML", b"<!DOCTYPE html><title>Not found</title>"),
        ("HTML", b"\xef\xbb\xbf\r\n <!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>"),
        ("HTML", b"<html lang=en>"),
        ("HTML", b"<!-- cached --><!-- twice --> <head>"),
        ("HTML", b"<?xml version='1.0'?><!DOCTYPE html PUBLIC 'x'><html>"),
        ("HTML", b"<script>location='/'</script>"),
        ("HTML", "\ufeff<html>".encode("utf-16-le")),
        ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("SVG", b"<?xml version='1.0'?>\n<!-- Inkscape -->\n<svg:svg>"),
        ("SVG", b"<!DOCTYPE svg PUBLIC 'x' 'y'>\n<svg>"),
        ("XML", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"),
        ("XML", b"<rss version='2.0'>"),
        ("JSON", b'{"error": "gone"}'),
        ("JSON", b"[]"),
        ("JSON", b'  [\n {"a": 1}]'),
        ("", b""),
        ("", b"<"),
        ("", b"< 5"),
        ("", b"[general]"),
        ("", b"\xff\xd8\xff\xe0"),
        ("", b"\x89PNG\r\n\x1a\n"),
        ("", b"P6 1 1 255 "),
        ("", b"plain text"),
    ],
)
def test_kinds(kind, data):
    assert text_kind(data) == kind


@given(st.binary(max_size=200) | st.text(alphabet='<!-?>xml svgh{["', max_size=300).map(str.encode))
def test_any_bytes(data):
    assert text_kind(data) in {"HTML", "SVG", "XML", "JSON", ""}
