// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	keptTokens = 10000
	leeway     = 30 // seconds
)

// Who a token stands for.
type caller struct {
	until   int64
	partner string
	scopes  map[string]bool // nil: not narrowed
	values  [][]byte        // of act.sql, or with a session of act_session.sql
}

// Bearer tokens: ES256, by the keys of a JWKS file. A token that was verified is kept until it expires.
type tokens struct {
	keys             map[string]*ecdsa.PublicKey
	issuer, audience string
	mutex            sync.RWMutex
	kept             map[string]*caller
}

func readTokens(path, issuer, audience string) (*tokens, error) {
	var file struct {
		Keys []struct{ Kid, X, Y string }
	}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	t := &tokens{keys: map[string]*ecdsa.PublicKey{}, issuer: issuer, audience: audience, kept: map[string]*caller{}}
	for _, key := range file.Keys {
		x, _ := base64.RawURLEncoding.DecodeString(key.X)
		y, _ := base64.RawURLEncoding.DecodeString(key.Y)
		t.keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	}
	return t, err
}

// nil for a token that does not hold.
func (t *tokens) caller(token string) *caller {
	now := time.Now().Unix()
	t.mutex.RLock()
	found := t.kept[token]
	t.mutex.RUnlock()
	if found != nil && found.until > now {
		return found
	}
	found, err := t.verify(token, now)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.kept, token)
	if err != nil {
		return nil
	}
	if len(t.kept) >= keptTokens {
		for some := range t.kept {
			delete(t.kept, some)
			break
		}
	}
	t.kept[token] = found
	return found
}

type claims struct {
	Iss, Aud, Sub, Sid, Partner string
	TokenUse                    string `json:"token_use"`
	Exp, Nbf, Iat, Epoch        int64
	Scope                       *string
}

func part(text string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

var errToken = errors.New("the token is not valid")

func (t *tokens) verify(token string, now int64) (*caller, error) {
	var header struct{ Alg, Kid string }
	var body claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 || part(parts[0], &header) != nil || part(parts[1], &body) != nil {
		return nil, errToken
	}
	key := t.keys[header.Kid]
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if key == nil || header.Alg != "ES256" || err != nil || len(signature) != 64 {
		return nil, errToken
	}
	hash := sha256.Sum256([]byte(token[:len(parts[0])+1+len(parts[1])]))
	if !ecdsa.Verify(key, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, errToken
	}
	if body.Iss != t.issuer || body.Aud != t.audience || body.TokenUse != "access" || body.Exp+leeway <= now || body.Nbf > now+leeway || body.Iat > now+leeway {
		return nil, errToken
	}
	scope := ""
	found := &caller{until: body.Exp + leeway, partner: body.Partner}
	if body.Scope != nil {
		found.scopes = map[string]bool{}
		for _, one := range strings.Fields(*body.Scope) {
			found.scopes[one] = true
		}
		// A token with no scope at all still counts as narrowed.
		if scope = *body.Scope; scope == "" {
			scope = "-"
		}
	}
	found.values = [][]byte{[]byte(body.Sub), []byte(strconv.FormatInt(body.Epoch, 10)), []byte(scope)}
	if body.Sid != "" {
		found.values = append(found.values, []byte(body.Sid))
	}
	return found, nil
}
