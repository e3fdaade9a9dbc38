"""Analyses over HTTP: the same document, rows, CSV and densities."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

import tailora
from tests.service.api.conftest import LAYERS
from tests.worker.pump import all_units, pump


def analysed(api, **words) -> dict:
    accepted = api.http.post("/v1/analyses", json={"model": api.model, **words})
    assert accepted.status_code in (200, 201, 202), accepted.text
    pump(api.ledger)
    return api.http.get(accepted.json()["links"]["self"]).json()


def test_the_document_is_the_librarys(api, tmp_path):
    done = analysed(api, **{"all": True})
    expected = tailora.analyze(api.model, cache=tmp_path / "cache", scope="all")
    found = api.http.get(done["links"]["document"]).json()
    local = json.loads(expected.model_dump_json())
    for document in (found, local):
        del document["provenance"]
    assert found == local
    assert done["summary"]["layers"] == local["layers"]
    assert done["summary"]["matrices"] == len(local["matrices"])


def test_the_same_again_is_found(api):
    first = analysed(api)
    again = api.http.post("/v1/analyses", json={"model": api.model})
    assert again.status_code == 200
    assert again.json()["id"] == first["id"]
    other = api.http.post("/v1/analyses", json={"model": api.model, "estimator": "ks"})
    assert other.status_code == 201
    assert other.json()["id"] != first["id"]
    assert len(all_units(api.ledger)) == 1


def test_layers_as_rows_and_csv(api):
    done = analysed(api)
    rows = api.http.get(done["links"]["layers"]).json()
    assert rows["estimator"] == "hill"
    assert len(rows["data"]) == 4 * LAYERS
    table = api.http.get(done["links"]["layers"], headers={"Accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    parsed = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["name"] for row in parsed] == [row["name"] for row in rows["data"]]
    assert [float(row["alpha"]) for row in parsed] == [r["fit"]["alpha"] for r in rows["data"]]
    some = api.http.get(done["links"]["layers"], params={"module": "q_proj, mlp.up_proj"}).json()
    assert {row["module"] for row in some["data"]} == {"self_attn.q_proj", "mlp.up_proj"}
    wrong = api.http.get(done["links"]["layers"], params={"module": "v_proj"})
    assert wrong.json()["code"] == "invalid_option"


def weight(folder, name: str) -> np.ndarray:
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    with safe_open(folder / index[name], "pt") as opened:
        return opened.get_tensor(name).to(torch.float64).numpy()


def test_density_of_a_matrix(api, tiny):
    """Against numpy's own singular values: bins, scale, and the tail's line."""
    done = analysed(api)
    name = "model.layers.2.mlp.up_proj.weight"
    path = f"{done['links']['layers']}/{name}/esd"
    esd = api.http.get(path, params={"bins": 12, "full": True}).json()
    values = np.sort(np.linalg.svd(weight(tiny, name), compute_uv=False) ** 2)
    assert np.allclose(esd["values"], values, rtol=1e-3, atol=1e-4)
    edges, density = np.array(esd["edges"]), np.array(esd["density"])
    assert len(edges) == 13
    assert np.allclose(np.diff(np.log(edges)), np.log(edges[-1] / edges[0]) / 12)
    counts, _ = np.histogram(np.array(esd["values"]), edges)
    assert np.allclose(density * np.diff(edges) * values.size, counts)
    assert counts.sum() == values.size - esd["zeros"]
    fit = esd["fit"]
    (low, high), (first, last) = esd["line"]["x"], esd["line"]["y"]
    assert low == fit["xmin"]
    assert high == pytest.approx(values[-1], rel=1e-3)
    assert np.log(last / first) / np.log(high / low) == pytest.approx(-fit["alpha"])
    area = first * low / (fit["alpha"] - 1)
    assert area == pytest.approx(fit["tail"] / values.size), "the tail's share of all"
    assert api.http.get(path).json()["values"] is None


def test_model_info(api):
    asked = api.http.get(
        "/v1/model-info", params={"model": api.model}, headers={"Prefer": "wait=0"}
    )
    assert asked.status_code == 202
    assert asked.json()["outline"] is None
    pump(api.ledger)
    found = api.http.get("/v1/model-info", params={"model": api.model})
    assert found.status_code == 200
    expected = json.loads(tailora.outline(api.model).model_dump_json())
    outline = found.json()["outline"]
    assert outline["estimate"]["matrices"] == 4 * LAYERS
    del outline["estimate"], expected["estimate"]
    assert outline == expected
    assert api.count() == 1
    bad = api.http.get("/v1/model-info", params={"model": "/nowhere"})
    assert bad.json()["code"] == "path_not_allowed"


def test_methods_and_versions(api):
    found = api.http.get("/v1/methods").json()
    names = {method["name"]: method for method in found["methods"]}
    assert set(names) == {"alphalora", "alphalora_as_released", "mola", "uniform", "custom"}
    assert names["alphalora"]["parameters"]["properties"]["beta"]["default"] == 2.5
    assert names["mola"]["brings_budget"]
    assert {each["name"] for each in found["estimators"]} == {
        "hill", "ks", "peak", "peak_as_released",
    }  # fmt: skip
    assert "peft" in found["formats"]
    assert api.http.get("/version").json()["database"] == "0004"
    assert api.http.get("/problems/model_gated").json()["status"] == 403
    assert api.http.get("/problems/x").status_code == 404


def test_request_ids(api):
    own = api.http.get("/healthz", headers={"X-Request-ID": "mine-1"})
    assert own.headers["x-request-id"] == "mine-1"
    hostile = api.http.get("/healthz", headers={"X-Request-ID": "a\tb" + "x" * 100})
    assert hostile.headers["x-request-id"].startswith("req_")
