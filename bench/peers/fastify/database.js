// SPDX-License-Identifier: AGPL-3.0-or-later
// PostgreSQL through pg in its pipeline mode: the four messages of a transaction go out together, and those of the next request behind them, so a request costs
// one round trip. PIPELINE=off is the way of most programs with pg: a pool, and each message awaits the answer to the one before. What else was measured is in
// ../README.md.
import pg from 'pg'

const POOL = 4
const RETRY_MS = 500
const SETTINGS = { TimeZone: 'UTC', search_path: 'pg_catalog,public', jit: 'off', max_parallel_workers_per_gather: '0' }

function optionsOf(plans) {
	return Object.entries({ ...SETTINGS, plan_cache_mode: plans }).map(([name, value]) => `-c ${name}=${value}`).join(' ')
}

class Connection {
	constructor(url, plans) {
		this.config = { connectionString: url, options: optionsOf(plans), pipeline: true }
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

// Connections that take turns, however much is under way on each.
class Pipelines {
	constructor(url, size, plans) {
		this.connections = Array.from({ length: size }, () => new Connection(url, plans))
		this.turn = 0
	}

	open() {
		return Promise.all(this.connections.map((connection) => connection.open()))
	}

	next() {
		return this.connections[this.turn++ % this.connections.length]
	}

	single(statement) {
		return this.next().single(statement)
	}

	transaction(begin, acting, statement) {
		return this.next().transaction(begin, acting, statement)
	}
}

class Pool {
	constructor(url, size, plans) {
		this.pool = new pg.Pool({ connectionString: url, options: optionsOf(plans), max: size, min: size, idleTimeoutMillis: 0 })
		this.pool.on('error', (error) => console.error(error.message))
	}

	async open() {
		await this.pool.query('SELECT')
	}

	async single(statement) {
		return (await this.pool.query({ ...statement, rowMode: 'array' })).rows[0]
	}

	async transaction(begin, acting, statement) {
		const client = await this.pool.connect()
		let broken
		try {
			await client.query(begin)
			const acted = (await client.query({ ...acting, rowMode: 'array' })).rows.length > 0
			const row = acted ? (await client.query({ ...statement, rowMode: 'array' })).rows[0] : null
			await client.query('COMMIT')
			return row
		} catch (error) {
			await client.query('ROLLBACK').catch((fault) => { broken = fault })
			throw error
		} finally {
			client.release(broken)
		}
	}
}

// Two sets of connections: one keeps the plan of each statement, the other plans anew for the values of each request (statement.anew).
export async function open(url, size = POOL, pipeline = true) {
	const Kind = pipeline ? Pipelines : Pool
	const kept = new Kind(url, size, 'force_generic_plan')
	const anew = new Kind(url, size, 'force_custom_plan')
	await Promise.all([kept.open(), anew.open()])

	// The settings of the context are unset at the start of a transaction, which is what the anonymous act with.
	return {
		read: ({ anew: plan, ...statement }, acting) => {
			const connections = plan ? anew : kept
			return acting ? connections.transaction('BEGIN READ ONLY', acting, statement) : connections.single(statement)
		},
		write: (statement, acting) => kept.transaction('BEGIN', acting, statement),
	}
}
