// SPDX-License-Identifier: AGPL-3.0-or-later

// Consultations as a team with Go and pgx would serve them, on the database of Wardmote. A record and a page come from PostgreSQL as JSON text and are sent
// as they are.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const uuid = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
const statuses = "idea|planned|approved|open|closed|analysed|fed_back|evaluated|cancelled"

var (
	isUUID     = regexp.MustCompile("^" + uuid + "$")
	parameters = map[string]*regexp.Regexp{
		"status":       listOf(statuses),
		"partner_id":   listOf(uuid),
		"locality_ids": listOf(uuid),
		"statutory":    regexp.MustCompile("^(?:true|false)$"),
		"everyone":     regexp.MustCompile("^(?:true|false)$"),
		"topics":       listOf("[^,]+"),
		"q":            regexp.MustCompile("^.{1,200}$"),
		"sort":         regexp.MustCompile("^-?(?:open_on|close_on|title|updated_at)$"),
		"limit":        regexp.MustCompile("^[1-9][0-9]{0,8}$"),
		"include":      listOf("partner|localities"),
		"cursor":       regexp.MustCompile("^[A-Za-z0-9_-]+$"),
	}
	withoutCursor = regexp.MustCompile("[?&]cursor=[^&]*")
	moreScopes    = map[string]string{"partner": "partners:read", "localities": "localities:read"}
	problems      = map[int][2]string{
		400: {"invalid-request", "The request is not valid"},
		401: {"invalid-token", "The access token is not valid"},
		403: {"insufficient-scope", "The token is not enough for this"},
		404: {"not-found", "There is nothing here"},
		409: {"conflict", "The request conflicts with what is stored"},
		412: {"precondition-failed", "The record has changed meanwhile"},
		422: {"unprocessable", "The request does not fit the data"},
		428: {"precondition-required", "If-Match is required"},
		503: {"unavailable", "The service cannot do this now"},
	}
)

func listOf(item string) *regexp.Regexp {
	return regexp.MustCompile("^(?:" + item + ")(?:,(?:" + item + "))*$")
}

type server struct {
	database   *database
	tokens     *tokens
	statements *statements
	schemas    map[string]*schema
	publicURL  string
}

// A refusal: its status, and what is wrong.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func (s *server) refuse(w http.ResponseWriter, err error) {
	status, detail := 503, ""
	var known *refusal
	if errors.As(err, &known) {
		status, detail = known.status, known.detail
	} else if errors.Is(err, errNoActor) {
		status = 401
	} else {
		log.Print(err)
	}
	body, _ := json.Marshal(map[string]any{"type": s.publicURL + "/problems/" + problems[status][0], "title": problems[status][1], "status": status, "detail": detail})
	w.Header()["Content-Type"] = []string{"application/problem+json"}
	w.WriteHeader(status)
	w.Write(body)
}

// Who asks: nil for the anonymous. Every statement acts as the caller in its own transaction.
func (s *server) authenticate(r *http.Request, scopes ...string) (*caller, error) {
	field := r.Header.Get("Authorization")
	if field == "" {
		return nil, nil
	}
	found := s.tokens.caller(strings.TrimPrefix(field, "Bearer "))
	if found == nil || !strings.HasPrefix(field, "Bearer ") {
		return nil, &refusal{401, ""}
	}
	for _, scope := range scopes {
		if found.scopes != nil && !found.scopes[scope] {
			return nil, &refusal{403, scope}
		}
	}
	return found, nil
}

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	vary     = []string{"Accept, Authorization"}
)

// A body in parts.
func send(w http.ResponseWriter, status int, body ...[]byte) error {
	length := 0
	for _, part := range body {
		length += len(part)
	}
	header := w.Header()
	header["Content-Type"], header["Cache-Control"], header["Vary"] = jsonType, noStore, vary
	header["Content-Length"] = []string{strconv.Itoa(length)}
	w.WriteHeader(status)
	for _, part := range body {
		if _, err := w.Write(part); err != nil {
			return nil // the client is gone
		}
	}
	return nil
}

func (s *server) one(w http.ResponseWriter, r *http.Request, id string) error {
	who, err := s.authenticate(r, "consultations:read")
	if err != nil {
		return err
	}
	if !isUUID.MatchString(id) {
		return &refusal{404, ""}
	}
	row, err := s.database.ask(r.Context(), who, s.statements.one[kind(who)], [][]byte{[]byte(id)})
	if err != nil {
		return err
	}
	if row == nil {
		return &refusal{404, ""}
	}
	tag := "anonymous"
	if who != nil {
		tag = who.partner
	}
	etag := `"` + string(row[1]) + "-" + tag + `"`
	w.Header()["Etag"] = []string{etag}
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(304)
		return nil
	}
	return send(w, 200, row[0])
}

