// SPDX-License-Identifier: AGPL-3.0-or-later
// PostgreSQL through pg in its pipeline mode: the four messages of a transaction go out together, and those of the next request behind them, so a request costs
// one round trip. What else was measured is in ../README.md.
import pg from 'pg'

const POOL = 2
const RETRY_MS = 500
const SETTINGS = { TimeZone: 'UTC', search_path: 'pg_catalog,public', jit: 'off', max_parallel_workers_per_gather: '0' }

class Connection {
	constructor(url, plans) {
		const options = Object.entries({ ...SETTINGS, plan_cache_mode: plans }).map(([name, value]) => `-c ${name}=${value}`).join(' ')
		this.config = { connectionString: url, options, pipeline: true }
	}

	async open() {
		const client = new pg.Client(this.config)
		client.on('error', (error) => console.error(error.message))
		client.on('end', () => this.reopen())
		await client.connect()
		this.client = client
	}

	// Requests fail meanwhile, as those did that were under way.
	reopen() {
		this.open().catch(() => setTimeout(() => this.reopen(), RETRY_MS))
	}

	// A statement alone is a transaction of its own.
	single(statement) {
		return new Promise((resolve, reject) => {
			this.client.query({ ...statement, rowMode: 'array' }, (error, result) => error ? reject(error) : resolve(result.rows[0]))
		})
	}

	// Resolves when it is committed: to the statement's row, to undefined when it has none, to null when nobody acts.
	transaction(begin, acting, statement) {
		const { client } = this
		return new Promise((resolve, reject) => {
			let acted = false
			let row
			const failed = (error) => { if (error) reject(error) }
			client.query(begin, failed)
			client.query({ ...acting, rowMode: 'array' }, (error, result) => {
				failed(error)
				acted = !error && result.rows.length > 0
			})
			client.query({ ...statement, rowMode: 'array' }, (error, result) => {
				failed(error)
				row = error ? undefined : result.rows[0]
			})
			client.query('COMMIT', (error) => error ? reject(error) : resolve(acted ? row : null))
		})
	}
}

// Two sets of connections: one keeps the plan of each statement, the other plans anew for the values of each request (statement.anew).
export async function open(url, size = POOL) {
	const kept = Array.from({ length: size }, () => new Connection(url, 'force_generic_plan'))
	const anew = Array.from({ length: size }, () => new Connection(url, 'force_custom_plan'))
	await Promise.all([...kept, ...anew].map((connection) => connection.open()))
	let turn = 0
	const next = (statement) => (statement.anew ? anew : kept)[turn++ % size]

	// The settings of the context are unset at the start of a transaction, which is what the anonymous act with.
	return {
		read: ({ anew: plan, ...statement }, acting) =>
			acting ? next({ anew: plan }).transaction('BEGIN READ ONLY', acting, statement) : next({ anew: plan }).single(statement),
		write: (statement, acting) => next({}).transaction('BEGIN', acting, statement),
	}
}
