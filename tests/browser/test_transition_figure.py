"""The transition figure as a page of its own: thumbnails cut out of the sheet in the browser, hover boxes, layout."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bokeh.models import LayoutDOM
from PIL import Image
from playwright.sync_api import Browser, Page

from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.transitions import TransitionFigure

Open = Callable[[LayoutDOM, int], Page]
HOSTILE = '"><img src=x onerror="document.title = 1">'


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens roots in pages without a network; in the end no page may have complained."""
    pages: list[Page] = []
    complaints: list[str] = []

    def opened(root: LayoutDOM, width: int) -> Page:
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(to_html(root), encoding="utf-8")
        page.goto(path.as_uri())
        page.locator(".bk-Figure").first.wait_for()
        page.wait_for_timeout(500)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


def two_samples(**options: object) -> TransitionFigure:
    """A red sample low on the left and a blue one high on the right; the neighbours of the red one."""
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    images[0, ..., 0] = images[1, ..., 2] = 255
    figure = TransitionFigure(sprites=SpriteSheet.of(images, ids=[7, 9]), texts={7: HOSTILE, 9: HOSTILE})
    places = np.array([0.0, 1.0])
    figure.samples.draw(np.array([7, 9]), places, places, scalar="entropy", labels=[HOSTILE, "b"], steps=(0, 1))
    figure.matrix.draw(np.eye(3), np.arange(4), name="d", of_transitions=True)
    figure.curves.draw(np.arange(4), np.zeros(3), {"loss": np.ones(4)})
    figure.neighbours.draw(7, [(9, 1.0, "kept")], [(9, 1.0, "kept")])
    return figure


def boxes(page: Page) -> list[dict[str, float]]:
    """Where the figures that are shown lie, from the top."""
    found = [one.bounding_box() for one in page.locator(".bk-Figure").filter(visible=True).all()]
    return sorted((box for box in found if box is not None), key=lambda box: (box["y"], box["x"]))


def count(page: Page, box: dict[str, float], colour: tuple[int, int, int]) -> int:
    clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}
    image = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)  # type: ignore[arg-type]
    return int((np.abs(image - colour).max(axis=2) < 10).sum())


def test_each_mark_shows_its_own_tile(open_page: Open) -> None:
    page = open_page(two_samples().root, 1200)
    samples = next(box for box in boxes(page) if box["x"] > 400)
    for colour in ((255, 0, 0), (0, 0, 255)):
        assert 0.9 * 20**2 < count(page, samples, colour) < 1.1 * 20**2


def test_the_hover_box_shows_tile_and_words_and_runs_nothing(open_page: Open) -> None:
    page = open_page(two_samples().root, 1200)
    samples = next(box for box in boxes(page) if box["x"] > 400)
    clip = {key: samples[key] for key in ("x", "y", "width", "height")}
    image = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)  # type: ignore[arg-type]
    down, across = np.nonzero(np.abs(image - (255, 0, 0)).max(axis=2) < 10)
    page.mouse.move(samples["x"] + across.mean() - 3, samples["y"] + down.mean())
    page.mouse.move(samples["x"] + across.mean(), samples["y"] + down.mean())
    page.get_by_text("sample 7").wait_for()
    assert page.get_by_text(HOSTILE).count() >= 2, "label and text, as written"
    picture = page.locator("img[alt='']").first
    assert str(picture.get_attribute("src")).startswith("data:image/png")
    assert page.locator("img").count() == 1 and page.title() != "1"


@pytest.mark.parametrize(("width", "beside"), [(1200, True), (800, True), (640, False), (500, False)])
def test_columns_stand_beside_each_other_where_there_is_room(open_page: Open, width: int, beside: bool) -> None:
    found = boxes(open_page(two_samples().root, width))
    assert len(found) == 4
    assert all(box["x"] + box["width"] <= width + 1 for box in found), "nothing sticks out"
    assert (len({round(box["x"]) for box in found}) == 2) is beside
    if width >= 1200:
        assert max(box["y"] + box["height"] for box in found) <= 620


def test_the_panel_chosen_is_drawn_in_the_page(open_page: Open) -> None:
    figure = two_samples()
    figure.classes.draw(np.array([[3, 0], [2, 1]]), steps=(0, 1))
    figure.show("classes")
    page = open_page(figure.root, 1200)
    assert len(boxes(page)) == 4
    assert count(page, next(box for box in boxes(page) if box["x"] > 400), (184, 184, 184)) > 5000, "the grey diagonal"
