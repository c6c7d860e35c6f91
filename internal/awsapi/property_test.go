package awsapi_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/awsapi/sts"
)

// genValid makes values that fit a shape, as encoding/json reads them.
func genValid(s *awsapi.Shape) *rapid.Generator[any] {
	switch s.Kind {
	case awsapi.Structure:
		return genStructure(s)
	case awsapi.List:
		low := int(bound(s.Min, 0))
		return rapid.Map(rapid.SliceOfN(genValid(s.Element), low, min(int(bound(s.Max, 3)), low+3)), func(v []any) any { return v })
	case awsapi.String:
		return rapid.Map(genText(s), func(v string) any { return v })
	case awsapi.Blob:
		return rapid.Map(rapid.SliceOfN(rapid.Byte(), int(bound(s.Min, 0)), 20), func(v []byte) any { return base64.StdEncoding.EncodeToString(v) })
	case awsapi.Boolean:
		return rapid.Map(rapid.Bool(), func(v bool) any { return v })
	case awsapi.Integer:
		return rapid.Map(rapid.Int64Range(bound(s.Min, math.MinInt64), bound(s.Max, math.MaxInt64)), func(v int64) any { return json.Number(strconv.FormatInt(v, 10)) })
	}
	panic(fmt.Sprintf("inputs have no values of the kind %d", s.Kind))
}

func bound(b *int64, otherwise int64) int64 {
	if b == nil {
		return otherwise
	}
	return *b
}

func genStructure(s *awsapi.Shape) *rapid.Generator[any] {
	if len(s.Members) == 0 {
		return rapid.Just[any](map[string]any{})
	}
	return rapid.Custom(func(t *rapid.T) any {
		out := map[string]any{}
		for _, m := range s.Members {
			if m.Required || rapid.Bool().Draw(t, m.Name) {
				v := genValid(m.Shape).Draw(t, m.Name)
				// Structs don't tell an empty optional string from an absent one.
				if m.Required || v != "" {
					out[m.Name] = v
				}
			}
		}
		return out
	})
}

func genText(s *awsapi.Shape) *rapid.Generator[string] {
	if len(s.Enum) > 0 {
		return rapid.SampledFrom(s.Enum)
	}
	low := int(bound(s.Min, 0))
	high := min(int(bound(s.Max, 1<<20)), low+20)
	if s.Pattern == "" {
		return rapid.StringN(low, high, -1)
	}
	pattern := strings.ReplaceAll(s.Pattern, `\u10000-\u10FFFF`, "")
	for _, code := range []string{"0009", "000A", "000D", "0020", "007E", "0085", "00A0", "00FF", "D7FF", "E000", "FFFD"} {
		pattern = strings.ReplaceAll(pattern, `\u`+code, `\x{`+code+`}`)
	}
	if class, ok := strings.CutSuffix(strings.TrimRight(pattern, "+*"), "]"); ok && strings.HasPrefix(pattern, "[") && !strings.Contains(class, "]") {
		pattern = fmt.Sprintf("%s]{%d,%d}", class, low, high)
	}
	return rapid.StringMatching(pattern).Filter(func(text string) bool {
		n := utf8.RuneCountInString(text)
		return s.Matches([]byte(text)) && n >= low && n <= int(bound(s.Max, math.MaxInt64))
	})
}

// TestValidInputsDecode decodes inputs that fit the model, and finds in the struct what was sent.
func TestValidInputsDecode(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		op := ecr.Model.Operations[name]
		if op == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := genValid(op.Input).Draw(t, "input")
				body, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				in := reflect.New(reflect.TypeOf(inputs[name])).Interface()
				if err := awsapi.DecodeJSON(ecr.Model, op, body, in); err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				if diff := cmp.Diff(string(body), canonical(t, in)); diff != "" {
					t.Fatalf("-want +got\n%s", diff)
				}
			})
		})
	}
}

