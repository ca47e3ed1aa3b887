"""What the site shows: the pictures, the products and the gallery. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One image file of the site."""

    name: str
    """File name under `/images/`."""
    photo: str
    """Its source, relative to `photos/`."""
    recipe: str = "as_it_is"
    """Name of the function in `recipes` that makes it."""
    long_side: int = 0
    """Pixels; 0 where the recipe does not scale."""


@dataclass(frozen=True)
class Product:
    """One product of the shop."""

    name: str
    price: str
    """In euros, two decimals."""
    pictures: tuple[str, ...]
    """Names of pictures, or of files that do not exist."""


@dataclass(frozen=True)
class Exhibit:
    """One picture of the gallery."""

    title: str
    picture: str
    large: str = ""
    """Name of a larger file that the picture links to, if there is one."""


CLOTHES = (
    "blue-jeans",
    "brown-boots",
    "burgundy-shirt",
    "cable-jumper",
    "camel-jumper",
    "dark-jeans",
    "denim-shirt",
    "dotted-dress",
    "gingham-shorts",
    "green-trousers",
    "grey-blazer",
    "grey-polo",
    "knitted-hat",
    "linen-shorts",
    "olive-jumper",
    "padded-jacket",
    "patterned-vest",
    "plaid-shirt",
    "purple-polo",
    "sandals",
    "striped-jumper",
    "summer-dress",
    "tartan-cap",
    "wedge-boots",
    "white-shirt",
    "zigzag-jumper",
)
SCENES = ("astronaut", "chelsea", "coffee", "hubble-deep-field", "retina", "rocket")

SHARED = "knit-close-up.jpg"
"""On the page of every knitted product, as shops do; to be downloaded once."""
MISSING = "sold-out.jpg"
"""Linked, and not there: the server answers 404."""

PICTURES = (
    *(Picture(f"{name}.jpg", f"clothing/{name}.jpg") for name in CLOTHES),
    *(Picture(f"{name}.jpg", f"scikit-image/{name}.jpg") for name in SCENES),
    Picture(SHARED, "clothing/cable-jumper.jpg", "detail", 900),
    Picture("purple-polo-large.jpg", "clothing/purple-polo.jpg", "progressive", 1600),
    Picture("padded-jacket-large.jpg", "clothing/padded-jacket.jpg", "baseline", 2000),
    Picture("summer-dress-large.jpg", "clothing/summer-dress.jpg", "progressive", 2400),
    Picture("linen-shorts-detail.jpg", "clothing/linen-shorts.jpg", "detail", 800),
    Picture("brown-boots-detail.jpg", "clothing/brown-boots.jpg", "detail", 1000),
    Picture("denim-shirt-phone.jpg", "clothing/denim-shirt.jpg", "turned", 1200),
    Picture("grey-blazer-press.jpg", "clothing/grey-blazer.jpg", "grey", 1000),
    Picture("burgundy-shirt-print.jpg", "clothing/burgundy-shirt.jpg", "cmyk", 1000),
    Picture("sandals-cut-out.png", "clothing/sandals.jpg", "cut_out", 900),
    Picture("gingham-shorts-64.png", "clothing/gingham-shorts.jpg", "palette", 700),
    Picture("white-shirt-scan.png", "clothing/white-shirt.jpg", "grey16", 800),
    Picture("wedge-boots.webp", "clothing/wedge-boots.jpg", "webp", 1200),
    Picture("green-trousers.avif", "clothing/green-trousers.jpg", "avif", 1000),
    Picture("tartan-cap.gif", "clothing/tartan-cap.jpg", "gif", 600),
    Picture("astronaut-large.jpg", "scikit-image/astronaut.jpg", "progressive", 2000),
    Picture("hubble-deep-field-large.jpg", "scikit-image/hubble-deep-field.jpg", "baseline", 3000),
    Picture("rocket-large.jpg", "scikit-image/rocket.jpg", "progressive", 3000),
    Picture("chelsea.webp", "scikit-image/chelsea.jpg", "webp", 1600),
    Picture("coffee.avif", "scikit-image/coffee.jpg", "avif", 1200),
    Picture("coffee-turned.jpg", "scikit-image/coffee.jpg", "turned", 1500),
    Picture("retina-cut-out.png", "scikit-image/retina.jpg", "cut_out", 1000),
    # No crawl can use these: too small for the project's settings, broken, not an image.
    Picture("dotted-dress-swatch.jpg", "clothing/dotted-dress.jpg", "baseline", 60),
    Picture("dotted-dress-back.jpg", "clothing/dotted-dress.jpg", "truncated", 1000),
    Picture("gift-card.jpg", "scikit-image/coffee.jpg", "web_page"),
)

