"""Pages of ``seisml report`` in a real browser: what they ask for, how they are read, by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from obspy import UTCDateTime

from seisml.report.compose import ReportOptions
from seisml.report.write import write_report
from tests.report.browser import Browser, chromium
from tests.report.folders import write_run
from tests.report.test_records import START, write_record

pytestmark = pytest.mark.long
TAB, ENTER, SPACE = "\ue004", "\ue007", " "
KINDS = ("run", "sweep", "record")
LONG_NAME = "a_class_whose_name_goes_on_and_on_without_a_blank_and_is_still_one_word"
CONTRAST = """
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const ratio = (e) => {
    const style = getComputedStyle(e);
    const ink = light(rgb(e instanceof SVGElement ? style.fill : style.color));
    const ground = light(behind(e));
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  };
  return [...document.querySelectorAll('h1, h2, p, th, td, dt, dd, a, summary, label, .chart svg text')]
    .filter((e) => e.getClientRects().length && e.textContent.trim())
    .map((e) => [ratio(e), e.outerHTML.slice(0, 90)])
    .sort((x, y) => x[0] - y[0]);
"""
TOO_WIDE = """
  return [...document.querySelectorAll('main *')]
    .filter((e) => !e.closest('.scroll, pre, .chart, .hidden') && e.getClientRects().length)
    .filter((e) => e.getBoundingClientRect().right > 361)
    .map((e) => e.outerHTML.slice(0, 120));
"""
SIZES = """
  return [...document.querySelectorAll('main p, main td, main dd')]
    .filter((e) => e.innerText.trim())
    .map((e) => parseFloat(getComputedStyle(e).fontSize));
"""
CARDS = """
  return [...document.querySelectorAll('.card')]
    .filter((e) => !e.hidden)
    .map((e) => e.dataset.station + ' ' + e.dataset.time.slice(11, 19));
