"""A comparison in the terminal and as Markdown, and the parts of the page that need no browser."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.comparison.comparison import compare
from cloudtune.comparison.groups import group_jobs
from cloudtune.diagnostics import Finding
from cloudtune.errors import MissingExtraError, UsageError
from cloudtune.reporting.console.summary import format_summary
from cloudtune.reporting.documents.html import page
from cloudtune.reporting.documents.html.downsample import downsample
from cloudtune.reporting.documents.html.progress_charts import learning_chart
from cloudtune.reporting.documents.html.space_charts import slice_charts
from cloudtune.reporting.documents.render import render_report, report_format
from cloudtune.reporting.documents.tables import best_trials_table, runs_table
from cloudtune.results.model import Cost, StudyResult
from tests.cloudtune.comparison.factories import job, make_study, measured, trial


def said(jobs: Sequence[StudyResult], form: str = "text") -> str:
    return render_report(compare(jobs, {"r1": ["study.yaml"]}), form)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_verdict_comes_first_and_says_how_sure_it_is() -> None:
    jobs = [job("local", [0.5, 0.9]), job("vertex", [trial(1, 0.7, cost=2.5)])]
    lines = said(jobs).splitlines()
    assert lines[0] == "made: maximize accuracy"
    assert lines[2:5] == [
        "VERDICT",
        "  Best objective: local found the best accuracy: 0.9.",
        "    not settled: each group ran once, and another run may give a different",
    ]
    text = flat("\n".join(lines))
    assert "vertex was the cheapest of the groups whose cost is known: 2.50 USD." in text
    assert "for seed in 2 3 4 5; do cloudtune run study.yaml --on local --on vertex" in text
    assert text.index("! local: it charges nothing") < text.index("Runs")


def test_a_machine_with_a_price_costs_what_its_trials_cost() -> None:
    text = flat(said([job("local", [trial(1, 0.7, cost=2.5)])]))
    assert "Cost: 2.50 USD" in text
    assert "charges nothing" not in text


def test_a_cost_is_the_same_in_a_report_and_on_the_console() -> None:
    bounded = replace(trial(1, 0.7, cost=0.0024), cost=Cost(0.0024, "USD", "estimated", 0.0012))
    jobs = [job("vertex", [bounded, trial(2, 0.8, cost=0.0004)])]
    report, console = flat(said(jobs)), flat("\n".join(format_summary(jobs[0], "")))
    assert "Cost: 0.0016 to 0.0028 USD, estimated" in report
    assert report.count("0.0016 to 0.0028 USD") == 2  # also in the table of runs
    assert "cost: 0.0016 to 0.0028 USD (estimated" in console


def test_the_verdict_fits_a_terminal_of_80_columns() -> None:
    lines = said([job("local", [0.5, 0.9]), job("vertex", [trial(1, 0.7, cost=2.5)])]).splitlines()
    verdict = [line for line in lines[: lines.index("Runs")] if "for seed in" not in line]
    assert max(map(len, verdict)) < 80


def test_a_table_that_does_not_fit_becomes_blocks() -> None:
    jobs = [job("local", [0.5, 0.9]), job("vertex", [trial(1, 0.7, cost=2.5)])]
    compared = compare(jobs, {"r1": ["study.yaml"]})
    wide, narrow = (render_report(compared, "text", room) for room in (None, 60))
    assert max(map(len, wide.splitlines())) > 80
    assert render_report(compared, "text", 1_000) == wide
    runs = narrow[narrow.index("Runs") : narrow.index("Best parameters")]
    assert max(map(len, runs.splitlines())) <= 60
    assert set(wide.replace("─", "").split()) <= set(narrow.split())


def test_two_groups_can_be_first_together() -> None:
    text = flat(said([job("p", [0.5, 0.9]), job("q", [0.5, 0.9])]))
    assert "p and q were the first to come within 1 %" in text


def test_repeated_runs_have_a_mean_and_an_interval() -> None:
    jobs = [
        job(name, [best], run=f"r{seed}", seed=seed)
        for name, values in (("p", (0.90, 0.91, 0.92)), ("q", (0.1, 0.11, 0.12)))
        for seed, best in enumerate(values)
    ]
    text = flat(said(jobs))
    assert (
        "p found the best accuracy: 0.91, on average over 3 runs; its best run reached 0.92."
        in text
    )
    assert re.search(r"p: mean 0\.91 \(95 % interval 0\.885159 to 0\.934841, 3 runs\)", text)
    assert "settled: the differences from the other groups are unlikely to be chance" in text
    assert "not settled: the differences" not in text


def test_a_time_that_one_run_did_not_reach_has_no_mean() -> None:
    jobs = [job("p", [0.5, 1.0], run="a"), job("p", [0.5, 0.6], run="b", seed=2)]
    text = flat(said([*jobs, job("q", [0.5, 0.7], run="c")]))
    assert "No group came within 1 % of the way from the median trial to the best trial" in text
    assert "p: in 1 of 2 runs: 2.0 s" in text


def test_the_duration_shows_the_idle_time() -> None:
    created = runs_table(compare([replace(job("p", [0.5]), ended=4100.0, idle=3600.0)], {}))
    assert "1 h 06 min (1 h 00 min idle)" in created.rows[0]
    assert "No process ran the job" in created.note
    assert runs_table(compare([job("p", [0.5])], {})).note == ""


@pytest.mark.parametrize(
    ("provider", "chooser"), [("sagemaker", "the service"), ("optuna", "optuna")]
)
def test_the_runs_say_who_chose_their_trials(provider: str, chooser: str) -> None:
    (row,) = runs_table(compare([job(provider, [0.5], mode="managed")], {})).rows
    assert row[2] == chooser


def test_the_runs_say_why_they_ended() -> None:
    dear = replace(job("p", [0.5]), reason="the cost reached 5 USD")
    created = runs_table(compare([dear, job("q", [0.6])], {}))
    assert created.columns[-1] == "why it ended"
    assert [row[-1] for row in created.rows] == ["the cost reached 5 USD", ""]
    assert "why it ended" not in runs_table(compare([job("q", [0.6])], {})).columns


def test_a_blank_value_is_quoted() -> None:
    best = [trial(1, 0.5, parameters={"a": "", "b": " "}), trial(1, 0.4, parameters={"a": "x"})]
    jobs = [job(name, [one]) for name, one in zip("pq", best, strict=True)]
    assert best_trials_table(compare(jobs, {})).rows[2:] == (("a", "''", "x"), ("b", "' '", ""))


def test_a_refused_job_is_refused_as_in_status() -> None:
    refused = Finding("refused", "parameters", "too many")
    created = runs_table(compare([job("p", [], state="failed", findings=[refused])], {}))
    assert created.rows[0][created.columns.index("state")] == "refused"


def test_several_objectives_have_a_front() -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    created = make_study(objective=both)
    jobs = [
        job("p", [trial(1, (0.9, 5))], study=created),
        job("q", [trial(1, (0.8, 4))], study=created),
    ]
    assert "than these 2. Found: 1 by p; 1 by q." in flat(said(jobs))


def test_control_characters_are_removed() -> None:
    odd = "\x1b[31m\u202ered"
    jobs = [job(f"p{odd}", [trial(1, None, reason=odd, log_tail=odd)], study=make_study(name=odd))]
    for form in ("text", "markdown"):
        assert {"\x1b", "\u202e"}.isdisjoint(said(jobs, form))


HOSTILE = "<b>@all</b> | #12 [x](http://y) www.z.com `c` *d* _e_ ~f~ $g$ \\"


def test_markdown_shows_hostile_text_as_it_is() -> None:
    jobs = [job("p", [trial(1, None, reason=HOSTILE)], study=make_study(name=HOSTILE))]
    text = said(jobs, "markdown")
    title = text.splitlines()[0]
    assert title == (
        r"## &lt;b&gt;&#64;all&lt;/b&gt; \| \#12 \[x\](http&#58;//y) www&#46;z.com "
        r"\`c\` \*d\* \_e\_ \~f\~ \$g\$ \\"
    )
    assert "<b>" not in text
    assert "@" not in text


@given(st.text(max_size=30))
def test_no_text_breaks_a_table_of_markdown(name: str) -> None:
    jobs = [job("p", [trial(1, None, reason=name)])]
    lines = said(jobs, "markdown").splitlines()
    rows = [line for line in lines if line.startswith("|") and "cloudtune logs" in line]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", rows[0])) == 5


def test_the_suffix_of_a_file_selects_the_format() -> None:
    assert [report_format(Path(name)) for name in ("a.HTML", "b.md", "c.json", "d.txt")] == [
        *("html", "markdown", "json", "text"),
    ]
    with pytest.raises(UsageError, match="unknown report format"):
        report_format(Path("report.pdf"))


def test_without_vl_convert_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingExtraError, match=r"cloudtune\[report\]"):
        said([job("p", [0.5])], "html")


def test_the_page_is_self_contained() -> None:
    created = said([job("p", [0.5, 0.6])], "html")
    outside = re.sub(r"<script.*?</script>", "", created, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=[\"'](?!#)", outside) == []
    assert "url(" not in outside
    assert "@import" not in outside


def test_many_trials_are_drawn_in_part_with_the_best_of_each_group() -> None:
    low, high = job("p", [n / 1000 for n in range(900)]), job("q", [0.1, 0.2])
    some, note = downsample(group_jobs([low, high]), "maximize", limit=100)
    assert note.startswith("52 of 902 trials are drawn")
    own = [each for each in some if each.label == "p"]
    assert len(own) == len({each.trial.number for each in own}) == 50
    assert {0.899, 0.898, 0.890} <= {each.values[0] for each in own}
    assert min(each.values[0] for each in own) < 0.03
    assert downsample(group_jobs([high]), "maximize", limit=100)[1] == ""


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    light = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def test_colors_have_enough_contrast() -> None:
    style = Path(page.__file__).with_name("style.css").read_text("utf-8")
    themes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", root))
        for root in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(themes) == 2
    words = [(word, on) for word in ("ink", "soft", "accent") for on in ("paper", "card")]
    words += [("soft", "grid"), ("open", "open-back"), ("good", "good-back")]
    marks = [(f"g{n}", on) for n in range(6) for on in ("paper", "card")]
    for theme in themes:
        for pairs, least in ((words, 4.5), (marks, 3.0)):
            for front, back in pairs:
                low, high = sorted(luminance(theme[name]) for name in (front, back))
                assert (high + 0.05) / (low + 0.05) >= least, (front, back)


ODD = {
    "no trials": [job("p", [])],
    "nothing is known yet": [replace(job("p", []), started=None, ended=None, state="pending")],
    "all failed": [job("p", [None, None])],
    "all alike": [job("p", [0.5] * 30), job("q", [0.5] * 30)],
    "no parameters": [job("p", [trial(1, 0.5, parameters={})])],
    "more groups than colours": [job(f"p{n}", [0.3, 0.5 + n / 100]) for n in range(9)],
    "as far apart as numbers can be": [job("p", [1e308, -1e308]), job("q", [1e308, 5e-324])],
}


@pytest.mark.parametrize("name", ODD)
def test_unusual_results_can_be_reported(name: str) -> None:
    for form in ("text", "markdown", "json", "html"):
        text = said(ODD[name], form)
        assert all(each.provider in text for each in ODD[name])


def test_the_command_that_shows_a_log_names_the_provider_and_stays_on_one_line() -> None:
    lost = trial(7, None, reason=" ".join(["out of memory"] * 8))
    jobs = [job("p", [0.5]), job("q r", [lost])]
    shown = "cloudtune logs r1 7 --on 'q r'"
    assert shown in [line.strip() for line in said(jobs).splitlines()]
    assert f"| {shown} |" in said(jobs, "markdown")


def test_the_trials_of_the_front_are_named() -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    created = make_study(objective=both)
    values = {"lr": 0.25, "kernel": "rbf"}
    jobs = [
        job("p", [trial(1, (0.5, 7)), trial(2, (0.9, 5), parameters=values)], study=created),
        job("q", [trial(3, (0.8, 4))], study=created),
    ]
    lines = said(jobs).splitlines()
    rows = lines[lines.index("Common Pareto front") + 3 :][:2]
    assert [row.split() for row in rows] == [
        ["p", "r1", "2", "0.9", "5", "lr=0.25", "kernel=rbf"],
        ["q", "r1", "3", "0.8", "4", "lr=1", "kernel=rbf"],
    ]
    assert "| p | r1 | 2 | 0.9 | 5 | lr=0.25 kernel=rbf |" in said(jobs, "markdown")
    assert "Common Pareto front" not in said([job("p", [0.5])])


def test_one_trial_is_singular() -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    steps = measured((1, 0.1, 101.0), (2, 0.2, 102.0))
    one = job("p", [trial(1, (0.2, 1), measurements=steps)], study=make_study(objective=both))
    lost = job("q", [None], study=make_study(objective=both))
    for form in ("text", "markdown", "html"):
        text = re.sub("<script.*?</script>", "", said([one, lost], form), flags=re.DOTALL)
        assert re.findall(r"\b1 (?:best )?trials\b", text) == []


def test_a_long_front_is_cut_with_a_note() -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    line = [trial(n, (n, n)) for n in range(1, 61)]
    text = said([job("p", line, study=make_study(objective=both))])
    assert "The first 50 of 60 trials; `--json` has all." in text
    assert len(re.findall(r"^  p +r1 ", text, re.MULTILINE)) == 51


@pytest.mark.parametrize("form", ["text", "markdown", "html", "json"])
def test_a_report_of_one_run_leads_with_its_best_trial(form: str) -> None:
    study = make_study(trial={"script": "train.py"})
    near = {"lr": 99.0, "kernel": "rbf"}
    trials = [trial(1, 0.5), *(trial(n, 0.5 + n / 10, parameters=near) for n in (2, 3))]
    text = said([job("local", trials, study=study)], form)
    if form != "json":
        plain = flat(text.replace("&#39;", "'"))
        assert "accuracy 0.8 in trial 3 of 3" in plain
        assert "0.3 or 60 % higher than the first trial (0.5)" in plain
        assert "lr = 99 is near its upper bound 100" in plain
        assert "nothing to compare" not in plain.lower()
        assert plain.index("accuracy 0.8") < plain.index("The best trials")
    assert "python train.py --lr 99.0 --kernel rbf" in text
    assert "--set parameters.lr.max=10000" in text


@pytest.mark.parametrize(
    ("strategy", "outlook"),
    [
        ("bayesian", "More trials like these are unlikely to help."),
        ("random", "find a better value in about one of two cases"),
        ("grid", None),
    ],
)
def test_what_more_trials_promise_depends_on_the_strategy(
    strategy: str, outlook: str | None
) -> None:
    parameters = {"n": {"type": "int", "min": 1, "max": 12}}
    study = make_study(strategy={"name": strategy}, parameters=parameters)
    values = [0.5, 0.9, *[0.6] * 10]
    trials = [trial(n, value, parameters={"n": n}) for n, value in enumerate(values, start=1)]
    text = flat(said([job("local", trials, study=study)]))
    assert ("Search:" in text) == (outlook is not None)
    assert outlook is None or outlook in text


@pytest.mark.parametrize("after", [0, 1])
def test_a_search_that_barely_improved_at_the_end_says_so(after: int) -> None:
    text = flat(said([job("local", [0.1, 0.9, *[0.5] * 17, 0.9001, *[0.5] * after])]))
    assert "Hardly improving at the end: the best value came after 20 of" in text


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@given(values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8))
def test_every_overview_can_be_written(goal: str, values: list[float]) -> None:
    study = make_study(objective={"metric": "loss", "goal": goal})
    text = said([job("p", values, study=study)])
    assert "Best: loss" in text
    assert "nan" not in text


def test_a_learning_curve_has_one_value_per_step() -> None:
    """A trial that began anew has reported some steps twice."""
    reports = [(1, 0.1), (2, 0.2), (1, 0.3), (2, 0.4), (3, 0.5)]
    measurements = measured(*((step, value, 100.0) for step, value in reports))
    group = group_jobs([job("local", [replace(trial(1, 0.5), measurements=measurements)])])
    chart = learning_chart(group, make_study().objectives[0], ["local"])
    assert chart is not None
    rows = chart.spec["data"]["values"]
    assert [(row["x"], row["y"]) for row in rows] == [(1, 0.3), (2, 0.4), (3, 0.5)]


def test_gains_have_no_exponent_and_never_100_percent_of_a_rest() -> None:
    study = make_study(objective={"metric": "size", "goal": "minimize"})
    text = flat(said([job("p", [19220.0, 72722.0, 100.0], study=study)]))
    assert "19100 or 99.5 % lower than the first trial (19220)" in text
    text = flat(said([job("p", [72722.0, 1e-9], study=study)]))
    assert "72700 or 99.9 % lower than the first trial" in text
    for values in ([-0.066, -0.52], [0.066, -0.3], [-2.0, -4.0]):
        text = flat(said([job("p", values, study=study)]))
        assert "lower than the first trial" in text
        assert "%" not in text.split("lower than the first trial")[0].split("Gain")[1]
    assert "since no completed trial measured" in flat(said([job("p", [None])]))


def test_the_time_that_a_run_took_does_not_include_the_time_in_between() -> None:
    resumed = replace(job("p", [0.5, 0.6]), ended=1000.0, idle=880.0)
    assert "It took 20 s." in flat(said([resumed]))


def test_slices_have_listed_values_in_the_order_of_the_study() -> None:
    listed = {"type": "discrete", "values": [8, 16, 128]}
    study = make_study(parameters={"batch": listed})
    trials = [trial(n, 0.5, parameters={"batch": each}) for n, each in enumerate((128, 16, 8), 1)]
    drawn, _ = downsample(group_jobs([job("p", trials, study=study)]), "maximize")
    (chart,) = slice_charts(study, drawn, ["p"], [])
    assert json.loads(json.dumps(chart.spec))["encoding"]["x"]["sort"] == ["8", "16", "128"]
