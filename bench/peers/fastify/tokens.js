// SPDX-License-Identifier: AGPL-3.0-or-later
// Bearer tokens: ES256, by the keys of JWKS_FILE. A token that was verified is kept until it expires.
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createVerifier } from 'fast-jwt'

const KEPT = 10000
const LEEWAY_SECONDS = 30

export function tokens({ jwksFile, issuer, audience }) {
	const verifiers = new Map(JSON.parse(readFileSync(jwksFile, 'utf8')).keys.map((jwk) => [jwk.kid, createVerifier({
		key: createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }),
		algorithms: ['ES256'], allowedIss: issuer, allowedAud: audience, requiredClaims: ['sub', 'epoch', 'exp', 'partner'],
		clockTolerance: LEEWAY_SECONDS * 1000,
	})]))
	const kept = new Map() // in the order in which they came: the oldest go first

	function verify(token) {
		const { kid } = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url'))
		const claims = verifiers.get(kid)(token)
		if (claims.token_use !== 'access') throw new Error('not an access token')
		// A token with no scope at all still counts as narrowed.
		const scopes = claims.scope === undefined ? '' : claims.scope || '-'
		const caller = { until: (claims.exp + LEEWAY_SECONDS) * 1000, tag: claims.partner, scoped: claims.scope?.split(' '), role: claims.role,
			values: [claims.sub, String(claims.epoch), scopes, ...(claims.sid ? [claims.sid] : [])] }
		if (kept.size >= KEPT) kept.delete(kept.keys().next().value)
		kept.set(token, caller)
		return caller
	}

	// Who a token stands for, or null.
	return function callerOf(token) {
		const caller = kept.get(token)
		if (caller !== undefined && caller.until > Date.now()) return caller
		kept.delete(token)
		try {
			return verify(token)
		} catch {
			return null
		}
	}
}
