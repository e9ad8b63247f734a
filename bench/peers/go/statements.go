// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// A text with its name on the connections that have prepared it.
type statement struct {
	name, text string
	anew       bool // planned for the values of each request
}

// The statements of ../sql, put together.
type statements struct {
	texts           map[string]string
	act, actSession *statement
	create, patch   *statement
	one             map[string]*statement // by kind of caller
	lists           sync.Map              // string to *statement
	mutex           sync.Mutex
	made            int
}

type query struct {
	sort, limit, include string
	filters              map[string]string
	after                []string
}

func (q *query) included() []string {
	if q.include == "" {
		return nil
	}
	return strings.Split(q.include, ",")
}

var (
	comments = regexp.MustCompile(`(?m)^--.*\n`)
	names    = regexp.MustCompile(`@\w+`)
	optional = regexp.MustCompile(`\{(\w+) ([^}]*)\}`)
	audience = map[string]string{"anonymous": "", "partner": "partner", "owner": "partner owner"}
	sorts    = map[string][2]string{"open_on": {"open_on_sort", "date"}, "close_on": {"close_on_sort", "date"}, "title": {"title", "text"},
		"updated_at": {"updated_at", "timestamptz"}}
	// One value is compared as one: with a list of them no order is left in an index after it.
	filters = []struct{ name, text string }{
		// An index holds the open ones alone, which a parameter would not be known to ask for.
		{"status_open", "t.status = 'open'"},
		{"status", "t.status = $%d::text"},
		{"status_any", "t.status = ANY ($%d::text[])"},
		{"partner_id", "t.partner_id = $%d::uuid"},
		{"partner_id_any", "t.partner_id = ANY ($%d::uuid[])"},
		{"statutory", "t.statutory = $%d::boolean"},
		{"everyone", "t.everyone = $%d::boolean"},
		{"topics", "t.topics && $%d::text[]"},
		{"locality_ids", "t.locality_ids && $%d::uuid[]"},
		{"q", "t.search @@ websearch_to_tsquery('english', $%d::text)"},
		// Asked of each record of a place: the words are read once.
		{"q_of_places", "t.search @@ (SELECT websearch_to_tsquery('english', $%d::text))"},
	}
	// Whether there are many or few such records is known only with the value: they are planned each time.
	plannedAnew = map[string]bool{"partner_id_any": true, "topics": true, "q": true}
	// But few records are of a place. A list of places begins with these, by one plan for all values: what else is asked gets a form that no index
	// answers, and the order is not an index's.
	indexed = map[string]bool{"locality_ids": true, "status_open": true}
)

func readStatements(folder string) (*statements, error) {
	s := &statements{texts: map[string]string{}, one: map[string]*statement{}}
	paths, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s.texts[strings.TrimSuffix(filepath.Base(path), ".sql")] = strings.Join(strings.Fields(comments.ReplaceAllString(string(raw), "")), " ")
	}
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no statements in %s", folder)
	}
	for kind, parts := range audience {
		s.texts[kind+"_fields"] = optional.ReplaceAllStringFunc(s.texts["fields"], func(found string) string {
			part := optional.FindStringSubmatch(found)
			if strings.Contains(parts, part[1]) {
				return part[2]
			}
			return ""
		})
	}
	s.act = &statement{name: "act", text: s.fill("act", nil)}
	s.actSession = &statement{name: "act_session", text: s.fill("act_session", nil)}
	for _, kind := range []string{"anonymous", "partner"} {
		record := s.fill("record_"+kind, map[string]string{"more": ""})
		s.one[kind] = &statement{name: "one_" + kind, text: s.fill("one", map[string]string{"record": record})}
	}
	// Only for those who have signed in.
	record := map[string]string{"record": s.fill("record_partner", map[string]string{"more": ""})}
	s.create = &statement{name: "create", text: s.fill("create", record)}
	s.patch = &statement{name: "patch", text: s.fill("patch", record)}
	return s, nil
}

// A text with @name replaced by the value or file of that name.
func (s *statements) fill(name string, values map[string]string) string {
	return names.ReplaceAllStringFunc(s.texts[name], func(found string) string {
		if value, given := values[found[1:]]; given {
			return value
		}
		return s.fill(found[1:], values)
	})
}

// The statement for a page and its parameters; it is made once for each combination of caller, filters, order and included records.
func (s *statements) list(kind string, q *query) (*statement, [][]byte) {
	key := strings.Builder{}
	fmt.Fprint(&key, kind, " ", q.sort, " ", q.include, " ", q.after != nil)
	values := [][]byte{[]byte(q.limit)}
	for _, filter := range filters {
		if value, given := q.filters[filter.name]; given {
			if hasValue(filter.text) {
				values = append(values, []byte(value))
			}
			key.WriteString(" " + filter.name)
		}
	}
	for _, value := range q.after {
		values = append(values, []byte(value))
	}
	if found, made := s.lists.Load(key.String()); made {
		return found.(*statement), values
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.made++
	found, _ := s.lists.LoadOrStore(key.String(), s.make(kind, q, fmt.Sprint("list", s.made)))
	return found.(*statement), values
}

func hasValue(text string) bool {
	return strings.Contains(text, "$")
}

func (s *statements) make(kind string, q *query, name string) *statement {
	column, direction, beyond := sorts[strings.TrimPrefix(q.sort, "-")], "ASC", ">"
	if strings.HasPrefix(q.sort, "-") {
		direction, beyond = "DESC", "<"
	}
	_, ofPlaces := q.filters["locality_ids"]
	where, n, anew := "", 2, false
	for _, filter := range filters {
		if _, given := q.filters[filter.name]; given {
			condition := filter.text
			if hasValue(filter.text) {
				condition = fmt.Sprintf(filter.text, n)
				n++
			}
			where += " AND (" + condition + ")"
			if ofPlaces && !indexed[filter.name] {
				where += " IS TRUE"
			}
			anew = anew || (!ofPlaces && plannedAnew[filter.name])
		}
	}
	order := fmt.Sprintf("t.%s %s, t.id %s", column[0], direction, direction)
	if ofPlaces {
		order = fmt.Sprintf("ROW(t.%s, t.id) %s", column[0], direction)
	}
	if q.after != nil {
		where += fmt.Sprintf(" AND (t.%s, t.id) %s ($%d::%s, $%d::uuid)", column[0], beyond, n, column[1], n+1)
	}
	more := ""
	for _, part := range q.included() {
		more += s.fill("include_"+part, nil)
	}
	return &statement{name: name, anew: anew, text: s.fill("list", map[string]string{
		"branches":  s.fill("branches_"+kind, map[string]string{"sort": column[0], "order": order, "where": where}),
		"record":    s.fill("record_"+kind, map[string]string{"more": more}),
		"direction": direction,
	})}
}