// canonical writes an input with the members of each object sorted.
func canonical(t *rapid.T, in any) string {
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// flatten writes a value as the parameters of a form.
func flatten(form url.Values, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for member, value := range v {
			flatten(form, strings.TrimPrefix(name+"."+member, "."), value)
		}
	case []any:
		for i, element := range v {
			flatten(form, fmt.Sprintf("%s.member.%d", name, i+1), element)
		}
		if len(v) == 0 {
			form.Set(name, "")
		}
	default:
		form.Set(name, fmt.Sprint(v))
	}
}

// prune drops structures without members, which have no form.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = prune(member)
		}
		maps.DeleteFunc(v, func(_ string, member any) bool { return member == nil })
		if len(v) == 0 {
			return nil
		}
	case []any:
		kept := []any{}
		for _, element := range v {
			if element = prune(element); element != nil {
				kept = append(kept, element)
			}
		}
		if len(kept) == 0 && len(v) > 0 {
			return nil
		}
		return kept
	}
	return v
}

// TestBothProtocolsDecodeAlike sends the same input in both protocols.
func TestBothProtocolsDecodeAlike(t *testing.T) {
	for _, name := range []string{"AssumeRole", "AssumeRoleWithSAML", "GetSessionToken"} {
		op := sts.Model.Operations[name]
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				input := genValid(op.Input).Draw(t, "input")
				if input = prune(input); input == nil {
					input = map[string]any{}
				}
				body, err := json.Marshal(input)
				if err != nil {
					t.Fatal(err)
				}
				form := url.Values{"Action": {name}}
				flatten(form, "", input)
				byJSON, byForm := reflect.New(reflect.TypeOf(inputs[name])).Interface(), reflect.New(reflect.TypeOf(inputs[name])).Interface()
				if err := awsapi.DecodeJSON(sts.Model, op, body, byJSON); err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				if err := awsapi.DecodeQuery(sts.Model, op, form, byForm); err != nil {
					t.Fatalf("%s: %v", form.Encode(), err)
				}
				if diff := cmp.Diff(byJSON, byForm); diff != "" {
					t.Fatalf("-JSON +form\n%s", diff)
				}
			})
		})
	}
}

// checkRefusal checks that an error is one that a client can be told.
func checkRefusal(t *testing.T, err error) {
	var failure *awsapi.Error
	if !errors.As(err, &failure) || failure.Status != 400 || failure.Code == "" || failure.Message == "" || len(failure.Message) > 100_000 {
		t.Fatalf("bad error %#v", err)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	names := slices.Sorted(maps.Keys(inputs))
	for i, body := range []string{
		`{"repositoryName":"app","imageIds":[{"imageTag":"a"},{}]}`, `{"repositoryName":"app","tags":[{"Key":"a","Value":"b"}]}`,
		`{"layerPartBlob":"AA==","partFirstByte":1e3}`, `[null]`, `{"maxResults":1001}`, `{"replicationConfiguration":{"rules":[{"destinations":[]}]}}`,
	} {
		f.Add(byte(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		name := names[int(which)%len(names)]
		op := ecr.Model.Operations[name]
		if op == nil {
			return
		}
		in := newInput(t, name)
		if err := awsapi.DecodeJSON(ecr.Model, op, body, in); err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := awsapi.DecodeJSON(ecr.Model, op, again, newInput(t, name)); err != nil {
			t.Fatalf("%s passed but %s does not: %v", body, again, err)
		}
	})
}

func FuzzDecodeQuery(f *testing.F) {
	names := []string{"AssumeRole", "AssumeRoleWithSAML", "GetCallerIdentity", "GetSessionToken"}
	for i, form := range []string{
		"RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa&RoleSessionName=ci&Tags.member.1.Key=a&Tags.member.1.Value=b",
		"Tags=&PolicyArns.member.2.arn=x", "Action=GetCallerIdentity", "DurationSeconds=900&DurationSeconds=901", "Tags.member.99999999999999999999.Key=a",
	} {
		f.Add(byte(i), form)
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		name := names[int(which)%len(names)]
		if err := awsapi.DecodeQuery(sts.Model, sts.Model.Operations[name], form, newInput(t, name)); err != nil {
			checkRefusal(t, err)
		}
	})
}
