"""Put the class under test where Scrapy's own test modules name Scrapy's.

A pytest plugin; ``run.py`` loads it with ``-p``. The rule: no line of Scrapy's tests is
edited. While one of their modules is being imported, and only then, the names it imports
from Scrapy are bound to ours, so that every use follows: globals, base classes, classes
made inside a test. Afterwards each substitution is proved; one that took no effect ends
the session, since tests that pass on Scrapy's own class say nothing about ours.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest
import scrapy
from scrapy.pipelines import files, images, media
from scrapy.utils.misc import load_object

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import ModuleType
    from typing import Self

    from scrapy.crawler import Crawler
    from scrapy.pipelines.files import FilesStoreProtocol

IMAGES = "scrapy.pipelines.images.ImagesPipeline"
MEDIA = "scrapy.pipelines.media.MediaPipeline"
FILES = "scrapy.pipelines.files.FilesPipeline"
FS_STORE = "scrapy.pipelines.files.FSFilesStore"

Proof = tuple[str, bool]
"""What has to hold, and whether it does."""


@dataclass(frozen=True)
class Substitution:
    """What one test module gets instead of Scrapy's names.

    Attributes:
        names: dotted name in Scrapy -> what the test module's import shall find there.
        finish: called with the imported module, for what no import carries; yields proofs.
    """

    names: dict[str, Any]
    finish: Callable[[ModuleType], Iterator[Proof]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the class under test."""
    parser.addoption(
        "--class-under-test",
        default="scrapy_imgpipe.ImagesPipeline",
        help="dotted name of the subclass of Scrapy's ImagesPipeline to run the tests on",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load the class under test and register the plugin that puts it in place."""
    if Path(scrapy.__file__).is_relative_to(config.rootpath):
        msg = "the Scrapy of the unpacked source would be tested, not the installed one"
        raise pytest.UsageError(msg)
    dotted = config.getoption("--class-under-test")
    try:
        pipeline = load_object(dotted)
    except (ImportError, NameError, ValueError) as error:
        msg = f"Expected a name that can be imported for --class-under-test: {error}"
        raise pytest.UsageError(msg) from error
    if not issubclass(pipeline, images.ImagesPipeline):
        msg = f"Expected a subclass of {IMAGES} for --class-under-test but received {dotted}"
        raise pytest.UsageError(msg)
    folder = tempfile.TemporaryDirectory(prefix="upstream-stores-")
    config.add_cleanup(folder.cleanup)
    plan = substitutions(pipeline, dotted, Path(folder.name))
    config.pluginmanager.register(Substitutes(plan), "upstream-substitutes")


class Substitutes:
    """Binds the names while a planned module is imported, and proves it took effect."""

    def __init__(self, plan: dict[str, Substitution]) -> None:
        """Keep *plan*, keyed by the file name of the test module."""
        self.plan = plan
        self.met: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Surround the collection, and with it the import, of a planned module."""
        substitution = self.plan.get(collector.path.name)
        if substitution is None or not isinstance(collector, pytest.Module):
            return (yield)
        name = f"tests.{collector.path.stem}"
        if name in sys.modules:
            _give_up(f"{name} was imported before its names were substituted")
        with pytest.MonkeyPatch.context() as patch:
            originals = {target: load_object(target) for target in substitution.names}
            for target, replacement in substitution.names.items():
                patch.setattr(target, replacement)
            report = yield
        self.met.add(collector.path.name)
        if report.passed:  # otherwise pytest reports the error or the skip itself
            _demand(proofs(sys.modules[name], substitution, originals))
        return report

    def pytest_collection_finish(self) -> None:
        """End the session when a planned module was never met."""
        if missed := sorted(self.plan.keys() - self.met):
            _give_up(f"nothing was substituted in {', '.join(missed)}")


def proofs(
    module: ModuleType, substitution: Substitution, originals: dict[str, Any]
) -> Iterator[Proof]:
    """Yield what must hold in *module* once it was imported."""
    for target, replacement in substitution.names.items():
        name = target.rpartition(".")[2]
        yield f"{module.__name__}.{name} is the substitute", vars(module)[name] is replacement
        left = [
            key
            for key, value in vars(module).items()
            if value is originals[target] and value is not replacement
        ]
        yield f"no other name of {module.__name__} is {target} (found {left})", not left
    yield from substitution.finish(module)


def substitutions(
    pipeline: type[images.ImagesPipeline], dotted: str, folder: Path
) -> dict[str, Substitution]:
    """Say what each of Scrapy's test modules gets.

    Args:
        pipeline: the class under test.
        dotted: its name as a user would write it into ITEM_PIPELINES.
        folder: where the stores of the media tests are made.
    """
    store = pipeline.STORE_SCHEMES[""]

    def crawl(module: ModuleType) -> Iterator[Proof]:
        scrapys = module.TestImageDownloadCrawl.pipeline_class
        module.TestImageDownloadCrawl.pipeline_class = dotted
        yield "the crawl tests named Scrapy's class before", scrapys == IMAGES
        module.MockServer.module_name = "loopback_server"
        yield "the mock server reads its module's name", _reads_module_name(module.MockServer)

    def rebased(module: ModuleType) -> Iterator[Proof]:
        ours = issubclass(module.UserDefinedPipeline, pipeline)
        yield f"UserDefinedPipeline of the media tests derives from {dotted}", ours

    return {
        "test_pipeline_images.py": Substitution({IMAGES: pipeline}, _nothing_more),
        "test_pipeline_media.py": Substitution({MEDIA: media_base(pipeline, folder)}, rebased),
        "test_pipeline_files.py": Substitution(
            {FILES: files_pipeline_over(store), FS_STORE: store}, _nothing_more
        ),
        "test_pipeline_crawl.py": Substitution({}, crawl),
    }


def media_base(pipeline: type[images.ImagesPipeline], folder: Path) -> type[media.MediaPipeline]:
    """Make of *pipeline* what the media tests may derive from instead of MediaPipeline.

    They build it without a store and expect MediaPipeline's ``item_completed``, which logs
    failures and leaves the item alone; those two things are supplied here, all the rest is
    the class under test. Each instance has a store of its own below *folder*: what one test
    stored must not answer for the next.
    """

    class MediaPipeline(pipeline):  # type: ignore[misc, valid-type]
        def __init__(self, store_uri: str | None = None, *, crawler: Crawler) -> None:
            super().__init__(store_uri or tempfile.mkdtemp(dir=folder), crawler=crawler)

        @classmethod
        def from_crawler(cls, crawler: Crawler) -> Self:
            settings = crawler.settings.copy()
            settings.frozen = False  # the crawler froze its own, and a copy stays frozen
            settings.set("IMAGES_STORE", tempfile.mkdtemp(dir=folder))
            settings.freeze()
            crawler.settings = settings
            return super().from_crawler(crawler)  # type: ignore[no-any-return]

        item_completed = media.MediaPipeline.item_completed

    return MediaPipeline


def files_pipeline_over(store: type[FilesStoreProtocol]) -> type[files.FilesPipeline]:
    """Make Scrapy's FilesPipeline keep its files in *store*, for local folders.

    A subclass of the same name, since Scrapy derives names of settings from it; and not a
    change of Scrapy's own class, which the crawl tests of the same session go on using.
    """

    class FilesPipeline(files.FilesPipeline):
        STORE_SCHEMES: ClassVar[dict[str, type[FilesStoreProtocol]]] = {
            **files.FilesPipeline.STORE_SCHEMES,
            "": store,
            "file": store,
        }

    return FilesPipeline


def _nothing_more(_module: ModuleType) -> Iterator[Proof]:
    return iter(())


def _reads_module_name(server: type[Any]) -> bool:
    return "module_name" in vars(server) and hasattr(server.__mro__[1], "module_name")


def _demand(proofs: Iterator[Proof]) -> None:
    for claim, holds in proofs:
        if not holds:
            _give_up(f"does not hold: {claim}")


def _give_up(reason: str) -> NoReturn:
    pytest.exit(f"substitution failed: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)
