"""Row 26: two owners, every route with foreign ids, and a private model that one of them cached."""


def test_26_foreign_ids_and_private_models(serve, models, found):
    service = serve()
    service.hub.add("org/private", models / "tiny", private={"operator"})
    service.api()
    service.worker()
    service.dispatcher()
    ann = service.key("ann", "write", "gated")
    with service.client(ann) as http:
        document = http.get("/openapi.json").json()
        body = {"model": "org/private", "expert_budget": 18}
        plan = http.post("/v1/plans", json=body, headers={"Prefer": "wait=60"}, timeout=90).json()
        assert plan["status"] == "succeeded", plan
        layers = http.get(f"/v1/analyses/{plan['analysis_id']}/layers").json()["data"]
    real = {"plans": plan["id"], "analyses": plan["analysis_id"]}
    foreign, private = [], []
    for key in (service.key("ben", "write", "gated"), service.key("same", "write")):
        with service.client(key) as http:
            for path, methods in document["paths"].items():
                kind = next((kind for kind in real if f"/{kind}/" in path), None)
                for method in methods if kind else ():
                    address = path.format(job_id=real[kind], name=layers[0]["name"])
                    query = {"format": "csv"} if path.endswith("export") else {}
                    foreign.append(http.request(method, address, params=query).status_code)
    for key in (
        service.key("ben", "write"),
        service.key("ann", "write"),
        service.key("r", "admin"),
    ):
        with service.client(key) as http:
            private += [
                http.post("/v1/plans", json=body).status_code,
                http.post("/v1/analyses", json={"model": "org/private"}).status_code,
                http.get("/v1/model-info", params={"model": "org/private"}).status_code,
                http.post(
                    "/v1/plans", json={"analysis_id": plan["analysis_id"], "expert_budget": 18}
                ).status_code,
                http.get(f"/v1/plans/{plan['id']}").status_code,
            ]
            assert http.get("/v1/plans").json()["data"] == []
    found(
        "26 two owners", foreign=len(foreign), not_found=foreign.count(404), private=len(private),
        refused=sum(status in (403, 404) for status in private),
    )  # fmt: skip
    assert len(foreign) >= 28
    assert set(foreign) == {404}
    assert set(private) <= {403, 404}
