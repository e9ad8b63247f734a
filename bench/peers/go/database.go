// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var errNoActor = errors.New("the token's account was disabled or changed")

// Two sets of connections: one keeps the plan of each statement, the other plans anew for the values of each request.
type database struct {
	kept, anew *pgxpool.Pool
	statements *statements
}

func openPool(ctx context.Context, url, plans string, size int) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MinConns, config.MaxConns = int32(size), int32(size)
	config.ConnConfig.RuntimeParams = map[string]string{"TimeZone": "UTC", "search_path": "pg_catalog,public", "jit": "off",
		"max_parallel_workers_per_gather": "0", "plan_cache_mode": plans}
	config.ConnConfig.BuildStatementCache = nil // statements are prepared by name, once for each connection
	return pgxpool.ConnectConfig(ctx, config)
}

func open(ctx context.Context, url string, size int, s *statements) (*database, error) {
	kept, err := openPool(ctx, url, "force_generic_plan", size)
	if err != nil {
		return nil, err
	}
	anew, err := openPool(ctx, url, "force_custom_plan", size)
	return &database{kept: kept, anew: anew, statements: s}, err
}

// The statement's row, or nil. What stands in one batch goes out with one Sync at its end: one round trip and one transaction. The settings of the context are
// unset at the start of a transaction, which is what the anonymous act with.
func (d *database) ask(ctx context.Context, who *caller, what *statement, values [][]byte) ([][]byte, error) {
	pool := d.kept
	if what.anew {
		pool = d.anew
	}
	held, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer held.Release()
	batch := &pgconn.Batch{}
	if who != nil {
		act := d.statements.act
		if len(who.values) == 4 {
			act = d.statements.actSession
		}
		if err := prepare(ctx, held.Conn(), act); err != nil {
			return nil, err
		}
		batch.ExecPrepared(act.name, who.values, nil, nil)
	}
	if err := prepare(ctx, held.Conn(), what); err != nil {
		return nil, err
	}
	batch.ExecPrepared(what.name, values, nil, nil)
	results := held.Conn().PgConn().ExecBatch(ctx, batch)
	acted := who == nil || next(results) != nil
	row := next(results)
	if err := results.Close(); err != nil {
		return nil, err
	}
	if !acted {
		return nil, errNoActor
	}
	return row, nil
}

// The first row of the next result, or nil; out of the connection's buffer.
func next(results *pgconn.MultiResultReader) [][]byte {
	if !results.NextResult() {
		return nil
	}
	reader := results.ResultReader()
	defer reader.Close() // an error stays with the results
	if !reader.NextRow() {
		return nil
	}
	row := make([][]byte, len(reader.Values()))
	for i, value := range reader.Values() {
		if value != nil {
			row[i] = append(make([]byte, 0, len(value)), value...)
		}
	}
	return row
}

// pgx knows by name what a connection has prepared.
func prepare(ctx context.Context, connection *pgx.Conn, what *statement) error {
	_, err := connection.Prepare(ctx, what.name, what.text)
	return err
}
