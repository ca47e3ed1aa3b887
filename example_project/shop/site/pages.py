"""Write the HTML of the site. Pure: tables in, pages out.

Links are relative, as in most shops, so the pages hold at any port. Products
carry schema.org microdata; pages of a series name the next one with `rel=next`.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from shop.site.catalogue import EXHIBITS, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shop.site.catalogue import Exhibit, Product

PRODUCTS_PER_PAGE = 8
EXHIBITS_PER_PAGE = 12

WELCOME = "<p>This is what the example crawls. Some images are broken, and meant to be.</p>"
ROBOTS_TXT = "User-agent: *\nAllow: /\n"

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem;
  color: #222; background: #fafaf7 }
nav a { margin-right: 1rem }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem }
article, figure { margin: 0; padding: .75rem; background: #fff; border: 1px solid #e4e2da;
  border-radius: .5rem }
article img { height: 9rem; max-width: 48%; object-fit: contain }
figure img { width: 100%; height: 15rem; object-fit: contain }
h2 { font-size: 1.1rem; margin: .5rem 0 0 }
""".strip()


def site_pages() -> dict[str, str]:
    """Return the text of every page and of `robots.txt`, by path in the site."""
    return {
        "robots.txt": ROBOTS_TXT,
        "index.html": _page("A shop and a gallery", WELCOME, up=""),
        **_series("shop", "Shop", [_product(entry) for entry in PRODUCTS], PRODUCTS_PER_PAGE),
        **_series("gallery", "Gallery", [_exhibit(entry) for entry in EXHIBITS], EXHIBITS_PER_PAGE),
    }


def _series(folder: str, title: str, entries: Sequence[str], per_page: int) -> dict[str, str]:
    starts = range(0, len(entries), per_page)
    pages = {}
    for number, start in enumerate(starts, 1):
        last = number == len(starts)
        body = "\n".join(["<main>", *entries[start : start + per_page], "</main>"])
        body += _pagination(number, last=last)
        heading = f"{title}, page {number} of {len(starts)}"
        pages[f"{folder}/{_file_name(number)}"] = _page(heading, body, up="../")
    return pages


def _file_name(number: int) -> str:
    return "index.html" if number == 1 else f"page-{number}.html"


def _pagination(number: int, *, last: bool) -> str:
    links = []
    if number > 1:
        links.append(f'<a rel="prev" href="{_file_name(number - 1)}">Previous page</a>')
    if not last:
        links.append(f'<a rel="next" href="{_file_name(number + 1)}">Next page</a>')
    return f"\n<nav>{' '.join(links)}</nav>"


def _product(product: Product) -> str:
    name = escape(product.name)
    images = "\n".join(
        f'  <img itemprop="image" src="../images/{escape(picture)}" alt="{name}" loading="lazy">'
        for picture in product.pictures
    )
    return f"""<article itemscope itemtype="https://schema.org/Product">
{images}
  <h2 itemprop="name">{name}</h2>
  <p itemprop="offers" itemscope itemtype="https://schema.org/Offer">
    <span itemprop="price" content="{product.price}">{product.price}</span>
    <span itemprop="priceCurrency" content="EUR">euros</span>
  </p>
</article>"""


def _exhibit(exhibit: Exhibit) -> str:
    title = escape(exhibit.title)
    image = f'<img src="../images/{escape(exhibit.picture)}" alt="{title}" loading="lazy">'
    if exhibit.large:
        image = f'<a href="../images/{escape(exhibit.large)}">{image}</a>'
    return f"<figure>{image}<figcaption>{title}</figcaption></figure>"


def _page(title: str, body: str, *, up: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
{STYLE}
</style>
</head>
<body>
<nav><a href="{up}shop/index.html">Shop</a> <a href="{up}gallery/index.html">Gallery</a></nav>
<h1>{title}</h1>
{body}
</body>
</html>
"""