PRODUCTS = (
    Product("Purple polo shirt", "24.90", ("purple-polo.jpg", "purple-polo-large.jpg")),
    Product("Linen shorts", "19.50", ("linen-shorts.jpg", "linen-shorts-detail.jpg")),
    Product("Padded jacket", "89.00", ("padded-jacket.jpg", "padded-jacket-large.jpg")),
    Product("Leather sandals", "49.00", ("sandals.jpg", "sandals-cut-out.png")),
    Product("Denim shirt", "39.90", ("denim-shirt.jpg", "denim-shirt-phone.jpg")),
    Product("Grey blazer", "75.00", ("grey-blazer.jpg", "grey-blazer-press.jpg")),
    Product("Wedge boots", "99.00", ("wedge-boots.jpg", "wedge-boots.webp")),
    Product("Green trousers", "44.00", ("green-trousers.jpg", "green-trousers.avif")),
    Product("Tartan cap", "15.00", ("tartan-cap.jpg", "tartan-cap.gif")),
    Product("Gingham shorts", "22.00", ("gingham-shorts.jpg", "gingham-shorts-64.png")),
    Product("White shirt", "34.00", ("white-shirt.jpg", "white-shirt-scan.png")),
    Product("Burgundy shirt", "34.00", ("burgundy-shirt.jpg", "burgundy-shirt-print.jpg")),
    Product("Summer dress", "59.00", ("summer-dress.jpg", "summer-dress-large.jpg")),
    Product("Brown boots", "110.00", ("brown-boots.jpg", "brown-boots-detail.jpg")),
    Product("Cable jumper", "64.00", ("cable-jumper.jpg", SHARED)),
    Product("Striped jumper", "54.00", ("striped-jumper.jpg", SHARED)),
    Product("Olive jumper", "54.00", ("olive-jumper.jpg", SHARED)),
    Product("Patterned vest", "42.00", ("patterned-vest.jpg", SHARED)),
    Product("Camel jumper", "57.00", ("camel-jumper.jpg", SHARED, MISSING)),
    Product(
        "Dotted dress",
        "48.00",
        ("dotted-dress.jpg", "dotted-dress-swatch.jpg", "dotted-dress-back.jpg"),
    ),
    Product("Gift card", "25.00", ("gift-card.jpg", MISSING)),
)

EXHIBITS = (
    Exhibit("An astronaut", "astronaut.jpg", "astronaut-large.jpg"),
    Exhibit("The Hubble deep field", "hubble-deep-field.jpg", "hubble-deep-field-large.jpg"),
    Exhibit("A rocket at night", "rocket.jpg", "rocket-large.jpg"),
    Exhibit("Chelsea the cat", "chelsea.jpg", "chelsea.webp"),
    Exhibit("A cup of coffee", "coffee.jpg", "coffee.avif"),
    Exhibit("Coffee, with the camera turned", "coffee-turned.jpg"),
    Exhibit("A retina", "retina.jpg", "retina-cut-out.png"),
    *(Exhibit(name.replace("-", " ").capitalize(), f"{name}.jpg") for name in CLOTHES),
    Exhibit("A swatch, too small", "dotted-dress-swatch.jpg"),
    Exhibit("Broken off on its way", "dotted-dress-back.jpg"),
    Exhibit("Sold out", MISSING),
)
