// SPDX-License-Identifier: AGPL-3.0-or-later
// Consultations as a team with Fastify and pg would serve them, on the database of Wardmote: one process per core.
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { once } from 'node:events'
import { buildApp } from './app.js'

const { PORT, PROCESSES = availableParallelism() } = process.env

async function lead() {
	const workers = Array.from({ length: Number(PROCESSES) }, () => cluster.fork())
	const end = () => {
		workers.forEach((worker) => worker.process.kill())
		process.exit(0)
	}
	process.on('SIGTERM', end)
	process.stdin.on('end', end).resume()
	cluster.on('exit', (worker) => {
		console.error(`worker ${worker.process.pid} ended`)
		workers.forEach((other) => other.process.kill())
		process.exit(1)
	})
	await Promise.all(workers.map((worker) => once(worker, 'listening')))
	console.log('ready')
}

if (cluster.isPrimary) {
	await lead()
} else {
	const app = await buildApp(process.env)
	await app.listen({ host: '127.0.0.1', port: Number(PORT) })
}
