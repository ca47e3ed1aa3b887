"""What the header of an image file says of it, without decoding anything.

From a whole file (`probe`) or from chunks as they come in (`Prober`). Looks at a few
hundred bytes, wherever they are; never raises, whatever the bytes. What it says is good
for planning only: a decoder may still find that the header lied.
"""

from scrapy_imgpipe.probe.facts import Probe
from scrapy_imgpipe.probe.feeding import Prober, probe

__all__ = ["Probe", "Prober", "probe"]
