"""Open reports of scenarios in a browser, on a phone's width and on a desk's, by light and in the dark.

Each must show its title and all pictures, ask no other place for anything, log no error, and need no scrolling to the
side. Needs playwright and a Chromium. With a directory as argument the screenshots are kept there.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from flushpoint import Scenario, html_report
from flushpoint.scenario_report import ScenarioRun

SCENARIOS = {"post-election-flush": 10, "altcoin-contagion": 20, "leverage-cap": 100}  # and how many paths
WIDTHS = (390, 1280)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = "Array.from(document.images).map(image => image.complete ? image.naturalWidth : 0)"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def check(page: Page, file: Path, title: str, width: int) -> str:
    """Open a report, raise where something is wrong with it, and return the colour of its background."""
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    pictures = page.evaluate(PICTURES)
    elsewhere = [url for url in asked if not url.startswith(("data:", file.as_uri()))]
    for problem, found in {
        "the title": None if page.title() == title else page.title(),
        "pictures that do not load": None if pictures and all(pictures) else pictures,
        "errors": errors,
        "requests": elsewhere,
        f"scrolling to the side at {width} px": page.evaluate(OVERFLOW),
    }.items():
        if found:
            raise SystemExit(f"{file.name}: {problem}: {found}")
    print(f"{file.name} at {width} px: {len(pictures)} pictures")
    return str(page.evaluate(BACKGROUND))


def main() -> None:
    """Write the reports and open each."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        raise SystemExit(f"a browser must be installed, one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as made, sync_playwright() as driver:
        kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for name, paths in SCENARIOS.items():
            run = ScenarioRun(Scenario.load(name), paths=paths)
            file = html_report.write(run, Path(made) / f"{name}.html")
            for width in WIDTHS:
                backgrounds = set()
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                    backgrounds.add(check(page, file, run.scenario.title, width))
                    if kept is not None:
                        page.screenshot(path=kept / f"{name}-{width}-{scheme}.png", full_page=True)
                    page.close()
                if len(backgrounds) == 1:
                    raise SystemExit(f"{file.name}: the dark scheme must be dark, was {backgrounds}")
        browser.close()


if __name__ == "__main__":
    main()
