package seal

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Keys stay hidden wherever they are printed, even in a field of another package's struct, where fmt calls no methods.
func TestKeyHidesWhereverItIs(t *testing.T) {
	key := NewKey()
	raw := key.Bytes()
	secrets := []string{fmt.Sprintf("%x", raw[:4]), fmt.Sprintf("%X", raw[:4]), strings.Trim(fmt.Sprint(raw[:4]), "[]"), fmt.Sprintf("%q", raw[:4])}
	for name, v := range map[string]any{
		"key": key, "pointer": &key, "list": []Key{key}, "map": map[string]Key{"a": key}, "zero": Key{},
		"field": struct{ Key Key }{key}, "unexported field": struct{ key Key }{key}, "pointer to one": &struct{ key Key }{key},
	} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("a", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("a", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		texts := map[string]string{"slog": log.String(), "JSON": string(text)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%p", "%40s"} {
			texts[verb] = fmt.Sprintf(verb, v)
		}
		for how, text := range texts {
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s by %s: %s", name, how, text)
				}
			}
		}
	}
}

func TestNoKeyIsRefused(t *testing.T) {
	var none Key
	if none.Bytes() != nil || none.Equal(none) || none.Equal(NewKey()) || NewKey().Equal(none) {
		t.Error("no key is one")
	}
	if _, err := SealBytes(none, nil, []byte("a")); err == nil {
		t.Error("sealed without a key")
	}
	if _, err := OpenBytes(none, nil, make([]byte, 100)); err == nil {
		t.Error("opened without a key")
	}
	for _, n := range []int{0, 16, 31, 33} {
		if k, err := KeyFromBytes(make([]byte, n)); err == nil || k.Bytes() != nil {
			t.Errorf("%d bytes are a key", n)
		}
	}
}
