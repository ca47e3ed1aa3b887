"""Lists of URLs, without a spider: a crawl in processes of its own that has no pages.

Imports nothing: a crawl needs little of what starts it.
"""
