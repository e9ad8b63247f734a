// SPDX-License-Identifier: AGPL-3.0-or-later
// A client generated from /openapi.json does real work: schema.d.ts is made from the served document, this file is compiled against it, and runs.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

function setting(name: string): string {
	const value = process.env[name];
	assert.ok(value, `${name} is not set`);
	return value;
}

const baseUrl = setting("WARDMOTE_TEST_URL");
const credentials = Buffer.from(`${setting("WARDMOTE_TEST_CLIENT_ID")}:${setting("WARDMOTE_TEST_CLIENT_SECRET")}`).toString("base64");

const anybody = createClient<paths>({ baseUrl });
const granted = await anybody.POST("/oauth/token", {
	headers: { Authorization: `Basic ${credentials}`, "Content-Type": "application/x-www-form-urlencoded" },
	body: { grant_type: "client_credentials" },
	bodySerializer: (body) => new URLSearchParams(body as Record<string, string>),
});
assert.ok(granted.data);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${granted.data.access_token}` } });

// Create, read back, change under its ETag.
const input: components["schemas"]["ConsultationInput"] = { title: "A play area for the estate", visibility: "public", everyone: true };
const created = await client.POST("/v1/consultations", { body: input });
assert.equal(created.response.status, 201);
assert.ok(created.data);
const id: string = created.data.id;
const path = { id };
const read = await client.GET("/v1/consultations/{id}", { params: { path, query: { include: ["partner"] } } });
assert.ok(typeof read.data === "object"); // it would be text, had we asked for CSV
assert.equal(read.data.title, input.title);
assert.equal(read.data.partner?.id, created.data.partner_id);

const etag = created.response.headers.get("etag");
assert.ok(etag);
const patched = await client.PATCH("/v1/consultations/{id}", {
	params: { path, header: { "If-Match": etag } },
	headers: { "Content-Type": "application/merge-patch+json" },
	body: { summary: "Where should it be, and what should be in it?" },
});
assert.equal(patched.data?.version, 2);

// A lost update is refused, and the problem is typed.
const late = await client.PATCH("/v1/consultations/{id}", {
	params: { path, header: { "If-Match": etag } },
	headers: { "Content-Type": "application/merge-patch+json" },
	body: { summary: "Too late" },
});
assert.equal(late.response.status, 412);
assert.equal(late.error && "status" in late.error ? late.error.status : undefined, 412);

// Lists take arrays for "any of", and links lead on.
const list = await anybody.GET("/v1/consultations", { params: { query: { id: [id], fields: ["title"], limit: 1, count: "exact" } } });
assert.ok(typeof list.data === "object");
assert.equal(list.data.count, 1);
assert.deepEqual(list.data.items, [{ id, title: input.title }]);
assert.ok(list.data.links.some((link) => link.rel === "self"));

console.log("ok");
