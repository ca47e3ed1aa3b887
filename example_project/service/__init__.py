"""An image service over the stores of scrapy_imgpipe: no Scrapy, no crawl."""
