"""From a plan to a training by the form: what it offers, what it asks for, who may."""

import html
import re

import pytest

from ledger.presence import Worker, arrive
from tests.pages.conftest import Browser
from tests.service.api.keys import REACHED, new_key
from tests.worker.pump import pump

ROWS = b"text,label\na,1\nb,2\n"
CSV = {"content-type": "text/csv", "Sec-Fetch-Site": "same-origin"}
FORM = {"preset": "lora", "schedule.steps": "6", "optimiser.learning_rate": "1e-3",
        "more": "mixture.mask_rate = 0.2\n\nschedule.shape=cosine"}  # fmt: skip


@pytest.fixture
def registered(make_api, tmp_path) -> Browser:
    """A service with data of its operator: one file that can be trained on, and one that cannot."""
    folder = tmp_path / "registered"
    folder.mkdir()
    (folder / "labels.csv").write_bytes(ROWS)
    (folder / "odd.csv").write_bytes(b"colour\nred\n")
    return Browser(make_api(datasets=str(folder)))


def upload(browser, name: str = "mine.csv", **headers) -> str:
    sent = browser.api.http.post("/v1/datasets", params={"name": name}, content=ROWS,
                                 headers={**CSV, **headers})  # fmt: skip
    assert sent.status_code == 201, sent.text
    return sent.json()["id"]


def test_a_plan_leads_to_the_form_and_the_form_to_a_training(registered):
    plan_id = registered.planned()
    assert f'href="/plans/{plan_id}/train"' in registered.get(f"/plans/{plan_id}").text
    data, place = upload(registered), f"/plans/{plan_id}/train"
    shown = registered.get(place).text
    assert f'<option value="{data}">mine.csv (uploaded, 19 B, classification)' in shown
    assert '<option value="labels.csv">labels.csv (registered, 19 B, classification)' in shown
    assert '<option value="odd.csv" disabled>' in shown
    assert '<option value="alphalora" selected>' in shown
    sent = registered.post(place, dataset=data, held_out="labels.csv", **FORM)
    assert sent.status_code == 303, sent.text
    job = registered.api.http.get(f"/v1{sent.headers['location']}").json()
    assert job["request"] == {
        "plan_id": plan_id, "dataset": data, "held_out": "labels.csv", "preset": "lora",
        "settings": {"schedule.steps": 6, "optimiser.learning_rate": 1e-3,
                     "mixture.mask_rate": 0.2, "schedule.shape": "cosine"},
    }  # fmt: skip
    assert "No step has been told of yet" in registered.get(sent.headers["location"]).text


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({}, 422, "dataset"),
        ({"dataset": "none.csv"}, 404, "none.csv"),
        ({"dataset": "dts_00"}, 404, "dts_00"),
        ({"preset": "best"}, 422, "preset"),
        ({"schedule.steps": "few"}, 422, "schedule.steps"),
        ({"schedule.steps": "0"}, 422, "schedule.steps"),
        ({"schedule.epochs": "100000"}, 422, "schedule.epochs"),
        ({"optimiser.learning_rate": "NaN"}, 422, "optimiser.learning_rate"),
        ({"schedule.batch": "7", "schedule.micro_batch": "2"}, 422, "batch"),
        ({"more": "schedule.steps"}, 422, "schedule.steps"),
        ({"more": "base.path=/etc/passwd"}, 422, "base.path"),
        ({"more": "colour=" + "[" * 5000}, 422, "colour"),
    ],
)
def test_what_cannot_be_is_named_and_the_form_keeps_all(registered, fields, status, named):
    place = f"/plans/{registered.planned()}/train"
    given = {"dataset": "labels.csv"} if fields else {}
    before = registered.api.count()
    sent = registered.post(place, **{**given, **fields})
    assert sent.status_code == status, sent.text
    alert = html.unescape(re.search(r'role="alert".*?</div>', sent.text, re.DOTALL).group())
    assert named in alert
    kept = html.unescape(sent.text)
    for name, value in fields.items() - {("preset", "best")}:  # which is no choice
        assert f">{value}</textarea>" in kept or f'value="{value}"' in kept, name
    assert registered.api.count() == before


