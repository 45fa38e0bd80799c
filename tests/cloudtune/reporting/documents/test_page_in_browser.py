"""The page in a real browser: it is quiet, loads nothing, and shows hostile text as text."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cloudtune.comparison.comparison import compare
from cloudtune.reporting.documents.render import render_report
from cloudtune.results.model import StudyResult, Trial
from tests.cloudtune.comparison.factories import PARAMETERS, job, make_study, measured, trial
from tests.cloudtune.reporting.documents.browser import LONGEST
from tests.cloudtune.reporting.documents.browser import browser as run_browser

pytestmark = pytest.mark.slow

SCRIPT = "<script>window.pwned = 1</script>"
IMAGE = "<img src=x onerror='window.pwned = 2'>"
SLICE = "[data-chart^='slice']:has(text:text-is('lr'))"
"""The objective by a parameter that each trial has."""
WAITING = "[data-chart]:not([data-drawn])"


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with run_browser() as created:
        yield created


def ordinary(
    provider: str, *, run: str = "r1", count: int = 40, emulated: bool = False
) -> StudyResult:
    chance = Random(f"{provider}{run}")
    trials: list[Trial] = []
    for number in range(1, count + 1):
        kernel = chance.choice(["linear", "rbf", "poly"])
        values: dict[str, Any] = {"lr": 10 ** chance.uniform(-2, 2), "kernel": kernel}
        values |= {"depth": chance.randint(1, 5)} if kernel == "poly" else {}
        value = None if number % 9 == 0 else chance.random()
        begin = 100.0 + number
        steps = measured(*((n, (value or 0.1) * n / 3, begin + n / 4) for n in (1, 2, 3)))
        more: dict[str, Any] = {"parameters": values, "measurements": steps, "began": begin}
        if value is None:
            more |= {"reason": "exit code 1", "log_tail": "ValueError: nan"}
        trials.append(trial(number, value, cost=0.1, **more))
    return job(provider, trials, run=run, emulated=emulated, seed=len(run))


@contextmanager
def opened(
    browser: Browser,
    folder: Path,
    jobs: Sequence[StudyResult],
    *,
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = True,
    printing: bool = True,
    **options: Any,
) -> Generator[Page]:
    """Open the report of jobs with all charts drawn; at the end it must have been quiet."""
    path = folder / "report.html"
    path.write_text(render_report(compare(jobs, {}), "html"), "utf-8")
    context = browser.new_context(color_scheme=scheme, java_script_enabled=scripts, **options)
    context.set_default_timeout(LONGEST)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    if scripts and printing:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        expect(page.locator(WAITING)).to_have_count(0)
    yield page
    assert said == []
    assert asked == [path.as_uri()]
    context.close()


def points(page: Page, chart: str = SLICE) -> Locator:
    return page.locator(f"{chart} g.mark-symbol.role-mark path")


def test_every_chart_is_drawn_quietly_and_nothing_is_loaded(
    browser: Browser, tmp_path: Path
) -> None:
    jobs = [ordinary("local"), ordinary("vertex"), ordinary("sagemaker", emulated=True)]
    with opened(browser, tmp_path, jobs) as page:
        charts = page.locator("[data-chart]").all()
        ids = {place.get_attribute("data-chart") for place in charts}
        assert ids >= {"progress-trials-0", "progress-time-0", "progress-cost-0", "learning-chart"}
        assert ids >= {"parallel-chart", "slice-0", "slice-2"}
        for place in charts:
            expect(place.locator("svg path").first).to_be_attached()
        expect(page.locator("main")).to_contain_text("not settled", ignore_case=True)


def test_a_front_is_drawn(browser: Browser, tmp_path: Path) -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    values = [(0.9, 9.0), (0.5, 5.0), (0.4, 7.0)]
    trials = [trial(number, each) for number, each in enumerate(values, start=1)]
    with opened(browser, tmp_path, [job("p", trials, study=make_study(objective=both))]) as page:
        expect(points(page, "[data-chart='front-chart']")).to_have_count(3)
        page.locator("#front summary").click()
        expect(page.locator("#front tbody tr")).to_have_count(2)


def hostile() -> StudyResult:
    named: dict[str, Any] = {
        f"{SCRIPT}{IMAGE}": PARAMETERS["lr"],
        "image": {
            "type": "categorical",
            "values": [IMAGE, "</script>" + SCRIPT, "\u202etxt.exe", "x" * 5000],
        },
        "title": {
            "type": "categorical",
            "values": ["{{ 7 * 7 }}", "datum.x", "\u05e9\u05dc\u05d5\u05dd"],
        },
        "a.b[0]['c']": {"type": "int", "min": 1, "max": 9},
    }
    said = make_study(
        name=f"{SCRIPT} & co",
        description=IMAGE,
        parameters=named,
        trial={"arguments": "json"},
        objective={"metric": f"{IMAGE}", "goal": "maximize"},
    )
    chance = Random(3)
    trials: list[Trial] = []
    for number in range(1, 31):
        values: dict[str, Any] = {
            f"{SCRIPT}{IMAGE}": 10 ** chance.uniform(-2, 2),
            "image": chance.choice(named["image"]["values"]),
            "title": chance.choice(named["title"]["values"]),
            "a.b[0]['c']": chance.randint(1, 9),
        }
        trials.append(trial(number, chance.random(), parameters=values))
    tail = f"{SCRIPT}\n\x1b[31m{IMAGE}\u202e\n</code></pre>" + "y" * 3_000
    trials.append(trial(31, None, reason=f"{IMAGE}" + "z" * 9_000, log_tail=tail))
    return job(f"p{IMAGE}", trials, run=SCRIPT, study=said)


def test_hostile_text_is_text(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [hostile()]) as page:
        assert page.evaluate("window.pwned") is None
        assert page.locator("img, iframe, object, embed").count() == 0
        assert page.locator("script").count() == 4
        expect(page.locator("h1")).to_have_text(f"{SCRIPT} & co")
        expect(page.locator("header .lead")).to_have_text(IMAGE)
        expect(page.locator("[data-chart='slice-0'] svg")).to_be_visible()
        words = page.locator("svg text").all_text_contents()
        assert any(word.startswith("<script>") for word in words)
        assert "\u202e" not in page.content()
        page.locator("#failures summary").first.click()
        expect(page.locator("#failures pre")).to_contain_text(IMAGE)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(wide), "huge text makes the page wider than the window"
        page.locator("[data-chart='slice-0'] g.mark-symbol path").first.hover(force=True)
        expect(page.locator("#tip")).to_be_visible()
        expect(page.locator("#tip dd").first).to_have_text(f"p{IMAGE}")
        assert page.evaluate("window.pwned") is None


def test_names_that_mean_something_to_a_browser_are_only_names(
    browser: Browser, tmp_path: Path
) -> None:
    kept = ["toString", "__proto__", "constructor", "datum.x"]
    kinds: dict[str, Any] = {
        "constructor": {"type": "categorical", "values": kept},
        "__proto__": {"type": "int", "min": 1, "max": 5},
        "run": {"type": "float", "min": 0, "max": 1},
        "toString": {"type": "bool"},
    }
    study = make_study(
        parameters=kinds,
        trial={"arguments": "json"},
        objective={"metric": "on", "goal": "maximize"},
    )
    chance = Random(1)
    trials = [
        trial(
            number,
            chance.random(),
            parameters={
                "constructor": kept[number % 4],
                "__proto__": 1 + number % 5,
                "run": chance.random(),
                "toString": True,
            },
        )
        for number in range(1, 31)
    ]
    with opened(browser, tmp_path, [job("p", trials, study=study, run="r7")]) as page:
        for name in kinds:
            chart = page.locator(f"[data-chart^='slice'][aria-label='on by {name}']")
            chart.locator("g.mark-symbol path").first.hover(force=True)
            expect(page.locator("#tip dt").nth(3)).to_contain_text(name)  # not the last chart's
            said = page.locator("#tip dt").all_text_contents()
            words = [word.strip("\N{WORD JOINER}") for word in said]
            assert words == ["group", "run", "trial", name, "on"]
            expect(page.locator("#tip dd").nth(1)).to_have_text("r7")


def test_groups_can_be_switched_off_with_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local"), ordinary("vertex")]) as page:
        expect(points(page)).to_have_count(72)
        box = page.get_by_role("checkbox", name="vertex")
        box.focus()
        page.keyboard.press("Space")
        expect(points(page)).to_have_count(36)
        page.keyboard.press("Space")
        expect(points(page)).to_have_count(72)


def test_with_nothing_ticked_nothing_is_drawn_and_the_page_says_so(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(browser, tmp_path, [ordinary("local")]) as page:
        box = page.get_by_role("checkbox", name="local")
        box.uncheck()
        expect(page.get_by_role("status").filter(has_text="No group is selected")).to_be_visible()
        expect(page.locator(SLICE)).not_to_be_visible()
        page.evaluate("dispatchEvent(new Event('resize'))")
        box.check()
        expect(page.locator(SLICE)).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="No group")).to_have_count(0)


def test_charts_are_drawn_before_they_are_scrolled_to(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local")], printing=False) as page:
        expect(page.locator(WAITING)).to_have_count(0)
        assert page.evaluate("scrollY") == 0


def test_a_bad_trial_beyond_the_axis_is_named(browser: Browser, tmp_path: Path) -> None:
    values = [-1000.0, *(0.5 + n / 100 for n in range(30))]
    with opened(browser, tmp_path, [job("p", values)]) as page:
        said = "is below the axis, down to -1000"
        expect(page.locator("#space")).to_contain_text(f"1 of 31 trials {said}")
        expect(page.locator("#progress-trials-0")).to_contain_text(said)
        expect(page.locator("#space")).to_contain_text("they are drawn at its end")
        expect(points(page)).to_have_count(31)
        labels = page.locator(f"{SLICE} .role-axis-label text").all_text_contents()
        assert not any("1,000" in label for label in labels)


def test_parallel_coordinates_show_the_best_trials(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local", count=80)]) as page:
        lines = page.locator("[data-chart='parallel-chart'] g.mark-line.role-mark path")
        expect(lines).to_have_count(18)
        expect(page.locator("#parallel-chart")).to_contain_text("18 in all")


def test_dark_and_light_change_while_it_is_open(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local")], scheme="dark") as page:
        word = page.locator("[data-chart='slice-0'] svg text[fill]").first
        expect(page.locator("body")).to_have_css("background-color", "rgb(20, 23, 28)")
        expect(word).to_have_css("fill", "rgb(163, 171, 182)")
        page.emulate_media(color_scheme="light")
        expect(page.locator("body")).to_have_css("background-color", "rgb(251, 250, 248)")
        expect(word).to_have_css("fill", "rgb(92, 100, 112)")
        page.emulate_media(color_scheme="dark", media="print")
        expect(word).to_have_css("fill", "rgb(92, 100, 112)")


def test_the_page_is_accessible(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local"), ordinary("vertex")]) as page:
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the verdict")
        for landmark in ("banner", "navigation", "main", "contentinfo"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        assert page.locator("html[lang=en]").count() == 1
        assert page.locator("table:not(:has(caption))").count() == 0
        for figure in page.locator(
            "figure:not(.slices figure):not(#progress-time-0):not(#progress-cost-0)"
        ).all():
            assert figure.locator("table").count() == 1, figure.get_attribute("id")
        levels = page.eval_on_selector_all("h1, h2, h3, h4", "some => some.map(e => +e.tagName[1])")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        page.locator("#progress-trials-0 summary").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#progress-trials-0 table")).to_be_visible()


def test_without_scripts_the_numbers_are_there(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local")], scripts=False) as page:
        expect(page.locator("main")).to_contain_text(re.compile(r"Best\s+accuracy 0\."))
        expect(page.locator("noscript").first).to_be_attached()


PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
}


def long_names() -> StudyResult:
    names = [f"a_parameter_with_a_long_name_{n}" for n in range(12)]
    study = make_study(
        parameters={name: {"type": "float", "min": 0, "max": 1e6} for name in names},
        objective={"metric": "validation_accuracy_of_the_ensemble", "goal": "maximize"},
    )
    chance = Random(5)
    trials = [
        trial(n, chance.random(), parameters={name: chance.random() * 1e6 for name in names})
        for n in range(1, 30)
    ]
    trials.append(trial(30, None, reason="RuntimeError: " + "x" * 300, log_tail="y" * 300))
    return job("local", trials, study=study)


@pytest.mark.parametrize(
    "jobs",
    [
        [ordinary("local")],
        [ordinary(name, run=run) for name in ("local", "vertex", "watson") for run in "ab"],
        [long_names()],
    ],
    ids=["one run", "six runs", "long names"],
)
def test_on_a_phone_nothing_is_cut(
    browser: Browser, tmp_path: Path, jobs: list[StudyResult]
) -> None:
    with opened(browser, tmp_path, jobs, **PHONE) as page:
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        cut = page.evaluate(
            """[document.documentElement, ...document.querySelectorAll('.scroll, .card, pre')]
            .filter((part) => part.clientWidth && part.scrollWidth > part.clientWidth)
            .map((part) => part.ariaLabel ?? part.tagName)"""
        )
        assert cut == []
        beyond = page.evaluate(
            """[...document.querySelectorAll('main *')]
            .filter((part) => getComputedStyle(part).position !== 'absolute')
            .filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
            .map((part) => part.textContent)"""
        )
        assert beyond == []
        short = page.evaluate(
            """[...document.querySelectorAll(':not(details) > .scroll')]
            .filter((part) => part.scrollHeight > part.clientHeight)
            .map((part) => part.ariaLabel)"""
        )
        assert short == []
        if len(jobs) != 1:
            return
        label = page.locator("#top td").first.evaluate(
            "cell => getComputedStyle(cell, '::before').content"
        )
        assert label == f'"{jobs[0].study.objectives[0].metric}"'
        lines = page.locator("#top td").evaluate_all(
            "cells => cells.map((cell) => getComputedStyle(cell).borderTopWidth)"
        )
        assert set(lines) == {"0px"}


def test_the_security_policy_blocks_other_scripts(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    jobs = [ordinary("local")]
    created = render_report(compare(jobs, {}), "html")
    policy = re.search('Content-Security-Policy" content="([^"]+)"', created)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src &#39;none&#39;")
    path.write_text(
        created.replace("</main>", f"{SCRIPT}<img src='https://example.com/x.png'></main>"), "utf-8"
    )
    page = browser.new_page()
    page.set_default_timeout(LONGEST)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("window.pwned") is None
    assert len([words for words in said if "Content Security Policy" in words]) == 2
    page.close()


def test_many_trials_are_thinned_for_drawing_only(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, [ordinary("local", count=2_000)]) as page:
        expect(page.locator("#charts")).to_contain_text("1,500 of 1,778 trials are drawn")
        expect(page.locator("#runs")).to_contain_text("2,000 trials: 1778 completed, 222 failed")
        expect(points(page)).to_have_count(1_500)
