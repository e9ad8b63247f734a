# SPDX-License-Identifier: AGPL-3.0-or-later
"""Five times as many requests as the server can answer, at a fixed rate that does not wait for answers: it answers about as many as ever, tells the others
to come later, and is as before when they stop."""
import pytest

import crowd
from wardmote_long import pick
from wardmote_records import unique

pytestmark = pytest.mark.alone
SECONDS = pick(4, 30)
TARGET = "/v1/communities?limit=250&count=exact"


@pytest.fixture(scope="module", name="crowded")
def _crowded(administrator):
    name = unique("Overload")
    for number in range(250):
        assert administrator.post("/v1/communities", {"name": f"{name} {number}", "kind": "interest"}).status == 201


@pytest.mark.usefixtures("crowded")
def test_five_times_too_many(serve, release, host, anonymous, record_property):
    server = serve(workers=2, queue_limit=128)
    token = crowd.client(server, host, anonymous).token
    crowd.prefer(server.process.pid)
    crowd.prefer_cluster(server.cluster)
    request = [crowd.get(TARGET, token)]
    peak = crowd.Load(release, server, request, 0, 2, 64).result()
    capacity = peak["good"]["n"] / peak["seconds"]
    assert set(peak["statuses"]) == {"200"}, peak
    over = crowd.Load(release, server, request, round(5 * capacity), SECONDS, 3000).result()
    after = crowd.Load(release, server, request, round(capacity / 2), 2, 64).result()
    figures = {"capacity": round(capacity), "goodput": round(over["good"]["n"] / over["seconds"]), "statuses": over["statuses"],
               "admitted p99_ms": over["good"]["p99_ms"], "shed p99_ms": over["shed"]["p99_ms"], "after p99_ms": after["good"]["p99_ms"]}
    record_property("figures", str(figures))
    print(figures)
    assert set(over["statuses"]) <= {"200", "503"} and over["statuses"].get("503", 0) > over["good"]["n"], figures
    assert over["without_retry_after"] == 0 and over["late"] == 0 and over["broken"] == 0, over
    assert figures["goodput"] >= 0.9 * capacity, figures
    assert over["good"]["p99_ms"] < 5000 and over["shed"]["p99_ms"] < 1000, figures
    assert set(after["statuses"]) == {"200"} and after["good"]["p99_ms"] < 200, figures