"""
CHOOSE = """
  const element = document.querySelector(arguments[0]);
  element.value = arguments[1];
  element.dispatchEvent(new Event('input', {bubbles: true}));
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    write_run(folder / "run", classes=("blast", LONG_NAME, "<b>quake</b>"))
    for number, (rate, seed) in enumerate([(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)]):
        write_run(folder / "sweep" / str(number), 0.7 + number / 20, seed, rate, split_hash=f"split{seed}")
    write_record(folder / "record", {"AAA": [100, 300], "BBB": [200]})
    labels = folder / "known.csv"
    labels.write_text(f"time,class\n{UTCDateTime(START + 103)},rockfall\n", encoding="utf-8")
    for kind in KINDS:
        options = ReportOptions(labels=labels if kind == "record" else None)
        write_report([folder / kind], folder / f"{kind}.html", options)
    return {kind: folder / f"{kind}.html" for kind in KINDS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_asked_for_and_the_console_is_silent(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    browser.open(pages[kind])
    drawn = browser.run("return [...document.querySelectorAll('.chart')].map(e => e.querySelectorAll('svg').length)")
    assert drawn and set(drawn) == {1}
    assert browser.messages() == [] and browser.requests() == []
    assert browser.run("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_the_policy_stops_what_would_ask_or_run(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["run"])
    script = """
      const done = arguments[0];
      const image = new Image(); image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);
      const code = document.createElement('script'); code.textContent = 'window.ran = 1'; document.body.append(code);
      fetch('http://127.0.0.1:9/').then(() => done('asked'), () => done(window.ran ? 'ran' : 'stopped'));
    """
    assert browser.driver.execute_async_script(script) == "stopped"
    said = " ".join(browser.messages())
    assert said.count("Content Security Policy") >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_it_fits_a_phone(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    browser.open(pages[kind], width=360, height=780)
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    assert browser.run(TOO_WIDE) == [] and min(browser.run(SIZES)) >= 11


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_in_both_schemes(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    for kind in KINDS:
        browser.open(pages[kind], prefers_color_scheme=scheme)
        paper = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", paper))) < 150) == (scheme == "dark")
        ratio, html = browser.run(CONTRAST)[0]
        assert ratio >= 4.5, html


def test_paper_is_white_and_shows_what_is_folded(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["sweep"])
    browser.command("Emulation.setEmulatedMedia", media="print", features=[
        {"name": "prefers-color-scheme", "value": "dark"}
    ])  # fmt: skip
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("return getComputedStyle(document.querySelector('.contents')).display") == "none"
    ink = browser.run("return getComputedStyle(document.querySelector('.chart svg text')).fill")
    assert ink == "rgb(0, 0, 0)"
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    folded = browser.run("return document.querySelectorAll('section > details:not([open])').length")
    browser.run("window.dispatchEvent(new Event('afterprint'))")
    assert folded == 0 and browser.run("return document.querySelectorAll('section > details[open]').length") == 0
    assert len(browser.pdf()) > 20_000


def test_the_keyboard_reaches_every_control(browser: Browser, pages: dict[str, Path]) -> None:
    for kind in KINDS:
        browser.open(pages[kind])
        controls = browser.run("""
          const all = [...document.querySelectorAll('a[href], button, select, input, summary, [tabindex="0"]')];
          const seen = all.filter(e => e.checkVisibility({contentVisibilityAuto: false}) && e.getClientRects().length);
          seen.forEach((e, i) => { e.dataset.control = i; });
          return seen.length""")
        order = []
        for _ in range(controls):
            browser.press(TAB)
            order.append(browser.run("return document.activeElement.dataset.control"))
            outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", browser.run("return document.activeElement.outerHTML.slice(0, 200)")
        assert order == [str(number) for number in range(controls)]
        assert order and controls > 8


def test_the_first_stop_leads_to_the_results_and_a_link_opens_what_is_folded(browser, pages: dict[str, Path]) -> None:
    browser.open(pages["sweep"])
    browser.press(TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    browser.press(ENTER)
    assert browser.run("return document.activeElement.id") == "content"
    assert not browser.run("return document.querySelector('#run-2 > details').open")
    browser.run("document.querySelector('.contents a[href=\"#run-2\"]').focus()")
    browser.press(ENTER)
    assert browser.run("return document.querySelector('#run-2 > details').open")


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_fault(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    browser.open(pages[kind])
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert browser.accessibility() == []


def test_a_screen_reader_finds_its_way(browser: Browser, pages: dict[str, Path]) -> None:
    for kind in KINDS:
        browser.open(pages[kind])
        headings = "return [...document.querySelectorAll('h1, h2, h3, h4, h5')].map(e => Number(e.tagName[1]))"
        levels = browser.run(headings)
        assert levels.count(1) == 1 and all(below <= above + 1 for above, below in pairwise(levels))
        assert browser.run("return [...document.images].every(image => image.alt.length > 10)")
        assert browser.run("return [...document.querySelectorAll('.chart')].every(e => e.ariaLabel.length > 20)")
        assert browser.run("return [...document.querySelectorAll('th')].every(e => ['col', 'row'].includes(e.scope))")
        for landmark in ("header", "nav", "main", "footer"):
            assert browser.run(f"return document.querySelectorAll('{landmark}').length") == 1
        assert browser.run("return document.documentElement.lang") == "en"


def test_detections_are_chosen_by_station_class_and_probability(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["record"])
    assert len(browser.run(CARDS)) == 3
    browser.run(CHOOSE, "[data-by=station]", "XX.AAA..HH")
    assert browser.run(CARDS) == ["XX.AAA..HH 12:01:40", "XX.AAA..HH 12:05:00"]
    said = browser.run("return document.querySelector('.count').textContent")
    assert said == "2 of 3 detections, 2 of them with a picture"
    browser.run(CHOOSE, "[data-least]", "0.895")
    assert browser.run(CARDS) == ["XX.AAA..HH 12:01:40"]
    browser.run(CHOOSE, "[data-by=verdict]", "no known event")
    assert browser.run(CARDS) == [] and not browser.run("return document.querySelector('.nothing').hidden")
    browser.run("document.querySelector('.filters button').click()")
    browser.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(browser.run(CARDS)) == 3
    browser.run(CHOOSE, "[data-order]", "probability")
    assert [name[-8:] for name in browser.run(CARDS)] == ["12:01:40", "12:03:20", "12:05:00"]


def test_the_pointer_reads_a_curve_and_the_legend_picks_one(browser: Browser, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser.open(pages["run"])
    chart = browser.driver.find_element("css selector", ".chart svg")
    ActionChains(browser.driver).scroll_to_element(chart).move_to_element_with_offset(chart, 20, 30).perform()
    browser.driver.execute_async_script("setTimeout(arguments[0], 300)")
    said = browser.run("const t = document.getElementById('vg-tooltip-element'); return t && t.innerText")
    assert said and "curve" in said and "epoch" in said
    assert browser.messages() == []
