"""The page as Chromium has it: what people do with it, from disk, without a network."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from scrapy_imgpipe.report.gallery import gallery
from tests.browser.conftest import COUNT, EVIL, PHONE
from tests.pictures import jpeg
from tests.report.galleries import put, report_of

PICTURES = COUNT + 1  # and one that is damaged


@pytest.fixture
def page(shop, window):
    return window(shop)


def count_of(page):
    return page.locator("#count")


def choose(page, name, value):
    page.locator(f"select[name={name}]").select_option(value)


def tile(page, place):
    return page.locator(f"#grid [data-place='{place}']")


def names(page):
    """Return what is shown, in order."""
    return page.evaluate(
        "[...document.querySelectorAll('#grid .tile')].map("
        "tile => tile.querySelector('img')?.alt || tile.innerText)"
    )


# --- pictures ---


def test_pictures_are_in_rows_with_their_aspects(page):
    expect(count_of(page)).to_have_text(f"{PICTURES} pictures")
    boxes = page.evaluate(
        "[...document.querySelectorAll('#grid img')].map(image => {"
        "  const box = image.getBoundingClientRect();"
        "  return [box.left, box.right, box.top, box.width / box.height,"
        "    image.naturalWidth / image.naturalHeight]; })"
    )
    assert len(boxes) > 8
    for *_, shown, true in boxes:
        assert shown == pytest.approx(true, rel=0.02)
    # What is longer or higher than a row can have it is not cut.
    fits = "[...document.querySelectorAll('#grid img')].map(i => getComputedStyle(i).objectFit)"
    assert set(page.evaluate(fits)) == {"contain"}
    width = page.evaluate("document.getElementById('grid').getBoundingClientRect().right")
    lines = {}
    for _, right, top, *_ in boxes:
        lines[top] = max(lines.get(top, 0), right)
    *full, _last = (lines[top] for top in sorted(lines))
    assert full == [pytest.approx(width, abs=1)] * len(full)


def test_a_damaged_picture_says_so(page):
    page.locator("input[name=q]").fill("damaged")
    expect(count_of(page)).to_have_text(f"1 of {PICTURES} pictures")
    expect(page.locator(".tile .fault")).to_contain_text("truncated")
    tile(page, 0).click()
    expect(page.locator(".large-fault")).to_contain_text("truncated")


def test_search_takes_every_word(page):
    page.locator("input[name=q]").fill("a.example PICTURE 1")
    expect(count_of(page)).to_have_text(f"11 of {PICTURES} pictures")
    page.get_by_role("button", name="Clear").click()
    expect(count_of(page)).to_have_text(f"{PICTURES} pictures")
    expect(page.locator("input[name=q]")).to_be_focused()


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("outcome", "cached", 1),
        ("format", "PNG", 6),
        ("host", "b.example", 12),
        ("size", "tiny", 4),
    ],
)
def test_filters(page, name, value, count):
    choose(page, name, value)
    expect(count_of(page)).to_have_text(re.compile(rf"^{count} of {PICTURES} picture"))
    expect(page).to_have_url(re.compile(rf"#pictures\?{name}={value}$"))


def test_filters_go_together_and_along_with_the_address(page, shop, window):
    choose(page, "format", "PNG")
    choose(page, "host", "a.example")
    choose(page, "size", "medium")
    expect(count_of(page)).to_have_text(f"4 of {PICTURES} pictures")
    again = window(shop)
    again.goto(page.url)
    again.reload()
    expect(count_of(again)).to_have_text(f"4 of {PICTURES} pictures")
    expect(again.locator("select[name=format]")).to_have_value("PNG")


def test_repeats_are_shown_when_they_are_asked_for(page):
    page.get_by_label("Show repeats").check()
    expect(count_of(page)).to_have_text(f"{PICTURES + 1} pictures")
    page.locator("input[name=q]").fill("http")
    expect(count_of(page)).to_have_text(f"{PICTURES + 1} of {PICTURES + 1} pictures")


def test_sorting(page):
    page.locator("input[name=q]").fill("picture")
    expect(count_of(page)).to_have_text(re.compile(" of "))
    choose(page, "sort", "newest")
    expect(tile(page, 0).locator("img")).to_have_attribute("alt", f"Picture {COUNT - 1}")
    choose(page, "sort", "most")
    expect(tile(page, 0).locator("img")).to_have_attribute("alt", "Picture 3")
    choose(page, "sort", "fewest")
    expect(tile(page, 0).locator("img")).to_have_attribute("alt", "Picture 4")


def test_nothing_found_points_to_the_failures(page):
    page.locator("input[name=q]").fill("gone/7")
    page.get_by_role("link", name="See 11 failures").click()
    expect(count_of(page)).to_have_text("11 of 121 failures")


@pytest.mark.parametrize("height", ["abc", "-1", "1e9", "NaN", ""])
def test_an_address_cannot_ask_for_rows_that_there_are_not(shop, window, height):
    page = window(shop)
    page.evaluate(f"location.hash = '#pictures?height={height}'")
    expect(tile(page, 0)).to_be_visible()
    heights = page.evaluate("[...document.querySelectorAll('.line')].map(l => l.offsetHeight)")
    assert all(60 < height < 600 for height in heights)
    page.reload()
    expect(tile(page, 0)).to_be_visible()
    again = page.evaluate("[...document.querySelectorAll('.line')].map(l => l.offsetHeight)")
    assert again[:2] == heights[:2]


def test_another_address_has_rows_of_another_height(page):
    before = tile(page, 0).bounding_box()["height"]
    page.evaluate("location.hash = '#pictures?height=400'")
    expect(page.locator("input[name=height]")).to_have_value("400")
    assert tile(page, 0).bounding_box()["height"] > before * 1.4


@pytest.mark.parametrize("width", [1024, 1280, 1600])
def test_search_and_filters_begin_in_one_line(shop, window, width):
    page = window(shop, {"width": width, "height": 700})
    page.get_by_label("Show repeats").check()
    search = page.locator("input[name=q]").bounding_box()
    select = page.locator("select[name=outcome]").bounding_box()
    if width >= 1280:
        right = page.locator("#repeats").bounding_box()
        assert right["y"] == pytest.approx(search["y"], abs=1)
    assert select["y"] == pytest.approx(search["y"], abs=1)


# --- keyboard and lightbox ---


def test_pictures_by_keyboard(page):
    tile(page, 0).focus()
    page.keyboard.press("ArrowRight")
    expect(tile(page, 1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = page.evaluate("Number(document.activeElement.dataset.place)")
    assert below > 1
    page.keyboard.press("ArrowUp")
    expect(tile(page, 1)).to_be_focused()
    page.keyboard.press("End")
    expect(tile(page, PICTURES - 1)).to_be_focused()
    assert page.locator("#grid [tabindex='0']").count() == 1


def test_the_lightbox_by_keyboard(page):
    tile(page, 4).focus()
    page.keyboard.press("Enter")
    record = page.get_by_role("complementary", name="Record")
    expect(record.get_by_role("heading")).to_have_text("Picture 4")
    page.keyboard.press("ArrowRight")
    expect(record.get_by_role("heading")).to_have_text("Picture 5")
    expect(record.locator("dl")).to_contain_text("http://b.example/5.jpg")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(record.get_by_role("heading")).to_have_text("Picture 8")
    for _ in range(6):  # around all that can be reached, and never out of it
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.pswp') !== null")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(tile(page, 8)).to_be_focused()


def test_the_stored_image_is_shown_large_whatever_its_name(page):
    tile(page, 3).click()
    image = page.locator(
        ".pswp__item[aria-hidden=false] img.pswp__img:not(.pswp__img--placeholder)"
    )
    expect(image).to_have_attribute("src", "../store/full/03%20%23%3F%25.jpeg")
    page.wait_for_function("image => image.naturalWidth === 1200", arg=image.element_handle())


@pytest.mark.parametrize("size", [(30_000, 10), (10, 30_000), (1, 1)])
def test_a_long_strip_is_large_with_its_aspect(tmp_path, window, size):
    put(tmp_path / "store", "a.jpg", jpeg(size))
    gallery(tmp_path / "store", tmp_path / "page")
    page = window(tmp_path / "page")
    tile(page, 0).click()
    image = page.locator("img.pswp__img:not(.pswp__img--placeholder)")
    expect(image).to_be_attached()
    shown = image.evaluate("image => [image.offsetWidth, image.offsetHeight]")
    assert min(shown) >= 1
    assert shown[0] / shown[1] == pytest.approx(size[0] / size[1], rel=0.3)


def test_what_is_long_in_a_record_leaves_room_for_the_rest(tmp_path, window):
    row = {"url": "data:," + "x" * 7000, "path": "gone.jpg"}
    (tmp_path / "store").mkdir()
    gallery(tmp_path / "store", tmp_path / "page", report=report_of(tmp_path / "r.jsonl", row))
    page = window(tmp_path / "page")
    tile(page, 0).click()
    expect(page.locator("#record dd").nth(1)).to_be_in_viewport()


def test_the_record_has_all_columns_and_links_where_they_are_safe(page):
    tile(page, 2).click()
    record = page.locator("#record")
    expect(record.locator("dt")).to_contain_text(["url", "page", "path", "outcome", "finished"])
    expect(record.get_by_role("link", name="http://a.example/page")).to_have_attribute(
        "rel", "noopener noreferrer"
    )
    expect(record).to_contain_text("javascript:document.title")
    assert not page.evaluate("[...document.links].some(link => link.protocol === 'javascript:')")


def test_the_record_can_be_put_away(page):
    tile(page, 0).click()
    expect(page.locator("#record")).to_be_visible()
    page.keyboard.press("i")
    expect(page.locator("#record")).to_be_hidden()
    page.get_by_role("button", name="Record (i)").click()
    expect(page.locator("#record")).to_be_visible()


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_way_back_puts_the_picture_away_and_not_the_page(shop, window, motion):
    page = window(shop, PHONE, reduced_motion=motion)
    large = page.locator(".pswp")
    page.get_by_role("navigation").get_by_role("link", name="Failures").click()
    page.get_by_role("navigation").get_by_role("link", name="Pictures").click()
    tile(page, 2).click()
    expect(large).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.go_back()
    expect(large).to_have_count(0)
    expect(tile(page, 3)).to_be_focused()
    for _ in range(3):  # what is put away otherwise leaves nothing to go back to
        page.keyboard.press("Enter")
        expect(large).to_be_visible()
        page.keyboard.press("Escape")
        expect(large).to_have_count(0)
        expect(tile(page, 3)).to_be_focused()
    page.go_back()
    expect(page).to_have_url(re.compile("#failures$"))


def test_on_a_phone_the_record_is_below_and_filters_behind_a_button(shop, window):
    page = window(shop, PHONE, has_touch=True)
    expect(page.locator("select[name=format]")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    choose(page, "format", "PNG")
    expect(count_of(page)).to_have_text(f"6 of {PICTURES} pictures")
    tile(page, 0).tap()
    expect(page.locator("#record")).to_be_hidden()
    page.get_by_role("button", name="Record (i)").click()
    expect(page.locator("#record")).to_be_visible()
    assert page.locator("#record").bounding_box()["y"] > PHONE["height"] * 0.4
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_counts_of_six_digits_are_no_wider_than_a_small_phone(shop, window):
    page = window(shop, {"width": 320, "height": 600})
    page.evaluate(
        "document.getElementById('pictures-count').textContent = '123,456';"
        "document.getElementById('failures-count').textContent = '123,456'"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


# --- failures, charts, themes ---


def test_failures_by_outcome(page):
    page.get_by_role("navigation").get_by_role("link", name="Failures").click()
    expect(count_of(page)).to_have_text("121 failures")
    groups = page.locator(".group h2")
    expect(groups).to_have_text(["http-status", "broken"])
    urls = page.locator(".group").first.locator(".url")
    expect(urls).to_have_count(100)
    page.get_by_role("button", name="Show 20 more of 20").click()
    expect(urls).to_have_count(120)
    page.locator(".group").first.locator("summary").first.press("Enter")
    fields = page.locator(".failure[open] dl")
    expect(fields).to_contain_text("http://b.example/gone/0")
    expect(page.locator(".views [aria-current]")).to_have_count(1)


def test_outcomes_of_any_name_and_urls_of_any_length(tmp_path, window):
    long = "http://a.example/" + "y" * 5000
    outcomes = ["__proto__", "constructor", "toString", "http-status"]
    rows = [{"outcome": name, "status": "failed", "url": long, "reason": long} for name in outcomes]
    (tmp_path / "store").mkdir()
    gallery(tmp_path / "store", tmp_path / "page", report=report_of(tmp_path / "r.jsonl", *rows))
    page = window(tmp_path / "page", PHONE)
    page.get_by_role("navigation").get_by_role("link", name="Failures").click()
    said = page.locator(".group > header p")
    expect(said).to_have_text(["", "", "The server answered with an error", ""])
    first = page.locator(".failure").first
    assert first.bounding_box()["height"] < 200
    first.locator("summary").click()
    expect(first.locator("dl")).to_be_visible()
    assert first.bounding_box()["height"] > 800


def test_charts(page):
    page.get_by_role("navigation").get_by_role("link", name="Charts").click()
    titles = ["Throughput", "Bytes over time", "Outcomes", "Formats", "File sizes", "Longest sides"]
    expect(page.locator(".chart h2")).to_have_text([*titles, "Hosts"])
    expect(page.get_by_role("img", name="Outcomes")).to_be_visible()
    rows = page.locator(".chart", has_text="How 147 sources ended").locator("tbody tr")
    page.locator(".chart", has_text="How 147 sources ended").locator("summary").click()
    expect(rows).to_have_text(["http-status120", "stored24", "broken1", "cached1", "joined1"])
    choose(page, "outcome", "broken")
    expect(page.locator(".chart", has_text="How 1 source ended")).to_be_visible()
    page.locator("input[name=q]").fill("nothing is like this")
    empty = page.locator("#charts-view .empty").bounding_box()
    assert empty["width"] > 1000


def test_labels_of_charts_are_shortened_to_where_they_end(tmp_path, window):
    hosts = ["y" * 60 + ".example", "sixteen.example", "a.b"]
    rows = [{"url": f"http://{host}/", "status": "failed", "outcome": host} for host in hosts]
    (tmp_path / "store").mkdir()
    gallery(tmp_path / "store", tmp_path / "page", report=report_of(tmp_path / "r.jsonl", *rows))
    page = window(tmp_path / "page")
    page.get_by_role("navigation").get_by_role("link", name="Charts").click()
    labels = page.locator(".chart .label")
    expect(labels).to_have_count(6)
    assert all(x >= 0 for x in labels.evaluate_all("all => all.map(text => text.getBBox().x)"))
    expect(labels.filter(has_text="sixteen.example")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(shop, window, scheme):
    page = window(shop, color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    shown = {"light": "rgb(246, 245, 242)", "dark": "rgb(17, 19, 21)"}
    assert page.evaluate(ground) == shown[scheme]
    button = page.get_by_role("button", name="Theme")
    for theme in ("light", "dark"):
        button.click()
        assert page.evaluate(ground) == shown[theme]
        expect(button).to_have_accessible_name(re.compile(f"Theme: {theme}"))
    page.reload()
    assert page.evaluate(ground) == shown["dark"]


# --- safety ---


def test_what_comes_from_outside_stays_text(page):
    expect(page.get_by_role("img", name="document.title='evil'")).to_have_attribute("alt", EVIL)
    tile(page, 1).click()
    expect(page.locator("#record h2")).to_have_text(EVIL)
    page.keyboard.press("Escape")
    page.get_by_role("navigation").get_by_role("link", name="Failures").click()
    broken = page.locator(".group").last
    expect(broken.locator(".url")).to_have_text(EVIL)
    expect(broken.locator(".reason")).to_have_text(EVIL)
    broken.locator("summary").click()
    expect(broken.locator("dd").first).to_have_text(EVIL)
    page.locator("input[name=q]").fill(EVIL)
    expect(count_of(page)).to_have_text("1 of 121 failures")
    assert page.title() == "A shop"
    assert page.evaluate("document.querySelectorAll('img[src=x], main script').length") == 0


def test_the_policy_stops_what_would_ask_a_network(shop, chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.goto((shop / "index.html").as_uri())
    violated = page.evaluate(
        """async () => {
          const seen = [];
          document.addEventListener("securitypolicyviolation",
            event => seen.push(event.effectiveDirective));
          await fetch("http://127.0.0.1:9/").catch(() => {});
          new Image().src = "http://127.0.0.1:9/a.png";
          document.body.append(Object.assign(document.createElement("script"), {text: "evil = 1"}));
          await new Promise(done => setTimeout(done, 0));
          while (seen.length < 3) await new Promise(done => setTimeout(done, 5));
          return [...seen.sort(), typeof evil];
        }"""
    )
    context.close()
    assert violated == ["connect-src", "img-src", "script-src-elem", "undefined"]


# --- for who does not see it ---


def tree_of(page):
    """Return role, name and state of all that Chromium tells assistive technology."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]


