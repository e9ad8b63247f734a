# SPDX-License-Identifier: AGPL-3.0-or-later
"""Steps that break the database under the callers, who all share one connection a lane: backends end, connections are cut before or after an answer, statements
are cancelled, wait too long or fail with a SQLSTATE. Whatever is answered meanwhile, nothing leaks; and afterwards each gets what the model says, exactly."""
import concurrent.futures
import contextlib
import threading
import time

from oracle_model import KINDS, OWNED_KINDS, Record, is_visible, owns, past_is_open, refusal_to_change, refusal_to_create, refusal_to_read
from oracle_reads import Reads, ids_of
from oracle_world import ANY

UNWELL = {500, 503, 504}
SQLSTATES = ("40001", "40P01", "57014", "25P02", "53200", "55P03", "XX000", "08006", "22P02", "P0001")
RETRIED = ("40001", "40P01")
RECOVERY_SECONDS = 20
# Fails the next writes with a SQLSTATE of the test's choice. A sequence counts them, since it does not roll back.
TRAP = """
CREATE SCHEMA oracle;
CREATE TABLE oracle.plan (state text, times int NOT NULL);
INSERT INTO oracle.plan VALUES (NULL, 0);
CREATE SEQUENCE oracle.tries;
CREATE FUNCTION oracle.trap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	p oracle.plan;
BEGIN
	SELECT * INTO p FROM oracle.plan;
	IF p.state IS NOT NULL AND nextval('oracle.tries') <= p.times THEN
		RAISE EXCEPTION 'made by the oracle' USING ERRCODE = p.state;
	END IF;
	RETURN NEW;
END $$;
"""


def set_trap(stage):
    with stage.sql.cursor() as cursor:
        cursor.execute(TRAP)
        for name in OWNED_KINDS:
            cursor.execute(f"CREATE TRIGGER oracle_trap BEFORE INSERT OR UPDATE ON wardmote.{KINDS[name].table} FOR EACH ROW EXECUTE FUNCTION oracle.trap()")


class Question:
    """A request that changes nothing, and its answer's statuses."""

    def __init__(self, caller, method, path, expect, check=None, **options):
        self.caller, self.method, self.path, self.expect, self.check, self.options = caller, method, path, expect, check, options