// The query of a list, checked: a parameter that is unknown, repeated or ill-formed is never ignored.
func parse(r *http.Request) (*query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &refusal{400, err.Error()}
	}
	found := &query{sort: "open_on", limit: "50", filters: map[string]string{}}
	for name, given := range values {
		if parameters[name] == nil || len(given) != 1 || !parameters[name].MatchString(given[0]) {
			return nil, &refusal{400, name + ": not valid"}
		}
		switch name {
		case "sort":
			found.sort = given[0]
		case "limit":
			if n, _ := strconv.Atoi(given[0]); n > 500 {
				given[0] = "500"
			}
			found.limit = given[0]
		case "include":
			found.include = given[0]
		case "cursor":
			found.after, err = decodeCursor(given[0], values.Get("sort"))
		case "locality_ids", "topics":
			found.filters[name] = arrayOf(given[0])
		case "status", "partner_id":
			if name == "status" && given[0] == "open" {
				found.filters["status_open"] = ""
			} else if strings.Contains(given[0], ",") {
				found.filters[name+"_any"] = arrayOf(given[0])
			} else {
				found.filters[name] = given[0]
			}
		default:
			found.filters[name] = given[0]
		}
	}
	if words, given := found.filters["q"]; given && found.filters["locality_ids"] != "" {
		delete(found.filters, "q")
		found.filters["q_of_places"] = words
	}
	return found, err
}

// The items of a list as an array of PostgreSQL.
func arrayOf(list string) string {
	return `{"` + strings.ReplaceAll(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(list), ",", `","`) + `"}`
}

func encodeCursor(sort, place string) string {
	key, id, _ := strings.Cut(place, "\x1f")
	text, _ := json.Marshal([]string{sort, key, id})
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodeCursor(text, sort string) ([]string, error) {
	var parts []string
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if sort == "" {
		sort = "open_on"
	}
	if err != nil || json.Unmarshal(raw, &parts) != nil || len(parts) != 3 || parts[0] != sort || !isUUID.MatchString(parts[2]) {
		return nil, &refusal{400, "cursor: none of this list"}
	}
	return parts[1:], nil
}

func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	asked, err := parse(r)
	if err != nil {
		return err
	}
	scopes := []string{"consultations:read"}
	for _, part := range asked.included() {
		scopes = append(scopes, moreScopes[part])
	}
	who, err := s.authenticate(r, scopes...)
	if err != nil {
		return err
	}
	page, values := s.statements.list(kind(who), asked)
	row, err := s.database.ask(r.Context(), who, page, values)
	if err != nil {
		return err
	}
	own := s.publicURL + withoutCursor.ReplaceAllString(r.URL.RequestURI(), "")
	header := `<` + own + `>; rel="self"`
	links := []link{{"self", own, "application/json"}}
	if row[1] != nil {
		separator := "?"
		if strings.Contains(own, "?") {
			separator = "&"
		}
		next := own + separator + "cursor=" + encodeCursor(asked.sort, string(row[1]))
		header += `, <` + next + `>; rel="next"`
		links = append(links, link{"next", next, "application/json"})
	}
	w.Header()["Link"] = []string{header}
	tail, err := json.Marshal(links)
	if err != nil {
		return err
	}
	return send(w, 200, []byte(`{"items":[`), row[0], []byte(`],"links":`), tail, []byte(`}`))
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
	Type string `json:"type"`
}

func kind(who *caller) string {
	if who == nil {
		return "anonymous"
	}
	return "partner"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := error(&refusal{404, ""})
	id := strings.TrimPrefix(r.URL.Path, "/v1/consultations/")
	isList, isOne := r.URL.Path == "/v1/consultations", len(id) < len(r.URL.Path)
	switch {
	case isOne && r.Method == http.MethodGet:
		err = s.one(w, r, id)
	case isList && r.Method == http.MethodGet:
		err = s.list(w, r)
	case isList && r.Method == http.MethodPost:
		err = s.create(w, r)
	case isOne && r.Method == http.MethodPatch:
		err = s.patch(w, r, id)
	}
	if err != nil {
		s.refuse(w, err)
	}
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	processes, err := strconv.Atoi(setting("PROCESSES", strconv.Itoa(runtime.NumCPU())))
	must(err)
	pool, err := strconv.Atoi(setting("POOL", "4"))
	must(err)
	runtime.GOMAXPROCS(processes)
	issuer := os.Getenv("ISSUER")
	s := &server{publicURL: setting("PUBLIC_URL", issuer)}
	s.statements, err = readStatements(os.Getenv("SQL"))
	must(err)
	s.schemas, err = readSchemas(os.Getenv("SCHEMAS"))
	must(err)
	s.tokens, err = readTokens(os.Getenv("JWKS_FILE"), issuer, setting("AUDIENCE", issuer))
	must(err)
	s.database, err = open(context.Background(), os.Getenv("DATABASE_URL"), pool*processes, s.statements)
	must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	must(err)
	fmt.Println("ready")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, s))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