@pytest.mark.parametrize("view", ["Pictures", "Failures", "Charts"])
def test_everything_that_can_be_used_has_a_name(page, view):
    page.get_by_role("navigation").get_by_role("link", name=view).click()
    tree = tree_of(page)
    roles = {role for role, _ in tree}
    assert {"banner", "navigation", "search", "main", "status", "heading"} <= roles
    used = {"button", "link", "combobox", "searchbox", "slider", "checkbox", "listbox", "region"}
    nameless = [(role, name) for role, name in tree if role in used and not name.strip()]
    assert nameless == []
    names = [name for role, name in tree if role == "button"]
    assert any(name.startswith("Theme") for name in names)


def test_the_list_of_pictures_tells_how_many_there_are(page):
    first = page.locator("#grid [role=listitem]").first
    assert first.get_attribute("aria-setsize") == str(PICTURES)
    assert first.get_attribute("aria-posinset") == "1"
    expect(tile(page, 3)).to_have_accessible_name(re.compile(r"^Picture 3 1200 × 500 · JPEG · "))  # noqa: RUF001


def test_the_lightbox_is_a_dialog_with_named_buttons(page):
    tile(page, 3).click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    tree = tree_of(page)
    buttons = {name for role, name in tree if role == "button"}
    assert {"Close", "Next", "Previous", "Record (i)"} <= buttons
    assert "" not in buttons
    expect(page.locator(".pswp [role=status]")).to_have_text(f"4 of {PICTURES}: Picture 3")