class Faults(Reads):
    # --- questions ---

    def question(self, luck):
        caller, record, choice = self.actor(luck), self.some_record(luck), luck.number(6)
        path = f"/v1/{record.resource}/{record.id}"
        read = refusal_to_read(caller, record)
        if choice == 1 and record.deleted and past_is_open(caller, record):
            read = None if caller.may(record.resource, "read") else 403
        if choice in (0, 1):
            expect = {read or 200} | ({404} if read == 403 and record.deleted else set())
            return Question(caller, "GET", path + ("/history" if choice else ""), expect, past=bool(choice))
        if choice == 2:
            return self._list_question(caller, record)
        refusal = refusal_to_change(caller, record)
        if choice == 3 and refusal is not None:
            return Question(caller, "PATCH", path, {refusal}, body={record.kind.title: self.stage.marks.new(record.partner)}, headers=ANY)
        kind = KINDS[luck.pick(("communities", "consultations", "codes"))]
        body = {**kind.fixed, **self.texts(caller.partner, kind)}
        taken = [other for other in self.records if other.resource == kind.name and owns(caller, other) and not other.deleted
                 and "external_id" in other.now.texts]
        refusal = refusal_to_create(caller, kind.name, caller.partner)
        if choice == 4 and taken and refusal is None:  # an error of the database between the statements of others
            return Question(caller, "POST", f"/v1/{kind.name}", {409}, body={**body, "external_id": taken[0].now.texts["external_id"]})
        return Question(caller, "POST", f"/v1/{kind.name}", {refusal or 201}, body=body, params={"dry_run": "true"})

    def _list_question(self, caller, record):
        pool = [other for other in self.records if other.resource == record.resource][-40:]
        wanted = {other.id for other in pool if is_visible(caller, other)}
        refusal = 401 if record.resource == "accounts" and caller.rank == 0 else None if caller.may(record.resource, "read") else 403

        def check(answer):
            if set(ids_of(answer)) != wanted:
                self.fail(f"{caller} lists {sorted(ids_of(answer))}, not {sorted(wanted)}")

        return Question(caller, "GET", f"/v1/{record.resource}", {refusal or 200}, check, params={"id": ",".join(other.id for other in pool), "limit": "500"})

    def put_question(self, question, wire, more=frozenset()):
        """The deadline is short, and the machine may be busy with other tests: what was too slow is asked again, twice."""
        for patient in (True, True, False):
            busy = {503, 504} if patient else set()
            answer = self.ask(question.caller, question.method, question.path, expect=question.expect | more | busy, wire=wire, **question.options)
            if answer.status in question.expect | more:
                break
        if answer.status == 200 and question.check is not None:
            question.check(answer)
        return answer

    def burst(self, luck, more=frozenset(), count=12):
        """Questions of several callers at once: their statements lie behind one another on the same connections. The futures."""
        questions = [self.question(luck) for _ in range(count)]

        def run(number):
            for question in questions[number::len(self.stage.side_wires)]:
                self.put_question(question, self.stage.side_wires[number], more)

        pool = concurrent.futures.ThreadPoolExecutor(len(self.stage.side_wires))
        futures = [pool.submit(run, number) for number in range(len(self.stage.side_wires))]
        pool.shutdown(wait=False)
        return futures

    def step_burst(self, luck):
        for future in self.burst(luck):
            future.result()

    # --- faults ---

    def backends(self, what):
        with self.stage.sql.cursor() as cursor:
            cursor.execute(f"SELECT {what}(pid) FROM pg_stat_activity WHERE usename = 'wardmote_api' AND datname = %s", (self.stage.database,))

    @contextlib.contextmanager
    def failing(self, state, times):
        with self.stage.sql.cursor() as cursor:
            cursor.execute("SELECT setval('oracle.tries', 1, false)")
            cursor.execute("UPDATE oracle.plan SET state = %s, times = %s", (state, times))
            try:
                yield
            finally:
                cursor.execute("UPDATE oracle.plan SET state = NULL")

    def well_again(self):
        """Every lane answers; what is asked now is held against the model exactly."""
        self.stage.proxy.heal()
        deadline, administrator = time.monotonic() + RECOVERY_SECONDS, self.stage.administrator
        asked = [("GET", "/v1/me", {}), ("GET", "/v1/codes", {"params": {"as_of": "2020-01-01T00:00:00Z"}, "past": True}),
                 ("POST", "/v1/communities", {"params": {"dry_run": "true"}, "body": {"name": "Well", "kind": "interest"}})]
        while asked:
            answer = self.ask(administrator, asked[0][0], asked[0][1], expect={200, 201, 503, 504}, **asked[0][2])
            if answer.status < 500:
                asked.pop(0)
            elif time.monotonic() > deadline:
                self.fail("the database is well, the server is not")
            else:
                time.sleep(0.02)  # a connection is being made; the deadline decides

    def pids(self):
        with self.stage.sql.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'wardmote_api' AND datname = %s", (self.stage.database,))
            return {pid for (pid,) in cursor.fetchall()}

    def gone_backends(self, pids):
        """A backend whose client is gone finishes what it had read: only then does the table say what became of it."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while self.pids() & pids:
            if time.monotonic() > deadline:
                self.fail("backends that were cut off are still there")
            time.sleep(0.01)  # they end by themselves; the deadline decides

    def written(self, luck, more, pids=frozenset()):
        """A change by somebody who may, under a fault: it is stored, or it is not; the table says which, and the model takes that over. `pids`: backends that
        the fault ends."""
        pool = [(caller, record) for record in self.records for caller in self.callers if record.resource in OWNED_KINDS and not record.deleted
                and caller.token and refusal_to_change(caller, record) is None]
        if not pool:
            return
        caller, record = luck.pick(pool)
        texts = self.texts(record.partner, record.kind, names=[record.kind.title])
        answer = self.ask(caller, "PATCH", f"/v1/{record.resource}/{record.id}", body=texts, headers=ANY, expect={200} | more, target=record)
        self.gone_backends(pids)
        with self.stage.sql.cursor() as cursor:
            cursor.execute(f"SELECT version, to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM wardmote.{record.kind.table} WHERE id = %s",
                           (record.id,))
            version, moment = cursor.fetchone()
        if version != record.now.number:
            self.changed(caller, record, version, moment, texts=texts)
        elif answer.status == 200:
            self.fail("a change was acknowledged and is not there")
        if answer.status >= 500 and version != record.now.number and "outcome" not in answer.json():
            self.fail("a change is there, and its answer says that nothing was done")

    def step_fault(self, luck):
        if luck.number(2):
            return
        self.stage.faults += 1
        kind = luck.pick(("ended", "cut", "before", "after", "state", "state", "cancelled", "slow"))
        self.trace.append(f"-- fault: {kind}")
        getattr(self, f"_fault_{kind}")(luck)
        self.well_again()
        for future in self.burst(luck):
            future.result()

    def _amid(self, luck, fault):
        """The fault, while a dozen questions are under way."""
        futures = self.burst(luck, UNWELL)
        threading.Event().wait(luck.number(8) / 1000)  # somewhere in the burst, by the luck of the sequence
        fault()
        for future in futures:
            future.result()

    def _fault_ended(self, luck):
        self._amid(luck, lambda: self.backends("pg_terminate_backend"))
        pids = self.pids()
        self.backends("pg_terminate_backend")
        self.written(luck, UNWELL, pids)

    def _fault_cut(self, luck):
        self._amid(luck, self.stage.proxy.cut)
        pids = self.pids()
        self.stage.proxy.cut()
        self.written(luck, UNWELL, pids)

    def _fault_before(self, luck, moment="before"):
        mark = self.stage.marks.new(None)
        partner = luck.pick([partner for partner in self.partners if not partner.suspended] or [self.stage.host_partner])
        caller = self.ready(luck.pick([caller for caller in partner.callers if caller.rank >= 2 and caller.scopes is None] or [self.stage.administrator]))
        kind = KINDS["communities"]
        if refusal_to_create(caller, kind.name, caller.partner) is not None:
            return
        texts = {"name": mark}
        self.stage.proxy.cut_at(mark, moment)
        body, headers = {**kind.fixed, **texts}, {"Idempotency-Key": f"fault-{mark}"}
        lost = self.ask(caller, "POST", "/v1/communities", body=body, headers=headers, expect={201} | UNWELL)
        self.well_again()
        answer = lost if lost.status == 201 else self.ask(caller, "POST", "/v1/communities", body=body, headers=headers, expect={201})
        self.made(caller, Record(kind.name, caller.partner), answer, texts, "private")

    def _fault_after(self, luck):
        self._fault_before(luck, "after")

    def _fault_state(self, luck):
        state, times = luck.pick(SQLSTATES), luck.pick((1, 2, 1000))
        with self.failing(state, times):
            futures = self.burst(luck, UNWELL | {409, 422, 400}, 6)
            self.written(luck, UNWELL | ({409, 422, 400} if state not in RETRIED else set()))
            for future in futures:
                future.result()

    def _fault_cancelled(self, luck):
        """A table is locked, what waits for it is cancelled."""
        with self.table_locked(KINDS[luck.pick(("communities", "consultations", "activities"))]):
            futures = self.burst(luck, UNWELL)
            while not all(future.done() for future in futures):
                self.backends("pg_cancel_backend")
                time.sleep(0.01)  # the next statement begins to wait
        for future in futures:
            future.result()

    def _fault_slow(self, luck):
        """A table is locked until the statements that wait for it have run out of time."""
        if luck.number(5):
            return
        with self.table_locked(KINDS[luck.pick(("communities", "consultations", "activities"))]):
            for future in self.burst(luck, UNWELL, 6):
                future.result()
