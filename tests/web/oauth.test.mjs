// SPDX-License-Identifier: AGPL-3.0-or-later
// The usual OAuth clients of JavaScript, with keys of each kind: discovery, private_key_jwt, a call, verification by JWKS, introspection, revocation.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
const jose = await import("jose");
const oauth = await import("oauth4webapi");
const openid = await import("openid-client");

function setting(name) {
	const value = process.env[name];
	assert.ok(value, `${name} is not set`);
	return value;
}

const issuer = setting("WARDMOTE_TEST_URL");
const manager = setting("WARDMOTE_TEST_TOKEN");
const plain = { [oauth.allowInsecureRequests]: true }; // http on loopback

async function call(path, token, body) {
	const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
	return fetch(issuer + path, { method: body ? "POST" : "GET", headers, ...(body && { body: JSON.stringify(body) }) });
}

async function register(algorithm) {
	const { privateKey, publicKey } = await jose.generateKeyPair(algorithm, { extractable: true });
	const jwk = { ...(await jose.exportJWK(publicKey)), kid: `the ${algorithm} key`, alg: algorithm, use: "sig" };
	const made = await call("/v1/accounts", manager, { kind: "service", role: "officer", name: `Signs ${algorithm}`, jwks: { keys: [jwk] } });
	const account = await made.json();
	assert.equal(made.status, 201, JSON.stringify(account));
	assert.equal(account.client_secret, null);
	return { account, signer: { key: privateKey, kid: jwk.kid }, algorithm };
}

// --- openid-client ---

async function withOpenidClient({ account, signer }) {
	const options = { algorithm: "oauth2", execute: [openid.allowInsecureRequests] };
	const config = await openid.discovery(new URL(issuer), account.client_id, undefined, openid.PrivateKeyJwt(signer), options);
	assert.ok(config.serverMetadata().token_endpoint_auth_methods_supported.includes("private_key_jwt"));
	const grant = await openid.clientCredentialsGrant(config, { scope: "consultations:read" });
	assert.equal(grant.scope, "consultations:read");
	const me = await openid.fetchProtectedResource(config, grant.access_token, new URL(`${issuer}/v1/me`), "GET");
	assert.equal((await me.json()).account_id, account.id);
	const told = await openid.tokenIntrospection(config, grant.access_token);
	assert.equal(told.active, true);
	assert.equal(told.sub, account.id);
	assert.equal(told.scope, "consultations:read");
	await openid.tokenRevocation(config, grant.access_token);
	assert.deepEqual(await openid.tokenIntrospection(config, grant.access_token), { active: false });
	assert.equal((await call("/v1/me", grant.access_token)).status, 401);
}

// --- oauth4webapi ---

async function withOauth4webapi({ account, signer }) {
	const url = new URL(issuer);
	const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...plain }));
	const client = { client_id: account.client_id };
	const proof = oauth.PrivateKeyJwt(signer);
	const answer = await oauth.clientCredentialsGrantRequest(server, client, proof, new URLSearchParams(), plain);
	const grant = await oauth.processClientCredentialsResponse(server, client, answer);
	// As a resource server would: typ at+jwt, issuer, audience, times, and the signature by a key of jwks_uri.
	const request = new Request(`${issuer}/v1/me`, { headers: { Authorization: `Bearer ${grant.access_token}` } });
	const claims = await oauth.validateJwtAccessToken(server, request, issuer, plain);
	assert.equal(claims.client_id, account.client_id);
	const ask = async () =>
		oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, proof, grant.access_token, plain));
	assert.equal((await ask()).jti, claims.jti);
	await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, proof, grant.access_token, plain));
	assert.equal((await ask()).active, false);
}

// --- jose alone ---

async function withJose({ account, signer, algorithm }) {
	const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
	const sign = () =>
		new jose.SignJWT({ jti: crypto.randomUUID() })
			.setProtectedHeader({ alg: algorithm, kid: signer.kid, typ: "client-authentication+jwt" })
			.setIssuer(account.client_id)
			.setSubject(account.client_id)
			.setAudience(metadata.issuer)
			.setIssuedAt()
			.setExpirationTime("1m")
			.sign(signer.key);
	const ask = async (assertion) =>
		fetch(metadata.token_endpoint, {
			method: "POST",
			body: new URLSearchParams({
				grant_type: "client_credentials",
				client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
				client_assertion: assertion,
			}),
		});
	const assertion = await sign();
	const answer = await ask(assertion);
	assert.equal(answer.status, 200);
	const { access_token: token } = await answer.json();
	assert.equal((await ask(assertion)).status, 401, "it counts once");
	const keys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri));
	const verified = await jose.jwtVerify(token, keys, { typ: "at+jwt", issuer, audience: issuer, algorithms: ["ES256"] });
	assert.equal(verified.payload.sub, account.id);
	assert.equal((await call("/v1/me", token)).status, 200);
}

for (const algorithm of ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]) {
	const client = await register(algorithm);
	await withOpenidClient(client);
	await withOauth4webapi(client);
	await withJose(client);
	console.log(`${algorithm} ok`);
}
