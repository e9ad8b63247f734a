// SPDX-License-Identifier: AGPL-3.0-or-later
// The statements of ../sql, put together. The JSON is PostgreSQL's own, and what comes is passed on as it is: rendering the columns here, with the compiled
// serializer of a response schema, was slower (../README.md).
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.env.SQL
const texts = Object.fromEntries(readdirSync(folder).filter((name) => name.endsWith('.sql')).map((name) =>
	[name.slice(0, -4), readFileSync(join(folder, name), 'utf8').replace(/^--.*\n/gm, '').replace(/\s+/g, ' ').trim()]))

const AUDIENCES = { anonymous: [], partner: ['partner'], owner: ['partner', 'owner'] }
for (const [name, parts] of Object.entries(AUDIENCES)) {
	texts[`${name}_fields`] = texts.fields.replace(/\{(\w+) ([^}]*)\}/g, (_, part, fields) => parts.includes(part) ? fields : '')
}

// A text with @name replaced by the value or file of that name.
export function statement(name, values = {}) {
	return texts[name].replace(/@(\w+)/g, (_, part) => part in values ? values[part] : statement(part, values))
}

const SORTS = { open_on: ['open_on_sort', 'date'], close_on: ['close_on_sort', 'date'], title: ['title', 'text'], updated_at: ['updated_at', 'timestamptz'] }
const FILTERS = {
	// One value is compared as one: with a list of them no order is left in an index after it.
	// An index holds the open ones alone, which a parameter would not be known to ask for.
	status_open: () => "t.status = 'open'",
	status: (n) => `t.status = $${n}::text`,
	status_any: (n) => `t.status = ANY ($${n}::text[])`,
	partner_id: (n) => `t.partner_id = $${n}::uuid`,
	partner_id_any: (n) => `t.partner_id = ANY ($${n}::uuid[])`,
	statutory: (n) => `t.statutory = $${n}::boolean`,
	everyone: (n) => `t.everyone = $${n}::boolean`,
	topics: (n) => `t.topics && $${n}::text[]`,
	locality_ids: (n) => `t.locality_ids && $${n}::uuid[]`,
	q: (n) => `t.search @@ websearch_to_tsquery('english', $${n}::text)`,
	// Asked of each record of a place: the words are read once.
	q_of_places: (n) => `t.search @@ (SELECT websearch_to_tsquery('english', $${n}::text))`,
}
const WITHOUT_VALUE = ['status_open']
// Whether there are many or few such records is known only with the value: they are planned each time.
const PLANNED_ANEW = ['partner_id_any', 'topics', 'q']
// But few records are of a place. A list of places begins with these, by one plan for all values: what else is asked gets a form that no index answers, and
// the order is not an index's.
const INDEXED = ['locality_ids', 'status_open']

const made = new Map()

// The statement for a page, made once for each combination of caller, filters, order and included records.
export function list(caller, query, after) {
	const filters = Object.keys(FILTERS).filter((name) => query[name] !== undefined)
	const key = [caller, query.sort, after !== undefined, filters, query.include].join(' ')
	if (!made.has(key)) {
		made.set(key, makeList(caller, filters, query, after, `list${made.size}`))
	}
	const found = made.get(key)
	const values = [query.limit, ...withValue(filters).map((name) => query[name]), ...(after ?? [])]
	return { ...found, values }
}

function withValue(filters) {
	return filters.filter((name) => !WITHOUT_VALUE.includes(name))
}

function makeList(caller, filters, query, after, name) {
	const descending = query.sort.startsWith('-')
	const [column, type] = SORTS[descending ? query.sort.slice(1) : query.sort]
	const direction = descending ? 'DESC' : 'ASC'
	const ofPlaces = filters.includes('locality_ids')
	const valued = withValue(filters)
	const where = filters.map((filter) => ` AND (${FILTERS[filter](valued.indexOf(filter) + 2)})${ofPlaces && !INDEXED.includes(filter) ? ' IS TRUE' : ''}`)
	if (after !== undefined) {
		const at = valued.length + 2
		where.push(` AND (t.${column}, t.id) ${descending ? '<' : '>'} ($${at}::${type}, $${at + 1}::uuid)`)
	}
	const order = ofPlaces ? `ROW(t.${column}, t.id) ${direction}` : `t.${column} ${direction}, t.id ${direction}`
	const text = statement('list', {
		branches: statement(`branches_${caller}`, { sort: column, order, where: where.join('') }),
		record: statement(`record_${caller}`, { more: query.include.map((part) => statement(`include_${part}`)).join('') }),
		direction,
	})
	return { name, text, anew: !ofPlaces && filters.some((filter) => PLANNED_ANEW.includes(filter)) }
}

export const one = Object.fromEntries(['anonymous', 'partner'].map((caller) =>
	[caller, { name: `one_${caller}`, text: statement('one', { record: statement(`record_${caller}`, { more: '' }) }) }]))
// Only for those who have signed in.
const record = statement('record_partner', { more: '' })
export const create = { name: 'create', text: statement('create', { record }) }
export const patch = { name: 'patch', text: statement('patch', { record }) }
export const act = { name: 'act', text: statement('act') }
export const actSession = { name: 'act_session', text: statement('act_session') }
