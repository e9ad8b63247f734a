// SPDX-License-Identifier: AGPL-3.0-or-later
// The routes. A record and a page come from PostgreSQL as JSON text and are sent as they are.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { open } from './database.js'
import { act, actSession, create, list, one, patch } from './statements.js'
import { tokens } from './tokens.js'

const UUID = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}'
const STATUSES = 'idea|planned|approved|open|closed|analysed|fed_back|evaluated|cancelled'
const listOf = (item) => ({ type: 'string', pattern: `^(?:${item})(?:,(?:${item}))*$` })
const QUERY = {
	type: 'object',
	additionalProperties: false,
	properties: {
		status: listOf(STATUSES), partner_id: listOf(UUID), locality_ids: listOf(UUID), topics: listOf('[^,]+'),
		statutory: { enum: ['true', 'false'] }, everyone: { enum: ['true', 'false'] },
		q: { type: 'string', minLength: 1, maxLength: 200 },
		sort: { type: 'string', pattern: '^-?(?:open_on|close_on|title|updated_at)$', default: 'open_on' },
		limit: { type: 'string', pattern: '^[1-9][0-9]{0,8}$', default: '50' },
		include: { ...listOf('partner|localities'), default: '' },
		cursor: { type: 'string' },
	},
}
QUERY.properties.include.pattern += '|^$'
const PROBLEMS = {
	400: ['invalid-request', 'The request is not valid'], 401: ['invalid-token', 'The access token is not valid'],
	403: ['insufficient-scope', 'The token is not enough for this'], 404: ['not-found', 'There is nothing here'],
	409: ['conflict', 'The request conflicts with what is stored'], 412: ['precondition-failed', 'The record has changed meanwhile'],
	422: ['unprocessable', 'The request does not fit the data'], 428: ['precondition-required', 'If-Match is required'],
	503: ['unavailable', 'The service cannot do this now'],
}
// What a policy, a guard or a constraint of the database refuses.
const REFUSED = { 42501: 403, WM403: 403, 23514: 422, 23503: 422, 23505: 409, '22P02': 422 }
const MORE = { partner: 'partners:read', localities: 'localities:read' }

// An error that Fastify answers with.
function problem(status, detail) {
	return Object.assign(new Error(detail), { statusCode: status })
}

function encodeCursor(query, link) {
	return Buffer.from(JSON.stringify([query.sort, ...link.split('\x1f')])).toString('base64url')
}

function decodeCursor(query) {
	try {
		const [sort, key, id] = JSON.parse(Buffer.from(query.cursor, 'base64url'))
		if (sort === query.sort && typeof key === 'string' && new RegExp(`^${UUID}$`).test(id)) return [key, id]
	} catch { /* as below */ }
	throw problem(400, 'This is no cursor of this list.')
}

