#!/usr/bin/env node
// SPDX-License-Identifier: AGPL-3.0-or-later
// One evening of an integration, which may be run as often as one likes. Needs Node.js 18 or later alone. URL, CLIENT_ID and CLIENT_SECRET (an officer's
// service account) come from the environment, and STATE names a file: what must outlive a run is there.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const { URL: base, CLIENT_ID, CLIENT_SECRET, STATE = "state.json" } = process.env;
const state = existsSync(STATE) ? JSON.parse(readFileSync(STATE, "utf8")) : { runs: 0, cursor: null, copy: {}, event: null };
let token = null;

/** Whole or not at all: written beside, then renamed. */
function save() {
	writeFileSync(`${STATE}.new`, JSON.stringify(state));
	renameSync(`${STATE}.new`, STATE);
}

function fail(message) {
	console.error(message);
	process.exit(1);
}

/** A token is good for ten minutes; ask for another when it has ended. */
async function signIn() {
	const answer = await fetch(`${base}/oauth/token`, {
		method: "POST",
		headers: { Authorization: `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString("base64")}` },
		body: new URLSearchParams({ grant_type: "client_credentials" }),
	});
	return answer.ok ? (await answer.json()).access_token : fail(`no token: ${answer.status} ${await answer.text()}`);
}

/** One request, repeated while the server says "later" or says nothing. All of ours may be repeated: reads, PUT, If-Match, and POST with a key. */
async function send(method, url, { body, also = [], headers = {} } = {}) {
	for (let attempt = 0; attempt < 8; attempt++) {
		token ??= await signIn();
		const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
		const answer = await fetch(new globalThis.URL(url, base), {
			method,
			headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": type }), ...headers },
			body: body && JSON.stringify(body),
			signal: AbortSignal.timeout(30_000),
		}).catch(() => null);
		if (answer?.status === 401) {
			token = null;
		} else if (answer === null || answer.status === 429 || answer.status === 503) {
			await sleep(1000 * Number(answer?.headers.get("retry-after") ?? 1));
		} else {
			const text = await answer.text();
			const found = { status: answer.status, etag: answer.headers.get("etag"), body: text ? JSON.parse(text) : null };
			if (answer.status < 400 || also.includes(answer.status)) return found;
			// a problem document: each fault has its place and a code that does not change
			const faults = (found.body.errors ?? []).map((fault) => `${fault.pointer ?? fault.parameter}: ${fault.detail}`);
			fail(`${method} ${url}: ${answer.status} ${found.body.title} ${faults}`);
		}
	}
	fail(`${method} ${url}: no answer after 8 attempts`);
}

state.runs++;

// Rehearse a faulty record: every fault is told at once, and nothing is stored.
const faulty = { titel: "Benches", topics: "parks" };
const refused = await send("PUT", "/v1/consultations?external_id=cms/0&dry_run=true", { body: faulty, also: [400] });
console.log("faults:", refused.body.errors.map((fault) => `${fault.pointer} ${fault.code}`).sort().join(" "));

// Our records, under the ids that they have at home: made when they are not there, left alone when nothing differs.
let record;
for (const number of [1, 2, 3]) {
	const ours = { title: `Benches, part ${number}`, summary: "Where to put them.", visibility: "shared" };
	const { status, body } = await send("PUT", `/v1/consultations?external_id=cms/${number}`, { body: ours });
	console.log(`cms/${number}:`, status === 201 ? "created" : "already there");
	record = body;
}

// A list, page by page. What is asked for stays the same from page to page, so the link says it all.
const me = (await send("GET", "/v1/me")).body;
const titles = [];
let pages = 0;
for (let url = `/v1/consultations?partner_id=${me.partner_id}&fields=title&sort=title&limit=2`; url; pages++) {
	const page = (await send("GET", url)).body;
	titles.push(...page.items.map((item) => item.title));
	url = page.links.find((link) => link.rel === "next")?.href;
}
console.log(`${titles.length} consultations on ${pages} pages`);

// A POST has no id of ours to find it by. Its key is kept before it is sent, so that it makes one record, whatever is lost on the way.
const event = (state.event ??= { key: crypto.randomUUID() });
save();
if (!event.id) {
	const walk = { title: "Walk to the benches", kind: "event", visibility: "shared", consultation_id: record.id };
	const made = await send("POST", "/v1/activities", { body: walk, headers: { "Idempotency-Key": event.key } });
	Object.assign(event, { id: made.body.id, etag: made.etag });
}

// A change from the version that we know. 412: somebody was faster; read, decide again, and send the change with what was read.
for (let attempt = 1, status = 412; status === 412; attempt++) {
	const change = { venue: `Example Hall, room ${state.runs}` };
	const changed = await send("PATCH", `/v1/activities/${event.id}`, { body: change, also: [412], headers: { "If-Match": event.etag } });
	status = changed.status;
	event.etag = status === 412 ? (await send("GET", `/v1/activities/${event.id}`)).etag : changed.etag;
	if (status !== 412) console.log("changed at attempt", attempt);
}

// What changed since the last run, ours and others', into a copy. The cursor is kept when what it stands for is done.
for (let items = [null]; items.length > 0; ) {
	const feed = (await send("GET", "/v1/changes?limit=500" + (state.cursor ? `&after=${state.cursor}` : ""))).body;
	items = feed.items;
	for (const id of new Set(items.filter((item) => item.resource === "consultations").map((item) => item.id))) {
		const etag = state.copy[id]?.etag;
		const now = await send("GET", `/v1/consultations/${id}`, { also: [404], headers: etag ? { "If-None-Match": etag } : {} });
		if (now.status === 404) delete state.copy[id]; // deleted, or not ours to see any more
		if (now.status === 200) state.copy[id] = { etag: now.etag, title: now.body.title, version: now.body.version }; // 304: the copy is right
	}
	state.cursor = feed.cursor;
	save();
}
