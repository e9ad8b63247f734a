// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/jackc/pgconn"
)

const bodyMax = 1 << 20

var (
	versionTag = regexp.MustCompile(`^"(\d{1,9})-[^"]*"$`)
	// What a policy, a guard or a constraint of the database refuses.
	refused = map[string]int{"42501": 403, "WM403": 403, "23514": 422, "23503": 422, "23505": 409, "22P02": 422}
)

func (s *server) body(w http.ResponseWriter, r *http.Request, of string) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		return nil, &refusal{400, "the body is too long"}
	}
	return body, s.schemas[of].checkText(body)
}

func (s *server) create(w http.ResponseWriter, r *http.Request) error {
	body, err := s.body(w, r, "create")
	if err != nil {
		return err
	}
	return s.write(w, r, s.statements.create, body)
}

func (s *server) patch(w http.ResponseWriter, r *http.Request, id string) error {
	body, err := s.body(w, r, "patch")
	if err != nil {
		return err
	}
	if !isUUID.MatchString(id) {
		return &refusal{404, ""}
	}
	field := r.Header.Get("If-Match")
	version := []byte("0")
	if field == "" {
		return &refusal{428, ""}
	} else if field == "*" {
		version = nil
	} else if found := versionTag.FindStringSubmatch(field); found != nil {
		version = []byte(found[1])
	}
	return s.write(w, r, s.statements.patch, body, []byte(id), version)
}

// The row of a write: status, body, version, id.
func (s *server) write(w http.ResponseWriter, r *http.Request, what *statement, values ...[]byte) error {
	who, err := s.authenticate(r, "consultations:write")
	if err != nil {
		return err
	}
	if who == nil {
		return &refusal{401, ""}
	}
	row, err := s.database.ask(r.Context(), who, what, values)
	var fault *pgconn.PgError
	if errors.As(err, &fault) && refused[fault.Code] != 0 {
		return &refusal{refused[fault.Code], fault.Message}
	}
	if err != nil {
		return err
	}
	if row == nil {
		return &refusal{404, ""}
	}
	status, err := strconv.Atoi(string(row[0]))
	if err != nil {
		return err
	}
	if status >= 400 {
		return &refusal{status, string(row[1])}
	}
	header := w.Header()
	header["Etag"] = []string{`"` + string(row[2]) + "-" + who.partner + `"`}
	if status == http.StatusCreated {
		header["Location"] = []string{s.publicURL + "/v1/consultations/" + string(row[3])}
	}
	return send(w, status, row[1])
}
