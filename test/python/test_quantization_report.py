"""The report of a quantization, read back by html.parser and, where there is one, by a browser."""

import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from lowbit import LowbitError
from lowbit.precision.report import render, summary, write_report
from quantization_records import realistic

VOID = {"meta", "br", "wbr", "hr", "img", "link", "input"}
SMALL = {"model": "m", "recipe": "r", "tensors": []}
CHARTS = {"errors", "sizes", "front", "outliers", "steps"}


class Page(HTMLParser):
    """A page's structure; fails on tags that are not balanced."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, str]] = []
        """Each text with the path of its elements."""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open, "only elements of SVG close themselves"
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(("/".join(self.open), data))

    def text_of(self, *tags: str) -> str:
        return "".join(data for path, data in self.texts if set(tags) <= set(path.split("/")))

    def charts(self) -> set[str]:
        """The names of those that are there, each in both widths."""
        names = [a["aria-labelledby"] for tag, a in self.tags if tag == "svg"]
        wide = {name.removesuffix("-title") for name in names if "-narrow" not in name}
        assert {name.removesuffix("-narrow-title") for name in names} >= wide
        assert len(names) == 2 * len(wide)
        return wide


@pytest.fixture(scope="module")
def record():
    return realistic()


@pytest.fixture(scope="module")
def page(record):
    return render(record)


def test_page_is_whole(page, record):
    parsed = Page(page)
    assert parsed.charts() == CHARTS
    table = parsed.text_of("table", "tbody")
    for tensor in record["tensors"]:
        assert tensor["key"] in table
        for decision in tensor.get("decisions", []):
            assert decision in table
    for tensor in record["tensors"]:
        assert tensor["encoding"] in table
    identifiers = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in parsed.tags:
        for name in (attributes.get("href") or "", attributes.get("aria-labelledby") or ""):
            if name and not name.startswith("data:"):
                assert name.lstrip("#") in identifiers
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if tag == "svg":
            assert attributes["role"] == "img"


def test_page_shows_the_totals(page):
    tiles = Page(page).text_of("header")
    # 29 matrices of 256 columns and 4 norms: 3,474,432 weights, 4 bytes each before.
    assert "13.9 MB" in tiles and "61.0 s" in tiles and "810 MB" in tiles and "32,768" in tiles
    assert "29 of 29 tensors are better" in tiles


def test_page_loads_nothing(page):
    assert not re.search(r"(?:https?:)?//[\w.]", re.sub(r"//.*", "", Page(page).text_of("script")))
    assert not re.search(r"https?:|@import|url\((?!#)|src=", page)
    for _, attributes in Page(page).tags:
        assert (attributes.get("href") or "#").startswith(("#", "data:image/png;base64,"))
        assert not any(name.startswith("on") for name in attributes)


def test_policy_admits_the_script(page):
    import base64

    policy = next(a for tag, a in Page(page).tags if a.get("http-equiv"))["content"]
    digest = hashlib.sha256(Page(page).text_of("script").encode()).digest()
    assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none'")


def test_equal_records_give_equal_pages(page, record):
    assert render(copy.deepcopy(record)) == page
    again = (
        "import json, sys; from lowbit.precision.report import render;"
        "sys.stdout.buffer.write(render(json.load(sys.stdin)).encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", again], input=json.dumps(record).encode(), capture_output=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout.decode() == page, done.stderr.decode()


def test_settings_of_the_user_change_nothing(page, record):
    import matplotlib

    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert render(record) == page
        assert matplotlib.rcParams["font.size"] == 20


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><b onmouseover="alert(1)">',
    "</title></svg><h1>&lt;",
    r"$\frac{$ and $x^2$",
    "\x00\x1b[31m\x07\ud800\u202e",
    "重み.0.𝔘\U0001f600",
    "]]>--><!--",
    "",
    "n" * 5000,
]


def _check_is_only_text(page: str) -> Page:
    assert page.encode()
    parsed = Page(page)
    assert [tag for tag, _ in parsed.tags if tag in ("script", "h1", "img", "b")] == [
        "h1",
        "script",
    ]
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\ud800-\udfff]", page)
    assert "n" * 4001 not in page
    return parsed


def test_hostile_names_stay_text():
    record = realistic(3)
    for index, name in enumerate(HOSTILE):
        decisions = ["refused: " + name, name]
        record["tensors"][index] |= {"key": name, "encoding": name, "decisions": decisions}
        record["sites"][index]["name"] = name
    record["steps"] = [{"name": name, "note": name, "seconds": 1.0} for name in HOSTILE]
    shown = _check_is_only_text(render(record)).text_of("table", "tbody")
    assert HOSTILE[0] in shown and HOSTILE[4] in shown and HOSTILE[6] in shown
    assert not re.search("[\x00-\x09\x0b-\x1f]", summary(record))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_of_the_whole_stay_text(text):
    record = dict.fromkeys(("model", "recipe", "description", "command", "budget"), text)
    record |= {"tensors": [], "totals": {"bits_per_weight": 4.0}}
    record |= {"calibration": {"text": text, "tokens": 1}, "allocation": {"status": text}}
    _check_is_only_text(render(record))


@pytest.mark.parametrize("field", sorted(set(realistic(1)) - {"model", "recipe", "tensors"}))
def test_each_part_may_be_absent(field):
    record = realistic(1)
    del record[field]
    without = {"steps": {"steps"}, "sites": {"outliers"}, "allocation": {"front"}}
    assert Page(render(record)).charts() == CHARTS - without.get(field, set())
    record[field] = None
    Page(render(record))


def test_the_least_record():
    parsed = Page(render(SMALL))
    assert parsed.charts() == set()
    parsed = Page(render({"model": "m", "recipe": "r", "tensors": [{"key": "only"}]}))
    assert parsed.charts() == set() and "only" in parsed.text_of("tbody")
    assert summary({"model": "m", "recipe": "r", "tensors": [{"key": "only"}]}).count("\n") == 2


def _set_all(value, number: float):
    """The same, with each number `number`, except those that must be whole."""
    if isinstance(value, dict):
        whole = ("schema", "shape")
        return {k: each if k in whole else _set_all(each, number) for k, each in value.items()}
    if isinstance(value, list):
        return [_set_all(each, number) for each in value]
    return value if isinstance(value, str) else number


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), -float("inf"), 0, -1, 1e-320, 1e308, 10**400]
)
def test_numbers_out_of_the_ordinary_break_nothing(number):
    record = realistic(1)
    if number != 10**400:  # which no float64 holds
        Page(render(_set_all(record, number)))
        summary(_set_all(record, number))
    for tensor in record["tensors"][::2]:
        tensor |= {"error": number, "bytes": number, "bits_per_weight": number, "seconds": number}
    for site in record["sites"][::2]:
        site["maxima"][::3] = [float(min(number, 1e308))] * len(site["maxima"][::3])
    record["allocation"]["front"][0]["loss"] = record["totals"]["bytes"] = number
    assert Page(render(record)).charts() >= CHARTS - {"front"}
    assert summary(record)


def test_an_error_that_is_no_number_is_pointed_out():
    record = realistic(1)
    record["tensors"][2]["error"] = float("nan")
    record["tensors"][3]["error"] = 2 * record["tensors"][3]["error_nearest"]
    findings = Page(render(record)).text_of("section", "li")
    assert f"no finite number: {record['tensors'][2]['key']}" in findings
    assert f"by up to 2×: {record['tensors'][3]['key']}" in findings


def _large(tensors: int, sites: int, channels: int) -> dict:
    record = realistic(-(-tensors // 8))
    record["tensors"] = record["tensors"][:tensors]
    maxima = np.random.default_rng(0).lognormal(0, 1, (sites, channels))
    record["sites"] = [
        {"name": f"blk.{index}.attn_q.weight", "maxima": row, "root_mean_squares": row / 4, "maxima_after": row**0.5}
        for index, row in enumerate(maxima)
    ]  # fmt: skip
    return record


def test_large_models_have_pages_of_bounded_size():
    # 300 sites of 11,008 channels: an 8 B model has fewer. Noise compresses worst.
    record = _large(1000, 300, 11008)
    page = render(record)
    assert len(page.encode()) < 5_000_000
    parsed = Page(page)
    assert parsed.charts() == CHARTS | {"blocks"}
    names = parsed.text_of("tbody")
    assert all(tensor["key"] in names for tensor in record["tensors"])
    notes = parsed.text_of("figure", "p")
    assert "up to 11,008 channels; a column is the greatest of up to 29" in notes
    assert "steps are taken together" in notes


def test_what_is_left_out_is_said():
    record = _large(2003, 330, 16)
    page = render(record)
    text = Page(page).text_of("main")
    assert "Of 2,003 tensors the first 2,000" in text
    assert "Of 330 sites the first 320 are shown" in text
    assert len(page.encode()) < 5_000_000


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r.pop("model"), "model is missing"),
        (lambda r: r["tensors"][1].pop("key"), r"tensors\[1\].key is missing"),
        (lambda r: r["tensors"][2].update(error="much"), r"tensors\[2\].error is no number"),
        (lambda r: r["totals"].update(bytes=True), "totals.bytes is no number"),
        (lambda r: r.update(steps=3), "steps is no list"),
        (lambda r: r.update(steps=[3]), r"steps\[0\] is no object"),
        (
            lambda r: r["sites"][0].update(maxima=[[1.0]]),
            r"sites\[0\].maxima is no list of numbers",
        ),
        (lambda r: r["sites"][0].update(maxima=["a"]), r"sites\[0\].maxima is no list of numbers"),
        (lambda r: r["tensors"][0].update(decisions=[1]), r"decisions\[0\] is no text"),
        (lambda r: r.update(schema=2), "schema 2"),
    ],
)
def test_what_is_no_record_is_an_error(change, message):
    record = realistic(1)
    change(record)
    with pytest.raises(LowbitError, match=message):
        render(record)
    with pytest.raises(LowbitError, match="no object"):
        render([])


def test_file_is_written_whole_or_not_at_all(tmp_path, record, page, monkeypatch):
    path = tmp_path / "report.html"
    write_report(record, path)
    assert path.read_text(encoding="utf-8") == page
    with pytest.raises(LowbitError, match="no record"):
        write_report({}, path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(LowbitError, match="No space left"):
            write_report(SMALL, path)
    assert path.read_text(encoding="utf-8") == page
    assert os.listdir(tmp_path) == ["report.html"]
    with pytest.raises(LowbitError, match="there is no folder"):
        write_report(SMALL, tmp_path / "none" / "report.html")
    with pytest.raises(LowbitError, match="is a folder"):
        write_report(SMALL, tmp_path)


def test_summary_is_by_encoding():
    four = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
    tensors = [
        {"key": "a", "shape": [64, 64], "encoding": four, "bytes": 2304, "error": 0.02, "error_nearest": 0.04},
        {"key": "b", "shape": [64, 64], "encoding": four, "bytes": 2304, "error": 0.01, "error_nearest": 0.08},
        {"key": "c", "shape": [64], "encoding": "f32", "bytes": 256},
    ]  # fmt: skip
    lines = summary({"model": "m", "recipe": "r", "tensors": tensors}).splitlines()
    # 4,608 bytes of 8,192 weights are 4.5 bits; the mean of 1/2 and 1/8 is 1/4.
    assert lines[1].split() == ["int4", "f16/32", "2", "4.5", "4.61", "kB", "0.25"]
    assert lines[2].split() == ["f32", "1", "32", "256", "B", "–"]
    assert lines[3].split() == ["all", "3", "–", "4.86", "kB", "0.25"]
    assert len({len(line) for line in lines}) == 1


def test_report_needs_no_compiler_and_plots_on_demand():
    code = (
        "import sys; import lowbit.precision.report as r;"
        "assert 'matplotlib' not in sys.modules;"
        "r.render({'model': 'm', 'recipe': 'r', 'tensors': [{'key': 'k', 'error': 0.1}]});"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules;"
        "assert not {'lowbit._lowbit', 'lowbit._runtime'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def _browse(page: str, folder) -> tuple[str, list[str]]:
    """The document that a browser makes of a page, and what its console says."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium: apt-get install chromium")
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    done = subprocess.run(
        [browser, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _column(document: str, name: str) -> list[str]:
    """The cells of the table of tensors under a head, from top to bottom."""
    table = document[document.index('<table class="sortable">') :]
    heads = re.findall(r"<th scope=\"col\".*?</th>", table)
    place = next(i for i, head in enumerate(heads) if f">{name}<" in head)
    rows = re.findall(r"<tr id=.*?</tr>", table, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)[place] for row in rows]
    return [re.sub(r"<.*?>", "", cell) for cell in cells]


def test_browser_runs_the_script_without_complaint(page, tmp_path):
    document, console = _browse(page, tmp_path)
    assert console == []
    assert document.count('<button type="button">') == 12
    assert _column(document, "#") == [str(i + 1) for i in range(33)]


def test_browser_sorts_tables(record, tmp_path):
    record = copy.deepcopy(record)
    record["tensors"][5]["error"] = float("inf")
    page = render(record)
    assert _column(page, "#") == [str(i + 1) for i in range(33)]
    # The page's policy admits no other script, hence none that clicks.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    click = "[...document.querySelectorAll('.sortable th button')].find(b => b.textContent == NAME).click();"

    def clicked(*names: str) -> str:
        script = "".join(click.replace("NAME", json.dumps(name)) for name in names)
        document, console = _browse(
            page.replace("</body>", f"<script>{script}</script></body>"), tmp_path
        )
        assert console == []
        return document

    errors = [tensor["error"] for tensor in record["tensors"]]
    descending = sorted(range(33), key=lambda i: -errors[i])
    document = clicked("error")
    assert _column(document, "#") == [str(i + 1) for i in descending]
    assert 'aria-sort="descending"' in document
    ratios = _column(clicked("ratio", "ratio"), "ratio")
    assert ratios[-5:] == ["–"] * 5  # exact tensors, and the infinite one, are last both ways
    values = [float(text.removesuffix("×")) for text in ratios[:-5]]
    assert values == sorted(values)
    names = _column(clicked("error", "tensor"), "tensor")
    assert names == sorted(tensor["key"] for tensor in record["tensors"])
    assert _column(clicked("error", "#"), "#") == [str(i + 1) for i in range(33)]


def test_browser_blocks_and_reports_what_does_not_belong(page, tmp_path):
    # That the tests above would see a complaint.
    _, console = _browse(page.replace("</body>", "<script>alert(1)</script></body>"), tmp_path)
    assert any("Content Security Policy" in line for line in console)
