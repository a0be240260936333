"""The page, in a real browser: stepping, pointing, choosing, comparing, typing."""

import re

import pytest

from tests.visualize.browser import (
    DESKTOP,
    PHONE,
    click,
    complaints,
    dress,
    faults,
    served,
    start,
    texts,
)
from tests.visualize.models import broken, longest, model_of, odd, reading_of
from tracr_lite.visualize import Heading, page
from tracr_lite.visualize.page_data import page_data
from tracr_lite.visualize.reading import read
from tracr_lite.visualize.serving import make_app


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a page from a file, and finds nothing to complain about when all is done."""

    def show(html, size=DESKTOP, theme="light"):
        dress(chromium, size, theme)
        (tmp_path / "it.html").write_text(html, encoding="utf-8")
        chromium.get((tmp_path / "it.html").as_uri())
        return chromium

    yield show
    assert complaints(chromium) == []


def press(driver, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def test_the_page_needs_nothing_but_itself(opened):
    html = page(reading_of("reverse"))
    driver = opened(html)
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert set(re.findall(r"\w+://[^\s\"'<)]+", html)) == {"http://www.w3.org/2000/svg"}
    assert texts(driver, "#verdict") == [
        "✓ Interpreter and transformer agree at all 4 positions."
    ]


def test_buttons_and_keys_step_through_the_half_layers(opened):
    driver = opened(page(reading_of("reverse")))
    name = "#step-name"
    assert texts(driver, name) == ["layer 1 attention"]
    click(driver, "#back")
    assert texts(driver, name) == ["layer 0 MLP"]
    click(driver, "h1")
    press(driver, "\ue012", "\ue012")  # the left arrow key
    assert texts(driver, name) == ["embeddings"]
    assert texts(driver, "#rows .written button") == ["tokens", "indices"]
    assert "reverse_6" in texts(driver, "#nodes .later button")
    driver.find_element("id", "step").send_keys("\ue010")  # the End key, on the slider
    assert texts(driver, name) == ["layer 1 attention"]
    assert texts(driver, ".card.now h3") == ["Layer 1 head 0 → reverse_6 · this half-layer"]


def test_cells_are_explained_to_mouse_and_keyboard(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    driver = opened(page(reading_of("reverse")))
    name = "#head-1-0 tbody tr:nth-child(2) td:last-child"
    cell = click(driver, name.replace("last-child", "first-of-type"))
    ActionChains(driver).move_to_element(driver.find_element("css selector", name)).perform()
    said = texts(driver, "#details")[0]
    assert (
        said
        == "query at position 0 (a), key at position 3 (d): weight 1; the selector selects it"
    )
    cell.click()
    press(driver, "\ue014", "\ue014")
    assert "key at position 1 (b)" in texts(driver, "#details")[0]
    assert len(driver.find_elements("css selector", "#head-1-0 td[tabindex='0']")) == 1


def test_choosing_a_node_lights_up_its_parts(opened):
    driver = opened(page(reading_of("reverse")))
    box = driver.find_element("css selector", "#graph [data-choose='opp_idx-1_4']")
    driver.execute_script("arguments[0].focus()", box)
    press(driver, " ")
    assert texts(driver, "#rows tbody.lit button") == ["opp_idx-1_4"]
    assert texts(driver, ".card.lit h3") == ["Layer 0 neurons → opp_idx-1_4"]
    assert "opp_idx-1_4 = opp_idx_3 - 1" in texts(driver, "#chosen p")[0]
    click(driver, "#nodes [data-choose='reverse_selector_5']")
    assert [text.split(" ·")[0] for text in texts(driver, ".card.lit h3")] == [
        "Layer 1 head 0 → reverse_6"
    ]
    press(driver, "\ue00c")  # Escape
    assert texts(driver, ".lit") == []


def test_nodes_without_columns_can_be_hidden(opened):
    driver = opened(page(reading_of("reverse")))
    assert len(texts(driver, "#graph g.fused")) == 3
    click(driver, "#inner")
    assert texts(driver, "#graph g.fused") == []
    edge = "#graph .edge[data-from='length_2'][data-to='opp_idx-1_4']"
    assert len(driver.find_elements("css selector", edge)) == 1


def test_each_node_is_compared(opened):
    """A head is broken: the page says where model and interpreter part."""
    driver = opened(page(broken("sort"), longest("sort")))
    assert "differ at" in texts(driver, "#verdict")[0]
    assert texts(driver, "#nodes tr[data-node='sequence_map_1'] .differs") == []
    assert all("≠" in text for text in texts(driver, "#nodes td.differs"))
    assert texts(driver, "#nodes tr[data-node='sort_5'] .differs")


def test_odd_names_and_tokens_are_text(opened):
    model, xs = odd()
    html = page(model, xs, Heading("<img src=x onerror=alert(1)>", "</title>&amp;"))
    driver = opened(html)
    assert texts(driver, "h1") == ["<img src=x onerror=alert(1)>"]
    assert driver.execute_script("return document.images.length") == 0
    assert xs[0] in texts(driver, "#answers td")
    assert "None" in texts(driver, "#answers td")
    assert any("<script>" in text for text in texts(driver, "#nodes button"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_can_be_read(opened, size, theme):
    """Contrast, size and names, before and after a node is chosen; nothing is wider than it."""
    driver = opened(page(reading_of("most_frequent")), size, theme)
    assert driver.execute_script("return document.documentElement.dataset.theme") == theme
    for label in ("tokens", "rank_12"):
        click(driver, f"#nodes [data-choose='{label}']")
        assert faults(driver) == []


OUTLINE = """
const it = document.activeElement;
const [own, box] = [getComputedStyle(it), it.querySelector(":scope > .box")];
const seen = box ? getComputedStyle(box).strokeWidth === "4px" : own.outlineStyle !== "none";
return [it.id || it.className.baseVal || it.tagName, seen];
"""


def test_tab_reaches_all_parts_and_focus_can_be_seen(opened):
    driver = opened(page(reading_of("hist")))
    visited = []
    for _ in range(60):
        press(driver, "\ue004")  # Tab
        name, seen = driver.execute_script(OUTLINE)
        if name == "BODY":
            break
        assert seen, name
        visited.append(name)
    assert {"theme", "back", "step", "inner", "graph", "nodes"} <= set(visited)
    tables = texts(driver, "table.grid")
    assert visited.count("TD") == len(tables)  # one stop in each table


def test_the_theme_can_be_changed(opened):
    driver = opened(page(reading_of("hist")))
    click(driver, "#theme")
    assert driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    assert faults(driver) == []


def test_a_new_input_runs_when_served(chromium):
    from selenium.webdriver.support.ui import WebDriverWait

    model = model_of("reverse")
    html = page(model, ["a", "b"], Heading("reverse", served=True, typed="a b"))
    app = make_app(html, lambda typed: page_data(read(model, typed.split())))
    dress(chromium, PHONE)
    with served(app) as address:
        chromium.get(address)
        field = chromium.find_element("id", "input")
        assert field.get_attribute("value") == "a b"
        field.send_keys(" d\n")
        wait = WebDriverWait(chromium, 20)
        wait.until(lambda driver: "d" in texts(driver, "#answers td"))
        assert texts(chromium, "#answers tr:last-child td") == ["d", "b", "a"]
        field.send_keys(" z\n")
        wait.until(lambda driver: "'z'" in texts(driver, "#error")[0])
        assert texts(chromium, "#answers tr:last-child td") == ["d", "b", "a"]
    assert all("400" in each for each in complaints(chromium))