def test_such_a_form_starts_a_comparison(registered):
    plan_id = registered.planned()
    place = f"/plans/{plan_id}"
    shown = registered.get(f"{place}/train").text
    assert f'href="{place}/compare"' in shown
    assert 'name="seeds"' not in shown
    form = registered.get(f"{place}/compare").text
    assert f'<form method="post" action="{place}/compare"' in form
    assert form.count("<button>") == 1, "Enter in any field sends what the form is for"
    few = {"dataset": "labels.csv", "schedule.steps": "6"}
    sent = registered.post(f"{place}/compare", **few, against="uniform, mola:10,2,2 lora",
                           seeds="3,5, 7")  # fmt: skip
    assert sent.status_code == 303, sent.text
    job = registered.api.http.get(f"/v1{sent.headers['location']}").json()
    asked = job["request"]
    assert asked["plans"] == {"plan": plan_id}
    assert (asked["against"], asked["seeds"]) == (["uniform", "mola:10,2,2", "lora"], [3, 5, 7])
    assert asked["settings"] == {"schedule.steps": 6}
    assert "once all trainings have ended" in registered.get(sent.headers["location"]).text
    for fields, named in (({"against": "sideways"}, "sideways"), ({"seeds": "a, b"}, "seeds"),
                          ({"seed": "4"}, "seed is no field")):  # fmt: skip
        refused = registered.post(f"{place}/compare", **few, **fields)
        assert refused.status_code == 422
        alert = re.search(r'role="alert".*?</div>', refused.text, re.DOTALL).group()
        assert named in alert
        for value in fields.values():
            assert f'value="{value}"' in refused.text


def test_without_data_it_says_how_to_bring_some(browser):
    place = f"/plans/{browser.planned()}/train"
    shown = html.unescape(browser.get(place).text)
    assert "There is no data yet" in shown
    assert 'data-upload="/v1/datasets"' in shown
    assert "tailora datasets upload answers.jsonl" in shown
    assert "prompt + completion" in shown
    upload(browser)
    assert "There is no data yet" not in browser.get(place).text


def test_without_uploads_it_says_who_brings_data(make_api):
    browser = Browser(make_api(dataset_bytes=0))
    shown = browser.get(f"/plans/{browser.planned()}/train").text
    assert "takes no uploads" in shown
    assert "data-upload" not in shown


def test_without_a_worker_that_trains_it_says_so_and_takes_the_training(registered):
    place = f"/plans/{registered.planned()}/train"
    note = "tailora worker --queue train"
    assert note in registered.get(place).text
    training = registered.post(place, dataset="labels.csv").headers["location"]
    assert note in registered.get(training).text
    assert note in registered.get(training.replace("/trainings/", "/jobs/")).text
    with registered.api.ledger.database.write() as connection:
        arrive(connection, Worker("one", "here", "train", "cpu", 1, "1"))
    for each in (place, training):
        assert note not in registered.get(each).text


def test_a_plan_that_is_not_there_yet(browser):
    job_id = browser.submit()
    waiting = browser.get(f"/plans/{job_id}/train")
    assert str(waiting.url).endswith(f"/jobs/{job_id}")
    refused = browser.post(f"/plans/{job_id}/train", dataset="labels.csv")
    assert refused.status_code in (303, 409)
    assert browser.get("/plans/pln_00/train").status_code == 404


def test_forms_of_other_sites_start_nothing(registered):
    place = f"/plans/{registered.planned()}/train"
    before = registered.api.count()
    for headers in ({}, {"Origin": "https://elsewhere.example"}):
        for way in (place, place.replace("/train", "/compare")):
            assert registered.post(way, headers, dataset="labels.csv").status_code == 422
    assert registered.api.count() == before


def test_others_see_and_start_nothing(make_api, tmp_path):
    api = make_api(**REACHED)
    browser = Browser(api)
    keys = {
        name: new_key(api, name, owner, scope)["Authorization"][7:]
        for name, owner, scope in (("ann", "ann", "write"), ("reads", "ann", "read"),
                                   ("ben", "ben", "write"))
    }  # fmt: skip
    browser.post("/sign-in", key=keys["ann"])
    plan_id = browser.submit()
    pump(api.ledger)
    place, data = f"/plans/{plan_id}/train", upload(browser, "of-ann.csv")
    assert "of-ann.csv" in browser.get(place).text
    browser.post("/sign-in", key=keys["reads"])
    assert browser.get(place).status_code == 200
    refused = browser.post(place, dataset=data)
    assert (refused.status_code, "<code>scope_missing</code>" in refused.text) == (403, True)
    browser.post("/sign-in", key=keys["ben"])
    assert browser.get(place).status_code == 404
    assert browser.post(place, dataset=data).status_code == 404
    assert browser.post(f"/plans/{plan_id}/compare", dataset=data).status_code == 404
    own = browser.submit()
    pump(api.ledger)
    shown = browser.get(f"/plans/{own}/train").text
    assert "of-ann.csv" not in shown
    assert browser.post(f"/plans/{own}/train", dataset=data).status_code == 404
    browser.post("/sign-out")
    assert browser.get(place).status_code == 401
    assert browser.post(place, dataset=data).status_code == 401