function routes(app, { database, callerOf, publicUrl, schemas }) {
	// Who asks: undefined for the anonymous. Every statement acts as the caller in its own transaction.
	function authenticate(request, ...scopes) {
		const field = request.headers.authorization
		if (field === undefined) return undefined
		const caller = field.startsWith('Bearer ') ? callerOf(field.slice(7)) : null
		if (caller === null) throw problem(401)
		if (caller.scoped !== undefined && !scopes.every((scope) => caller.scoped.includes(scope))) throw problem(403)
		return caller
	}

	function actingOf(caller) {
		return { ...(caller.values.length === 4 ? actSession : act), values: caller.values }
	}

	async function ask(caller, what) {
		const row = await database.read(what, caller && actingOf(caller))
		if (row === null) throw problem(401)
		return row
	}

	async function write(request, what, values) {
		const caller = authenticate(request, 'consultations:write')
		if (caller === undefined) throw problem(401)
		const row = await database.write({ ...what, values }, actingOf(caller)).catch((error) => {
			throw error.code in REFUSED ? problem(REFUSED[error.code], error.message) : error
		})
		if (row === null) throw problem(401)
		if (row === undefined) throw problem(404)
		const [status, body, version, id] = row
		if (status >= 400) throw problem(status, body ?? undefined)
		return { status, body, id, etag: `"${version}-${caller.tag}"` }
	}

	app.post('/v1/consultations', { schema: { body: schemas.create } }, async (request, reply) => {
		const { status, body, id, etag } = await write(request, create, [JSON.stringify(request.body)])
		reply.code(status).header('ETag', etag).header('Location', `${publicUrl}/v1/consultations/${id}`).header('Cache-Control', 'no-store')
		return reply.type('application/json').send(body)
	})

	app.patch('/v1/consultations/:id', { schema: { body: schemas.patch } }, async (request, reply) => {
		const field = request.headers['if-match']
		if (!new RegExp(`^${UUID}$`).test(request.params.id)) throw problem(404)
		if (field === undefined) throw problem(428)
		const version = field === '*' ? null : /^"(\d{1,9})-[^"]*"$/.exec(field)?.[1] ?? '0'
		const { status, body, etag } = await write(request, patch, [JSON.stringify(request.body), request.params.id, version])
		reply.code(status).header('ETag', etag).header('Cache-Control', 'no-store')
		return reply.type('application/json').send(body)
	})

	app.get('/v1/consultations/:id', async (request, reply) => {
		const caller = authenticate(request, 'consultations:read')
		const id = request.params.id
		if (!new RegExp(`^${UUID}$`).test(id)) throw problem(404)
		const row = await ask(caller, { ...one[caller ? 'partner' : 'anonymous'], values: [id] })
		if (row === undefined) throw problem(404)
		const etag = `"${row[1]}-${caller ? caller.tag : 'anonymous'}"`
		reply.header('ETag', etag).header('Cache-Control', 'no-store').header('Vary', 'Accept, Authorization')
		if (request.headers['if-none-match'] === etag) return reply.code(304).send()
		return reply.type('application/json').send(row[0])
	})

	app.get('/v1/consultations', { schema: { querystring: QUERY } }, async (request, reply) => {
		const query = { ...request.query, limit: Math.min(Number(request.query.limit), 500), include: request.query.include.split(',').filter(Boolean) }
		const caller = authenticate(request, 'consultations:read', ...query.include.map((part) => MORE[part]))
		for (const name of ['locality_ids', 'topics']) query[name] = query[name]?.split(',')
		for (const name of ['status', 'partner_id'].filter((name) => query[name]?.includes(','))) {
			query[`${name}_any`] = query[name].split(',')
			delete query[name]
		}
		if (query.status === 'open') {
			query.status_open = true
			delete query.status
		}
		if (query.locality_ids !== undefined) {
			query.q_of_places = query.q
			delete query.q
		}
		const after = query.cursor === undefined ? undefined : decodeCursor(query)
		const [body, link] = await ask(caller, list(caller ? 'partner' : 'anonymous', query, after))
		const self = publicUrl + request.url.replace(/[?&]cursor=[^&]*/, '')
		let header = `<${self}>; rel="self"`
		let links = `{"rel":"self","href":${JSON.stringify(self)},"type":"application/json"}`
		if (link !== null) {
			const next = `${self}${self.includes('?') ? '&' : '?'}cursor=${encodeCursor(query, link)}`
			header += `, <${next}>; rel="next"`
			links += `,{"rel":"next","href":${JSON.stringify(next)},"type":"application/json"}`
		}
		reply.header('Link', header).header('Cache-Control', 'no-store').header('Vary', 'Accept, Authorization')
		return reply.type('application/json').send(`{"items":[${body}],"links":[${links}]}`)
	})
}

export async function buildApp({ DATABASE_URL, JWKS_FILE, ISSUER, AUDIENCE = ISSUER, POOL, PIPELINE, SCHEMAS, PUBLIC_URL = ISSUER }) {
	const app = Fastify({ logger: false, ajv: { customOptions: { removeAdditional: false, coerceTypes: false, strict: false } } })
	app.addContentTypeParser('application/merge-patch+json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'))
	const database = await open(DATABASE_URL, POOL === undefined ? undefined : Number(POOL), PIPELINE !== 'off')
	const callerOf = tokens({ jwksFile: JWKS_FILE, issuer: ISSUER, audience: AUDIENCE })
	app.setErrorHandler((error, request, reply) => {
		const status = error.statusCode in PROBLEMS ? error.statusCode : error.statusCode < 500 ? 400 : 503
		const [slug, title] = PROBLEMS[status]
		if (status === 503) console.error(error)
		reply.code(status).type('application/problem+json').send(JSON.stringify({ type: `${PUBLIC_URL}/problems/${slug}`, title, status, detail: error.message }))
	})
	app.setNotFoundHandler(() => { throw problem(404) })
	routes(app, { database, callerOf, publicUrl: PUBLIC_URL, schemas: JSON.parse(readFileSync(SCHEMAS, 'utf8')) })
	return app
}
