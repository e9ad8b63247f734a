// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"time"
	"unicode/utf8"
)

// What the bodies need of JSON Schema.
type schema struct {
	Type                 kinds
	Enum                 []any
	Required             []string
	Properties           map[string]*schema
	AdditionalProperties *bool
	Items                *schema
	MaxItems, MaxLength  *int
	MinLength            int
	UniqueItems          bool
	Minimum, Maximum     *float64
	Pattern, Format      string
	pattern              *regexp.Regexp
}

// One type or several.
type kinds []string

func (k *kinds) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(k))
	}
	*k = make([]string, 1)
	return json.Unmarshal(text, &(*k)[0])
}

func readSchemas(path string) (map[string]*schema, error) {
	found := map[string]*schema{}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &found)
	}
	for _, each := range found {
		if err == nil {
			err = each.prepare()
		}
	}
	return found, err
}

func (s *schema) prepare() (err error) {
	if s.Pattern != "" {
		s.pattern, err = regexp.Compile(s.Pattern)
	}
	if s.Items != nil && err == nil {
		err = s.Items.prepare()
	}
	for _, each := range s.Properties {
		if err == nil {
			err = each.prepare()
		}
	}
	return err
}

// nil, or the first fault of a body.
func (s *schema) checkText(text []byte) error {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return &refusal{400, "the body is no JSON"}
	}
	if fault := s.check(value, ""); fault != "" {
		return &refusal{400, fault}
	}
	return nil
}

func (s *schema) check(value any, at string) string {
	if !s.isOfType(value) {
		return at + ": wrong type"
	}
	if s.Enum != nil && !contains(s.Enum, value) {
		return at + ": none of the values"
	}
	switch v := value.(type) {
	case string:
		return s.checkString(v, at)
	case float64:
		if (s.Minimum != nil && v < *s.Minimum) || (s.Maximum != nil && v > *s.Maximum) {
			return at + ": out of range"
		}
	case []any:
		return s.checkArray(v, at)
	case map[string]any:
		return s.checkObject(v, at)
	}
	return ""
}

func (s *schema) isOfType(value any) bool {
	for _, kind := range s.Type {
		switch v := value.(type) {
		case nil:
			if kind == "null" {
				return true
			}
		case bool:
			if kind == "boolean" {
				return true
			}
		case string:
			if kind == "string" {
				return true
			}
		case float64:
			if kind == "number" || kind == "integer" && v == math.Trunc(v) {
				return true
			}
		case []any:
			if kind == "array" {
				return true
			}
		case map[string]any:
			if kind == "object" {
				return true
			}
		}
	}
	return len(s.Type) == 0
}

func contains(values []any, value any) bool {
	for _, each := range values {
		if each == value {
			return true
		}
	}
	return false
}

func (s *schema) checkString(text, at string) string {
	n := utf8.RuneCountInString(text)
	if n < s.MinLength || (s.MaxLength != nil && n > *s.MaxLength) {
		return at + ": length"
	}
	if s.pattern != nil && !s.pattern.MatchString(text) {
		return at + ": form"
	}
	switch s.Format {
	case "uuid":
		if !isUUID.MatchString(text) {
			return at + ": no UUID"
		}
	case "date":
		if _, err := time.Parse("2006-01-02", text); err != nil {
			return at + ": no date"
		}
	}
	return ""
}

func (s *schema) checkArray(items []any, at string) string {
	if s.MaxItems != nil && len(items) > *s.MaxItems {
		return at + ": too many"
	}
	for i, item := range items {
		if s.UniqueItems && contains(items[:i], item) {
			return at + ": repeated"
		}
		if s.Items == nil {
			continue
		}
		if fault := s.Items.check(item, fmt.Sprint(at, "/", i)); fault != "" {
			return fault
		}
	}
	return ""
}

func (s *schema) checkObject(object map[string]any, at string) string {
	for _, name := range s.Required {
		if _, given := object[name]; !given {
			return at + "/" + name + ": missing"
		}
	}
	for name, value := range object {
		property := s.Properties[name]
		if property == nil {
			if s.AdditionalProperties != nil && !*s.AdditionalProperties {
				return at + "/" + name + ": unknown"
			}
			continue
		}
		if fault := property.check(value, at+"/"+name); fault != "" {
			return fault
		}
	}
	return ""
}
