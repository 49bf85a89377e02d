"""The HTML page in a real browser: it sorts, filters, can be read without scripts, and nothing of an image runs in it."""
import os
import re
from pathlib import Path

import browser as chromium
import helpers
import pytest
from test_outputs import dump

ROWS = "Array.from(document.querySelectorAll('#findings tbody tr')).filter(r=>!r.hidden)"
ARTEFACTS = helpers.ECLAIR.parent / "artefacts"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not chromium.CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium")
    b = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield b
    b.close()


def open_page(browser, tmp_path, *args):
    page: Path = tmp_path / "report.html"
    page.write_bytes(dump("html", *args))
    browser.open(page.as_uri())


def column(browser, n):
    return browser.run(f"{ROWS}.map(r=>r.cells[{n}].textContent)")


def press(browser, name):
    browser.run(f"Array.from(document.querySelectorAll('th button')).find(b=>b.textContent==='{name}').click()")


def test_sorts(browser, tmp_path):
    open_page(browser, tmp_path, "rich")
    assert column(browser, 0) == ["Critical KEV", "Critical KEV", "Medium", "Low", "Unknown", "Negligible"]
    press(browser, "Package")
    assert column(browser, 2) == ["libssl3", "libssl3", "openssl", "openssl", "zlib1g", "zlib1g"]
    press(browser, "Package")
    assert column(browser, 2) == ["zlib1g", "zlib1g", "openssl", "openssl", "libssl3", "libssl3"]
    assert browser.run("document.querySelector('th[aria-sort=descending]').textContent") == "Package"
    press(browser, "Severity")
    assert column(browser, 0) == ["Critical KEV", "Critical KEV", "Medium", "Low", "Unknown", "Negligible"]
    assert browser.messages() == [] and len(browser.requests()) == 1


def test_filters(browser, tmp_path):
    open_page(browser, tmp_path, "rich")
    assert browser.run("document.querySelector('form').hidden") is False
    browser.run("{const s=document.querySelector('input[type=search]');s.value='CVE-2024-0001 OPENSSL';s.dispatchEvent(new Event('input'))}")
    assert column(browser, 2) == ["openssl"]
    assert browser.run("document.getElementById('shown').textContent") == "1 of 6 shown"
    browser.run("{const s=document.querySelector('input[type=search]');s.value='';s.dispatchEvent(new Event('input'))}")
    browser.run("document.querySelector('input[value=\"5\"]').click()")
    assert column(browser, 0) == ["Medium", "Low", "Unknown", "Negligible"]


def test_nothing_of_an_image_runs(browser, tmp_path):
    open_page(browser, tmp_path, "hostile", "suppressed")
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert browser.run("document.querySelectorAll('#findings tbody tr').length") == 8
    assert browser.run("document.querySelectorAll('#findings tbody script, #findings tbody h1, #findings tbody img').length") == 0
    assert "<script>alert(1)</script>&amp;\"'|`" in browser.run("document.querySelector('h1').textContent")
    links = browser.run("Array.from(document.links, a=>a.href)")
    assert links and all(link.startswith("https://") for link in links)
    assert browser.messages() == [] and len(browser.requests()) == 1
    # and what got in nevertheless would not run: the page's policy
    browser.run("{const s=document.createElement('script');s.textContent='window.ran=1';document.body.append(s);"
                "document.body.insertAdjacentHTML('beforeend','<img src=\"https://127.0.0.1:1/x\" onerror=\"window.ran=1\">')}")
    assert browser.run("window.ran") is None
    assert any("Content Security Policy" in m["entry"]["text"] for m in browser.messages())


def work(browser, script):
    """Seconds that the page's thread computed for it, whatever else the machine does."""
    def now():
        return {m["name"]: m["value"] for m in browser.call("Performance.getMetrics")["metrics"]}["TaskDuration"]
    before = now()
    browser.run(f"{{{script};document.body.offsetHeight}}")
    return now() - before


def test_five_thousand(browser, tmp_path):
    """Each step takes far less than a person notices."""
    browser.call("Performance.enable", timeDomain="threadTicks")
    open_page(browser, tmp_path, "many")
    assert browser.run(f"{ROWS}.length") == 5000
    filtering = work(browser, "const s=document.querySelector('input[type=search]');s.value='package-0123';s.dispatchEvent(new Event('input'))")
    assert browser.run(f"{ROWS}.length") == 10
    sorting = work(browser, "document.querySelectorAll('th button')[1].click()")
    assert filtering < 1 and sorting < 1, (filtering, sorting)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures(scheme, browser, tmp_path):
    """For people to look at: build-asan/artefacts/report-SCHEME.png. The page must differ with the scheme, and be readable in both."""
    ARTEFACTS.mkdir(exist_ok=True)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    open_page(browser, tmp_path, "rich", "suppressed")
    browser.run("document.querySelector('details').open=true")
    browser.picture(ARTEFACTS / f"report-{scheme}.png")
    ink, back = (sum(map(int, re.findall(r"\d+", browser.run(f"getComputedStyle(document.body).{p}"))[:3])) for p in ("color", "backgroundColor"))
    assert (ink < back) == (scheme == "light") and abs(ink - back) > 400


def test_without_scripts(browser, tmp_path):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    open_page(browser, tmp_path, "rich")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.querySelector('form').hidden") is True
    assert browser.run(f"{ROWS}.length") == 6
    assert browser.run("document.querySelectorAll('details > summary').length") == 6


def test_empty_and_not_covered(browser, tmp_path):
    open_page(browser, tmp_path, "empty")
    assert "No findings." in browser.run("document.body.innerText")
    open_page(browser, tmp_path, "none")
    text = browser.run("document.body.innerText")
    assert "No findings." not in text and "not covered: no feed is loaded for <debian:12>" in text
