"""A Scrapy project that stores the images of a small web shop and a gallery."""
