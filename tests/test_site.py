"""The site of the documentation is complete and whole by itself, on a phone and in the dark."""

from __future__ import annotations

import fcntl
import functools
import inspect
import os
import re
import threading
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from urllib.parse import unquote, urljoin, urlparse

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as OpenPage
from playwright.sync_api import TimeoutError as LateError

from cloudtune.cli.skill import skill_text
from scripts.commands_page import PAGE, commands_page
from tests.cloudtune.reporting.documents.browser import LONGEST, browser, executable
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/tutorials/*.md")]
COMMON = {"SECURITY.md", "CHANGELOG.md"}
CALLBACKS = [
    f"{name}Callback" for name in ("Keras", "LightGBM", "Lightning", "Transformers", "XGBoost")
]


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in {"href", "src"} and tag != "link":
                self.links.add(value)
            elif value and name == "id":
                self.ids.add(value)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


def test_the_page_of_the_commands_is_made_from_the_command_line() -> None:
    assert PAGE.read_text("utf-8") == commands_page(), "run python -m scripts.commands_page"


def test_the_menu_has_each_page_once() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    pages = list(_leaves(config["project"]["nav"]))
    assert len(pages) == len(set(pages))
    written = {path.relative_to(ROOT).as_posix() for path in PAGES}
    assert {each for each in pages if each.startswith("docs/")} == {*written, "docs/python.md"}


def test_each_page_opens_with_a_command() -> None:
    """Except for what every repository has, and how a page is made that only the site has."""
    menu = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    pages = [ROOT / each for each in _leaves(menu) if each not in COMMON]
    opening = re.compile(r"# [^\n]+\n\n```(?:sh|python)\n")
    texts = {each: each.read_text("utf-8") for each in pages if each.name != "python.md"}
    assert [each.name for each, text in texts.items() if not opening.match(text)] == []


def _leaves(menu: list[dict[str, Any]]) -> Iterator[str]:
    for entry in menu:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else _leaves(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the site once for all workers, which fails for a link that leads nowhere."""
    executable()
    from scripts.site import build

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder / "site" if (folder / "site" / "index.html").exists() else build(folder)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.mark.slow
def test_each_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    dead: list[str] = []
    for path, page in pages.items():
        here = path.relative_to(site).as_posix()
        for link in page.links:
            url = urlparse(urljoin(f"http://site/{here}", link))
            if url.netloc != "site" or here == "404.html":
                continue
            target = site / unquote(url.path).lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].ids if target in pages else set[str]()
            if not target.exists() or (target in pages and url.fragment not in {"", *known}):
                dead.append(f"{here}: {link}")
    assert not dead


def _exported(package: ModuleType) -> set[str]:
    stub = Path(str(package.__file__)).with_suffix(".pyi").read_text("utf-8")
    return set(re.findall(r" as ([A-Za-z]\w*)$", stub, re.MULTILINE))


@pytest.mark.slow
def test_the_site_has_nothing_but_its_pages_and_their_files(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.is_file()]
    rubbish = [path for path in files if path.suffix in {".tgz", ".log"} or "npm" in path.parts]
    assert [path.relative_to(site) for path in rubbish] == []
    here = [str(ROOT).encode(), str(site.parent).encode()]
    assert [path for path in files if any(each in path.read_bytes() for each in here)] == []


@pytest.mark.slow
def test_each_public_name_and_command_has_an_entry(site: Path) -> None:
    import cloudtune.provider
    import cloudtune.testing
    import cloudtune.trial
    from cloudtune.cli.main_group import COMMANDS

    python = (site / "docs" / "python.html").read_text("utf-8")
    script = re.findall(r"^def ([a-z]\w+)\(", inspect.getsource(cloudtune.trial), re.MULTILINE)
    public = {
        "cloudtune": _exported(cloudtune),
        "cloudtune.trial": {*script, *CALLBACKS} - {"append_line", "load_json", "ring"},
        "cloudtune.provider": _exported(cloudtune.provider),
        "cloudtune.testing": cloudtune.testing.__all__,
    }
    names = [f"{package}.{name}" for package, found in public.items() for name in found]
    assert [name for name in names if f"<code>{name}</code>" not in python] == []
    assert "Raises" in python
    commands = Page((site / "docs" / "commands.html").read_text("utf-8")).ids
    assert {name for group in COMMANDS.values() for name in group} <= commands


@pytest.mark.slow
def test_assistants_find_each_page_and_the_skill(site: Path) -> None:
    text = (site / "llms.txt").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    pages = {each.relative_to(ROOT).as_posix() for each in PAGES}
    assert set(links) == {*pages, *COMMON, "README.md"}
    assert [each for each in links if not (site / each).is_file()] == []
    assert (site / "SKILL.md").read_text("utf-8") == skill_text()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "docs/how-it-works.html",
        "docs/json.html",
        "docs/python.html",
        "docs/sagemaker.html",
        "docs/start.html",
        "docs/study.html",
        "docs/troubleshooting.html",
        "docs/tutorials/cluster.html",
    ],
)
def test_a_page_asks_no_other_address_and_fits_a_phone(
    chromium: Browser, address: str, name: str, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, color_scheme=cast("Any", scheme)
    )
    context.set_default_timeout(LONGEST)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address + name, wait_until="networkidle")
    if "how-it-works" in name:
        page.wait_for_function("document.querySelectorAll('div.mermaid').length == 2")
    drawn = "[...document.querySelectorAll('div.mermaid')].map(each => each.offsetHeight)"
    heights = page.evaluate(drawn)
    names = "[...document.querySelectorAll('td code, th code')]"
    lines = f"{names}.filter(each => !/ /.test(each.innerText)).map(each => each.getClientRects())"
    broken = page.evaluate(f"{lines}.filter(each => each.length > 1).length")
    wide = page.evaluate("document.documentElement.scrollWidth")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert asked
    assert [url for url in asked if not re.match(f"{address}|data:|blob:", url)] == []
    assert errors == []
    assert wide <= 390
    assert [height for height in heights if height < 200] == []
    assert broken == 0
    assert (sum(map(int, re.findall(r"\d+", dark)[:3])) < 200) == (scheme == "dark")


def _opens_search(page: OpenPage) -> bool:
    """Press the key of the search; return whether its script has heard that."""
    page.keyboard.press("/")
    with suppress(LateError):
        page.wait_for_function(
            "document.activeElement.shadowRoot?.activeElement", timeout=5_000
        )  # short: it is pressed again
        return True
    return False


@pytest.mark.slow
def test_the_search_finds_a_page_without_a_server(chromium: Browser, site: Path) -> None:
    page = chromium.new_page()
    page.set_default_timeout(LONGEST)
    page.goto((site / "index.html").as_uri())
    wait_until(lambda: _opens_search(page))
    page.keyboard.type("noise floor")
    page.wait_for_selector("a[href*='confirm.html']:visible")
    page.close()
