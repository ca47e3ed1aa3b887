"""Images that are there already, in folders or in a store, through the engine of the crawls.

No Scrapy, no event loop of the caller's; worker processes as in a crawl.
"""

from scrapy_imgpipe.local.inputs import Input, inputs_of
from scrapy_imgpipe.local.naming import default_path
from scrapy_imgpipe.local.processing import process_images
from scrapy_imgpipe.local.run import Job, rows_of

__all__ = ["Input", "Job", "default_path", "inputs_of", "process_images", "rows_of"]