def test_focus_can_be_seen(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    for _ in range(6):
        page.keyboard.press("Tab")
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width == "3px"


def test_nothing_moves_for_who_wants_that(shop, window):
    page = window(shop, reduced_motion="reduce")
    moving = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(element =>"
        " getComputedStyle(element).transitionDuration !== '0s').length"
    )
    assert moving == 0
    tile(page, 0).click()
    expect(page.locator("#record h2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)


def test_buttons_of_the_lightbox_can_be_seen_in_forced_colours(shop, window):
    page = window(shop, forced_colors="active")
    tile(page, 0).click()
    icons = page.locator(".pswp__icn")
    expect(icons.first).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.querySelector('.pswp__bg')).backgroundColor")
    fills = icons.evaluate_all("icons => icons.map(icon => getComputedStyle(icon).fill)")
    assert ground not in fills


def test_paper_is_light_and_has_no_tools(shop, window):
    page = window(shop, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(246, 245, 242)"
    expect(page.locator("#tools")).to_be_hidden()


# --- many ---

_SCROLL = """async () => {
  const heights = new Set(), shown = [];
  let most = 0, jumps = 0;
  const last = document.documentElement.scrollHeight - innerHeight;
  const frame = () => new Promise(requestAnimationFrame);
  for (let step = 0; step <= 30; step += 1) {
    const where = Math.round(last * step / 30);
    scrollTo(0, where);
    await frame(); await frame();
    heights.add(document.documentElement.scrollHeight);
    jumps += Math.abs(scrollY - where) > 1;
    most = Math.max(most, document.querySelectorAll("*").length);
    const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
    shown.push(middle.closest("#grid") !== null);
  }
  scrollTo(0, 0);
  await frame(); await frame();
  shown.push(document.querySelector("#grid [aria-posinset='1']") !== null);
  return { heights: heights.size, most, jumps, shown: shown.every(Boolean) };
}"""


def test_ten_thousand_pictures_take_no_more_than_a_window_full(many, window):
    page = window(many)
    page.get_by_label("Show repeats").check()
    expect(count_of(page)).to_have_text("10,000 pictures")
    seen = page.evaluate(_SCROLL)
    assert seen == {"heights": 1, "most": seen["most"], "jumps": 0, "shown": True}
    assert seen["most"] < 1500
    page.wait_for_function(
        "() => [...document.querySelectorAll('#grid img')].every(image => image.naturalWidth)"
    )
    page.keyboard.press("End")
    last = page.locator("#grid [role=listitem]").last
    expect(last).to_have_attribute("aria-posinset", "10000")


def test_what_was_at_the_top_stays_there_in_another_width(many, window):
    page = window(many)
    page.get_by_label("Show repeats").check()
    expect(count_of(page)).to_have_text("10,000 pictures")
    top = (
        "Number(document.elementFromPoint(60, 90).closest('[role=listitem]')"
        "?.getAttribute('aria-posinset'))"
    )
    page.evaluate("scrollTo(0, 200000)")
    page.wait_for_function(f"() => {top} > 0")
    before = page.evaluate(top)
    page.set_viewport_size({"width": 900, "height": 800})
    page.wait_for_function(f"() => Math.abs({top} - {before}) <= 12")


def test_a_picture_that_has_the_focus_keeps_it_out_of_sight(many, window):
    page = window(many)
    page.get_by_label("Show repeats").check()
    expect(count_of(page)).to_have_text("10,000 pictures")
    tile(page, 0).focus()
    page.keyboard.press("End")
    expect(tile(page, 9999)).to_be_focused()
    page.evaluate("scrollTo(0, 0)")
    expect(tile(page, 0)).to_be_visible()
    expect(tile(page, 9999)).to_be_focused()
