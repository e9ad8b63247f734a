# SPDX-License-Identifier: AGPL-3.0-or-later
"""The loop: one session of tests, one cluster, one server, and the mutants one after another in them. A mutant is killed by a test that fails with it and passes
again without it. First each mutant meets the tests that are likeliest to kill it: the one that did so last time (killers.json), those that killed its like, those
that are about it. What is left meets all the others, file by file, so that what a file makes for its tests is made once."""
import collections
import contextlib
import inspect
import itertools
import json
import os
import pathlib
import random
import re
import signal
import time
import weakref

import psycopg2
import pytest
from _pytest.runner import runtestprotocol

import c_mutants
import sql_mutants
import wardmote_client
import wardmote_server

PLAN = "WARDMOTE_TEST_MUTANTS"  # names the file that says what to do
STATE_LOST = 75
TEST_SECONDS = 120
DROPPED_MOST = 8
LIKELY = 8  # of the tests that are about a mutant
FEW = 5  # mutants of the program without a known killer: for more it pays to see first which tests can kill them
# What looks at mutants of a kind, where it is not known yet which test kills one.
HINTS = [
    (r"^right|^role ", ("test_what_the_servers_role_may_touch", "test_nothing_is_granted_to_everybody", "test_the_servers_role_is_an_ordinary_one",
                        "test_the_server_reaches_tables_only")),
    (r"search path", ("test_functions_with_the_owners_rights_fix",)),
    (r"^table .*(forced|off)|^policy owner", ("test_every_table_is_forced",)),
    (r": dropped$", ("test_the_server_reaches_tables_only", "test_nothing_refers_to_nothing", "test_what_may_be_made", "test_every_table_is_forced")),
    (r"^policy .* on wardmote.partner", ("test_the_host_stays",)),
    (r"^policy .* on wardmote.account", ("test_accounts_are_out_of_reach", "test_the_tables_show_no_more")),
    (r"_past|_version: ", ("test_past.py",)),
    (r"may_manage|account_guard|code_uses|claim_key|expect_timeline|risk_in_scale|role_rank|granted", ("test_rules_of_the_database.py",)),
    (r"^policy .*(creating)", ("test_what_may_be_made",)),
    (r"^policy .*(deleting)", ("test_what_is_deleted_unseen", "test_what_may_be_deleted")),
    (r"^policy .*(changing)", ("test_what_a_record_may_become", "test_what_is_deleted_unseen", "test_no_context_writes_what_it_does_not_see")),
    (r"^policy .*(reading)|^view api\.\w+:", ("test_the_tables_show_no_more",)),
    (r"^view \w+\.\w+_(past|version)", ("test_whose_versions_each_view_shows",)),
    (r"^reference .* of auth\.", ("test_credentials_are_somebodys",)),
    (r"_fkey", ("test_nothing_refers_to_nothing",)),
    (r"dependants_", ("test_what_depends_is_counted",)),
    (r"^operation:", ("test_role_and_scope_come_first", "test_an_account_comes_first")),
    (r"^field:.*:(public|partner)", ("test_fields_are_for_their_audience",)),
    (r"^field:.*:(writable|changeable)", ("test_what_the_server_sets", "test_what_is_set_once")),
    (r"^field:.*:any reference", ("test_a_part_is_put_only_into",)),
    (r"guard_owned", ("test_a_grant_gives_no_right_to_what_is_the_owners", "test_records_are_made")),
    (r"locality_tree|risk_\w+\(\)|(tree|scale|fixed|kept) on", ("test_trees_and_scales",)),
    (r"account_guard", ("test_a_change_of", "test_administrators_belong", "test_accounts_of_a_suspended", "test_suspending_a_partner")),
    (r"account_closes|partner_suspends|^trigger (closes|suspends)", ("test_what_ends_with_an_account", "test_suspending_touches_no_other")),
    (r"first_credential", ("test_client_credentials", "test_enrolment_is_for_once")),
    (r"partner_guard", ("test_partner_tree", "test_the_host_stays")),
    (r"token\.c|cache\.c", ("test_unit[auth_token]", "test_unit[auth_claims]", "test_unit[auth_cache]")),
    (r"flows\.c", ("test_unit[auth_flows]",)),
    (r"query\w*\.c", ("test_unit[query]", "test_hidden_fields_are_unknown")),
    (r"stage_authorise|segment\.c", ("test_role_and_scope_come_first[get_account]", "test_a_token_that_ended", "test_a_change_of_role", "test_a_session_that_was_ended")),
    (r"stage_limit|stage_authenticate|bearer|== 429", ("test_service.py", "test_too_many", "test_owasp.py")),
    (r"stage_route|preconditions|take_|check_body|stage_query|validate", ("test_every_operation.py", "test_conditional.py", "test_idempotency.py", "test_dry_run.py", "test_http_gate.py::test_path")),
    (r"result\.c", ("cache", "test_conditional.py", "test_service.py")),
    (r"secret\.c", ("test_accounts.py", "test_idempotency.py", "test_dry_run.py")),
    (r"native_auth", ("test_people.py", "test_tokens.py", "test_service.py")),
    (r"representation_hash", ("test_a_tag_of_one_caller",)),
    (r"stage_limit|stage_route", ("test_accounts_are_counted", "test_a_path_that_is_none", "test_who_asks_for_what")),
    (r"cache_control", ("test_answers_to_writes",)),
    (r"sql_shown", ("test_a_table_for_the_anonymous",)),
    (r"add_branches", ("test_a_list_walks",)),
    (r"add_hidden", ("test_a_put_by_another",)),
    (r"sql_replay", ("test_idempotency.py", "test_a_replay_shows", "test_a_key_answers_once", "test_a_long_answer")),
    (r"sql_probe", ("test_role_and_scope_come_first[get_account]", "test_role_and_scope_come_first[patch_community]")),
    (r"sql_history", ("test_history.py",)),
    (r"sql_list\.c", ("test_lists.py", "test_paging.py")),
    (r"sql_delete", ("test_delete.py",)),
    (r"sql_write\.c", ("test_sql.py::test_put", "test_sql.py::test_patch", "test_sql.py::test_a_change_between", "test_sql.py::test_gates", "test_sql.py::test_what_is_set", "test_conditional.py")),
    (r"sql_faults\.c", ("test_sql.py::test_put", "test_administrators_read_no_private", "test_sql.py::test_all_faults", "test_sql.py::test_some_ref", "test_sql.py::test_what_the_network", "test_sql.py::test_a_reference", "test_sql.py::test_grants",
                        "test_reference", "test_roles.py::test_a_part", "every_field_of_what_they_run", "test_what_is_set_once[co", "test_access.py::test_a_grant")),
    (r"resources/accounts", ("test_accounts.py", "test_people.py")),
    (r"segment\.c", ("test_tokens.py", "test_people.py")),
    (r"resources/consultations", ("test_consultation_life.py",)),
    (r"resources/(partners|partnerships|places|codes)", ("test_places_and_codes.py", "test_delete.py", "test_accounts.py")),
    (r"resources/risks", ("test_risks.py",)),
    (r"native_changes", ("test_changes.py", "test_a_token_hears")),
    (r"sql_render|shown", ("test_fields_are_for_their_audience[consultations]", "test_fields_of_the_owner")),
    (r"^function auth\.|^view api\.acting|^(view|policy) .*(account|partner)\b|account_guard|may_manage|has_manager|within_scopes", ("test_auth_sql.py", "test_doors.py", "test_accounts.py")),
    (r"api\.change", ("test_feed.py",)),
    (r"claim_key|expect_timeline", ("test_idempotency.py",)),
    (r"code_uses", ("test_places_and_codes.py",)),
    (r"risk_", ("test_risks.py", "test_trees_and_scales")),
    (r"(account|partner)_past|on history\.|z_track|b_stamp", ("test_visibility_history.py", "test_whose_versions", "test_past.py", "test_every_table_is_forced", "test_auth_sql.py")),
    (r"guard_owned|a_guard", ("test_the_guard_holds", "test_policies.py")),
    (r"owns|may_write|granted", ("test_what_may_be_made", "test_no_context_writes_what_it_does_not_see")),
]
MISSING = ("42P01", "42704", "42883", "42703", "3F000")  # what a smaller database does not have


class TooLong(Exception):
    """A test under a mutant ran for more than TEST_SECONDS."""


def like(identifier):
    """Mutants of the same kind on different tables are killed alike."""
    return re.sub(r"\bdependants_\w+|\b\w+_fkey\w*|\b(wardmote|history|api)\.(?!ctx|own|may|granted)\w+|#\w+", "*", identifier)


def words(identifier):
    """What a mutant is about: names in it, whole and in parts."""
    names = set(re.findall(r"\w{4,}", identifier.split(" -> ", maxsplit=1)[0])) - {"wardmote", "policy", "function", "view", "dropped", "true", "uuid", "text", "SELECT", "USING"}
    return names | {part for name in names for part in name.split("_") if len(part) > 3}


class Target:
    """A database in which mutants are applied."""

    def __init__(self, connect, is_main):
        self.connect = connect
        self.is_main = is_main

    def run(self, statements):
        for text in statements:
            connection = self.connect()
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SET search_path = pg_catalog; SET check_function_bodies = off; SET lock_timeout = '10s'; SET client_min_messages = error")
                    cursor.execute(text)
            except psycopg2.Error as error:
                if self.is_main or error.pgcode not in MISSING:
                    raise
            finally:
                connection.close()


class Loop:
    def __init__(self, plan):
        self.plan = plan
        self.targets = {}
        self.worlds = {}  # those of test_sql.py, which has the program's statements and no server
        self.making = 0  # fixtures that more than one test uses are being made
        self.servers = []  # of these; and those that a test started for itself
        self.passing = []
        self.clients = weakref.WeakSet()
        self.current = None
        self.by_like = collections.defaultdict(collections.Counter)
        self.items = {}
        self.asked = collections.defaultdict(set)
        self.proved = set()
        self.missing = collections.defaultdict(list)  # mutant of the program: the tests that can kill it
        self.words = {}
        self.names = {}
        self.parked = {}  # of modules that have been set up: their part of pytest's stack
        self.lost = False
        self.dropped = 0
        self.results = open(plan["results"], "a", encoding="utf-8")
        os.environ["WARDMOTE_TEST_MUTANT_FILE"] = plan["results"] + ".chosen"
        self.board = os.open(os.environ["WARDMOTE_TEST_MUTANT_FILE"], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        os.pwrite(self.board, b"\0" * 4096, 0)

    # --- what the tests run on ---

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        """What more than one test uses is made without a mutant."""
        mutant = self.current if fixturedef.scope != "function" else None
        if mutant is not None:
            self.take_back(mutant)
        self.making += fixturedef.scope != "function"
        outcome = yield
        self.making -= fixturedef.scope != "function"
        if mutant is not None:
            self.put(mutant)
        if outcome.excinfo is not None:
            return
        value = outcome.get_result()
        if isinstance(value, wardmote_server.Cluster):
            self.targets[fixturedef] = Target(lambda: value.connect("postgres"), True)
        elif fixturedef.argname == "database" and isinstance(value, pathlib.Path):
            self.reach(fixturedef, lambda: self.plain(f"host={value} user=postgres dbname=wardmote"))
        elif hasattr(value, "driver") and hasattr(value, "cluster"):
            self.reach(fixturedef, lambda: value.cluster.connect("postgres", "demo"))
            self.worlds[fixturedef] = value

    def know(self):
        """Servers, whoever starts one: each runs with the mutant. Clients: a server that goes takes their connections along."""
        start, close, made = wardmote_server.Server.start, wardmote_server.Server.close, wardmote_client.Client.__init__

        def met(client, *arguments, **options):
            made(client, *arguments, **options)
            self.clients.add(client)

        def started(server):
            start(server)
            if server not in self.servers:
                (self.servers if self.making else self.passing).append(server)

        def closed(server):
            for known in (self.servers, self.passing):
                if server in known:
                    known.remove(server)
            with contextlib.suppress(RuntimeError):  # it may have ended with a mutant
                close(server)

        wardmote_server.Server.start, wardmote_server.Server.close, wardmote_client.Client.__init__ = started, closed, met

    def reach(self, fixturedef, connect):
        """A database of one module's own, with a part of the tables."""
        self.targets[fixturedef] = Target(connect, False)
        if self.current is not None and self.current.apply:
            self.targets[fixturedef].run(self.current.apply)

    def enter(self, item):
        """What a module made for its tests stays when another's turn comes: pytest's stack of what is set up holds one module, the others are kept beside it."""
        stack, node = item.session._setupstate.stack, item.getparent(pytest.Module)  # pylint: disable=protected-access
        for other in [other for other in stack if isinstance(other, pytest.Module) and other is not node]:
            self.parked[other] = stack.pop(other)
        if node in self.parked:
            stack[node] = self.parked.pop(node)

    def leave(self, session):
        """Takes down what all modules made."""
        state = session._setupstate  # pylint: disable=protected-access
        for node in [node for node in state.stack if isinstance(node, pytest.Module)] + list(self.parked):
            if node in self.parked:
                state.stack[node] = self.parked.pop(node)
            state.teardown_exact(session)

    def pytest_fixture_post_finalizer(self, fixturedef):
        self.targets.pop(fixturedef, None)
        self.worlds.pop(fixturedef, None)

    @staticmethod
    def plain(text):
        connection = psycopg2.connect(text)
        connection.autocommit = True
        return connection

    # --- tests ---

    def fails(self, item, seconds=TEST_SECONDS):
        """Why the test fails; None when it passes. Fixtures of its module stay for the next."""
        sentinel = pytest.Function.from_parent(item.parent, name="sentinel", callobj=lambda: None)
        self.enter(item)

        def late(*_):
            raise TooLong()

        signal.signal(signal.SIGALRM, late)
        signal.alarm(seconds)
        try:
            reports = runtestprotocol(item, log=False, nextitem=sentinel)
        finally:
            signal.alarm(0)
        for server in self.passing:
            with contextlib.suppress(RuntimeError):
                server.stop()
        self.passing.clear()
        for report in reports:
            if report.failed:
                self.hang_up()
                crash = getattr(report.longrepr, "reprcrash", None)
                return (crash.message if crash else str(report.longrepr)).split("\n")[0][:160] or "failed"
        return None

    def hang_up(self):
        """What was half said on a connection is not the next test's."""
        for client in self.clients:
            client.close()

    def afresh(self, item):
        """The module's fixtures made anew, and what the servers remember."""
        if self.plan["tree"] is not None:
            self.restart(None)
        item.session._setupstate.teardown_exact(item.session)  # pylint: disable=protected-access

    def learn_what_misses(self):
        """Each test once, without a mutant: which checks of the program decide in it what their mutants would decide otherwise. No other test can kill those."""
        missed, fresh, able = (pathlib.Path(f"{self.plan['results']}.{name}") for name in ("missed", "fresh", "able"))
        known = {"tests": [], "missing": {}}
        if able.exists():  # of a session before, which lost its state
            known = json.loads(able.read_text(encoding="utf-8"))
            self.missing.update(known["missing"])
        os.environ["WARDMOTE_TEST_MUTANTS_MISSED"] = str(missed)
        missed.touch()
        self.restart(None)
        for name, item in [(name, item) for name, item in self.items.items() if name not in known["tests"]]:
            fresh.touch()
            fresh.replace(missed)
            if self.fails(item) is not None:
                del self.items[name]
                print(f"\nnot used, fails by itself: {name}", flush=True)
                continue
            for mutant in set(missed.read_text(encoding="utf-8").splitlines()):
                self.missing[mutant].append(name)
        del os.environ["WARDMOTE_TEST_MUTANTS_MISSED"]
        able.write_text(json.dumps({"tests": list(self.items), "missing": self.missing}), encoding="utf-8")
        self.restart(None)

    def likely(self, mutant):
        """Its own killer, then those of its like, then those that are about it."""
        names = [self.plan["killers"].get(mutant.id)]
        names += [name for name, _ in self.by_like[like(mutant.id)].most_common(4)]
        first = [name for name in dict.fromkeys(names) if name in self.items]
        about = words(mutant.id)
        hinted = {name: None for pattern, parts in HINTS if re.search(pattern, mutant.id) for part in parts for name in self.items if part in name}
        if self.missing and mutant.group == "program":
            able = [name for name in self.missing[mutant.id] if name in self.items]
            first += sorted((name for name in able if name in hinted), key=lambda name: -self.fits(name, about))
            first += sorted(able, key=lambda name: -self.fits(name, about))[:2 * LIKELY]
        else:
            first += sorted(hinted or self.items, key=lambda name: -self.fits(name, about))[:LIKELY if not hinted else None]
        return list(dict.fromkeys(first))

    def fits(self, name, about):
        """How many of these words the test has; those in its name count twice."""
        return len(about & self.words[name]) + len(about & self.names[name])

    # --- mutants ---

    def put(self, mutant):
        self.current = mutant
        if mutant.apply:
            for target in list(self.targets.values()):
                target.run(mutant.apply)
        elif mutant.group == "program":
            self.say(mutant.id)
        else:
            self.restart(mutant.id)

    def take_back(self, mutant):
        self.current = None
        if mutant.apply:
            for target in list(self.targets.values()):
                target.run(mutant.revert)
        elif mutant.group == "program":
            self.say(None)
        else:
            self.restart(None)

    def say(self, name):
        """The servers, drivers and unit tests that run hear of it where they ask (mutant.h)."""
        os.pwrite(self.board, (name or "").encode().ljust(4096, b"\0"), 0)
        self.hang_up()
        for server in self.servers:
            if server.process.poll() is not None:
                server.start()
        for world in self.worlds.values():
            if world.driver.process.poll() is not None:
                world.driver = type(world.driver)()

    def restart(self, name):
        """The servers again, on the same sockets, with one of the checks that were compiled in turned off (C mutants)."""
        os.environ.pop("WARDMOTE_TEST_MUTANT", None)
        os.environ.pop("PGOPTIONS", None)
        if name is not None:
            os.environ["WARDMOTE_TEST_MUTANT"] = name
            os.environ["PGOPTIONS"] = "-c wardmote.mutant=" + c_mutants.sql_key(name)
        self.hang_up()
        for world in self.worlds.values():
            world.driver.process.kill()
            world.driver.process.wait()
            world.driver = type(world.driver)()
            for caller in world.callers:
                with caller.connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('wardmote.mutant', %s, false)", (c_mutants.sql_key(name) if name else "",))
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
            server.start()

    def tell(self, mutant, outcome, killer=None, why=None, began=None):
        self.results.write(json.dumps({"id": mutant.id, "group": mutant.group, "outcome": outcome, "killer": killer, "why": why,
                                       "seconds": round(time.monotonic() - began, 2)}) + "\n")
        self.results.flush()

    def attack(self, mutant, names):
        """Gives the mutant to these tests. True where its fate is known; the session is lost where its state cannot be trusted any more."""
        if not names:
            return False
        began = time.monotonic()
        self.asked[mutant.id].update(names)
        try:
            self.put(mutant)
        except (psycopg2.Error, RuntimeError) as error:
            self.take_back(mutant)
            why = str(error).split("\n", maxsplit=1)[0][:160]
            invalid = isinstance(error, psycopg2.Error)
            self.tell(mutant, "invalid" if invalid else "killed", None if invalid else "the server itself", why, began)
            return True
        for name in names:
            item = self.items.get(name)
            why = item and self.fails(item)
            if why is None:
                continue
            self.take_back(mutant)
            again = self.fails(item)
            if again is not None:  # the mutant left something behind, or the test is not to be run twice: it must fail and pass on what is new
                self.afresh(item)
                again = self.fails(item)
                if again is None:
                    self.afresh(item)
                    self.put(mutant)
                    why = self.fails(item)
                    self.take_back(mutant)
                    self.afresh(item)
                    if why is None:
                        self.put(mutant)
                        continue
            if again is None:
                self.proved.add(name)
                self.tell(mutant, "killed", name, why, began)
                self.by_like[like(mutant.id)][name] += 1
                return True
            self.dropped += 1
            if name in self.proved or self.dropped > DROPPED_MOST:
                self.tell(mutant, "unsure", name, f"{why} / without it: {again}", began)
                self.lost = True
                return True
            del self.items[name]
            print(f"\nnot used, fails by itself: {name}: {again}", flush=True)
            self.put(mutant)
        self.take_back(mutant)
        return False

    def rounds(self, mutants):
        """The likeliest tests, then file by file all the others. What is left survives them all."""
        left = []
        for mutant in mutants:
            if not self.attack(mutant, self.likely(mutant)):
                left.append(mutant)
                if self.plan["likely_only"]:
                    self.tell(left.pop(), "survived", began=time.monotonic())
            if self.lost:
                return
        for path in dict.fromkeys(name.split("::")[0] for name in self.items):
            names = [name for name in self.items if name.startswith(path + "::")]
            for mutant in list(left):
                can = self.missing[mutant.id] if self.missing and mutant.group == "program" else names
                if self.attack(mutant, [name for name in names if name in can and name not in self.asked[mutant.id]]):
                    left.remove(mutant)
                if self.lost:
                    return
        for mutant in left:
            self.tell(mutant, "survived", began=time.monotonic())

    def read(self, item):
        """What a test is about."""
        self.items[item.nodeid] = item
        self.words[item.nodeid] = set(re.findall(r"[a-z]{4,}", item.name + " " + inspect.getsource(item.function)))
        self.names[item.nodeid] = set(re.findall(r"[a-z]{4,}", item.name)) | set(re.findall(r"\[([^\]]+)\]", item.name))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        for item in session.items:
            self.read(item)
        # What lasts for the whole session is made now, and not under a mutant.
        first = next(item for item in session.items if {"server", "anonymous", "administrator", "partner", "other"} <= set(item.fixturenames))
        assert self.fails(first, 10 * TEST_SECONDS) is None, "the first test fails, with everything in its place"
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us leaves no cluster behind
        try:
            mutants = self.chosen()
            if sum(mutant.group == "program" and mutant.id not in self.plan["killers"] for mutant in mutants) > FEW:
                self.learn_what_misses()
            self.rounds(mutants)
        finally:
            self.leave(session)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if self.lost:
            session.exitstatus = STATE_LOST

    def chosen(self):
        """The mutants of this session's part, in an order of few changes of module."""
        plan = self.plan
        if plan["tree"] is None:
            connection = next(target for target in self.targets.values() if target.is_main).connect()
            found = sql_mutants.every(connection)
            connection.close()
        else:
            found = c_mutants.listed(plan["tree"])
        found = [mutant for mutant in found if mutant.id not in plan["left_out"] and re.search(plan["only"], f"{mutant.group}: {mutant.id}")]
        if plan["sample"]:
            found = [mutant for mutant in found if mutant.id in plan["killers"]]
            random.Random(plan["seed"]).shuffle(found)
            groups = [[mutant for mutant in found if mutant.group == name] for name in sorted({mutant.group for mutant in found})]
            found = [mutant for row in itertools.zip_longest(*groups) for mutant in row if mutant is not None][:plan["sample"]]  # of each kind as many
        kinds = {name: number for number, name in enumerate(sorted({like(mutant.id) for mutant in found}))}
        found = [mutant for mutant in found if kinds[like(mutant.id)] % plan["of"] == plan["part"] and mutant.id not in plan["done"]]
        return sorted(found, key=lambda mutant: (plan["killers"].get(mutant.id, "").split("::")[0], like(mutant.id)))


def pytest_configure(config):
    plan = json.loads(pathlib.Path(os.environ[PLAN]).read_text(encoding="utf-8"))
    loop = Loop(plan)
    loop.know()
    config.pluginmanager.register(loop, "wardmote-mutants")
