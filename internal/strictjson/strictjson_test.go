package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCheckAccepts(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, `false`, `""`, `0`, `-0`, `-0.0e-0`, `1e400`, `123456789012345678901234567890`, `1.5E+3`,
		`[]`, `{}`, " \t\r\n[ ] \n", `[1,2 , 3]`, `{"a":1,"b":{"a":1}}`, `{ "a" : [ { } , [ ] ] }`,
		`"\"\\\/\b\f\n\r\t\u0041\u00e9\uD834\uDD1E"`, `"\u0000"`, `"é𝄞 ~"`, "\"\u2028\ufffd\"", "\"\x7f\"",
		`[{"a":1},{"a":1}]`, `{"a":1,"A":2,"":3}`, `[[[]]]`,
		`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0}`,
	} {
		if err := Check([]byte(text), 3); err != nil {
			t.Errorf("Check(%q): %v", text, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	const twice = "object has two members of the same name"
	for _, test := range []struct {
		text   string
		offset int
		reason string
	}{
		{``, 0, "text ends where a value should be"},
		{`  `, 2, "text ends where a value should be"},
		{"\ufeff{}", 0, "expected a value"},
		{`{} {}`, 3, "text goes on after its value"},
		{`1 2`, 2, "text goes on after its value"},
		{`01`, 1, "text goes on after its value"},
		{`+1`, 0, "expected a value"},
		{`.5`, 0, "expected a value"},
		{`-`, 1, "text ends where a digit should be"},
		{`-a`, 1, "expected a digit"},
		{`1.`, 2, "text ends where a digit should be"},
		{`1.e1`, 2, "expected a digit"},
		{`1e+`, 3, "text ends where a digit should be"},
		{`0x10`, 1, "text goes on after its value"},
		{`NaN`, 0, "expected a value"},
		{`nul`, 0, "expected a value"},
		{`True`, 0, "expected a value"},
		{`'a'`, 0, "expected a value"},
		{`// a`, 0, "expected a value"},
		{`[`, 1, "text ends where a value should be"},
		{`[1`, 2, "text ends where a comma or the end of the container should be"},
		{`[1,]`, 3, "expected a value"},
		{`[,1]`, 1, "expected a value"},
		{`[1 2]`, 3, "expected a comma or the end of the container"},
		{`[1}`, 2, "expected a comma or the end of the container"},
		{`{"a":1]`, 6, "expected a comma or the end of the container"},
		{`{"a":1,}`, 7, "expected a member's name"},
		{`{a:1}`, 1, "expected a member's name"},
		{`{1:1}`, 1, "expected a member's name"},
		{`{"a"}`, 4, "expected a colon"},
		{`{"a":}`, 5, "expected a value"},
		{`{"a" 1}`, 5, "expected a colon"},
		{`}`, 0, "expected a value"},
		{`"`, 1, "text ends within a string"},
		{`"abcdefghijklmnop`, 17, "text ends within a string"},
		{`"a\`, 3, "text ends within a string"},
		{`"a\"`, 4, "text ends within a string"},
		{"\"a\nb\"", 2, "control character in a string"},
		{"\"abcdefghijkl\x00\"", 13, "control character in a string"},
		{`"\x41"`, 1, "invalid escape sequence"},
		{`"\u12"`, 1, "invalid escape sequence"},
		{`"\u12G4"`, 1, "invalid escape sequence"},
		{`"\uD834"`, 1, "half of a surrogate pair"},
		{`"\uD834\n"`, 1, "half of a surrogate pair"},
		{`"\uD834\u0041"`, 1, "half of a surrogate pair"},
		{`"\uDD1E\uD834"`, 1, "half of a surrogate pair"},
		{"\"abcdefg\xff\"", 8, "invalid UTF-8"},
		{"\"\xed\xa0\x80\"", 1, "invalid UTF-8"},
		{"\"\xc0\xaf\"", 1, "invalid UTF-8"},
		{"\"\xe2\x82\"", 1, "invalid UTF-8"},
		{"[\"a\", \xff]", 6, "expected a value"},
		{`{"a":1,"a":2}`, 7, twice},
		{`{"a":1,"\u0061":2}`, 7, twice},
		{`{"\u0061":1,"a":2}`, 12, twice},
		{`{"\n":1,"\u000a":2}`, 8, twice},
		{`{"":1,"":2}`, 6, twice},
		{`[{"x":{"b":1,"a":1,"b":1}}]`, 19, twice},
		{`{"a":{"b":1},"a":{}}`, 13, twice},
		{`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"\u0062":0}`, 61, twice},
		{`[[[[]]]]`, 3, "values are nested too deeply"},
		{`{"a":{"a":{"a":{}}}}`, 15, "values are nested too deeply"},
	} {
		err := Check([]byte(test.text), 3)
		var failure *Error
		if !errors.As(err, &failure) {
			t.Errorf("Check(%q) = %v, want an *Error", test.text, err)
			continue
		}
		if diff := cmp.Diff(&Error{test.offset, test.reason}, failure); diff != "" {
			t.Errorf("Check(%q): -want +got\n%s", test.text, diff)
		}
	}
}

func TestErrorText(t *testing.T) {
	err := Check([]byte(`{"a":1,"a":2}`), 1)
	if want := "invalid JSON at byte 7: object has two members of the same name"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDepthZeroTakesScalarsOnly(t *testing.T) {
	if err := Check([]byte(`"a"`), 0); err != nil {
		t.Error(err)
	}
	if err := Check([]byte(`[]`), 0); err == nil {
		t.Error("an array passed at depth 0")
	}
}

// TestDeepTextIsCheap nests so deeply that a recursion would exhaust the stack.
func TestDeepTextIsCheap(t *testing.T) {
	const depth = 5_000_000
	text := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	v, err := Parse(text, depth)
	if err != nil {
		t.Fatal(err)
	}
	if n := v.Len(); n != 1 {
		t.Errorf("got %d items, want 1", n)
	}
	if err := Check(text, depth-1); err == nil {
		t.Error("one level too many passed")
	}
}

// TestManyNames has a size at which comparing every name with every other would take hours.
func TestManyNames(t *testing.T) {
	var b bytes.Buffer
	const n = 500_000
	for i := range n {
		fmt.Fprintf(&b, `,"%x":0`, i)
	}
	text := b.Bytes()
	text[0] = '{'
	v, err := Parse(append(bytes.Clone(text), '}'), 1)
	if err != nil {
		t.Fatal(err)
	}
	if v.Len() != n {
		t.Errorf("got %d members, want %d", v.Len(), n)
	}
	var failure *Error
	if err := Check(append(bytes.Clone(text), `,"77":0}`...), 1); !errors.As(err, &failure) || failure.Offset != len(text)+1 {
		t.Errorf("got %v, want the repeated name's position %d", err, len(text)+1)
	}
}

func TestValue(t *testing.T) {
	text := []byte(` {"s" : "a\u00e9\ud834\udd1e\/\"", "plain":"xyz", "n":-1.50e3, "t":true, "f":false, "z":null,
		"list":[1,"]",{"a":"}"},[[]]], "o":{"k\"1":"\\","k2":{}}, "empty":[], "none":{}} `)
	v, err := Parse(text, 8)
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Name string
		Kind Kind
		Raw  string
		Len  int
	}
	var got []seen
	for name, m := range v.Members() {
		got = append(got, seen{name, m.Kind(), string(m.Raw()), m.Len()})
	}
	want := []seen{
		{"s", String, `"a\u00e9\ud834\udd1e\/\""`, 0},
		{"plain", String, `"xyz"`, 0},
		{"n", Number, `-1.50e3`, 0},
		{"t", Bool, `true`, 0},
		{"f", Bool, `false`, 0},
		{"z", Null, `null`, 0},
		{"list", Array, `[1,"]",{"a":"}"},[[]]]`, 4},
		{"o", Object, `{"k\"1":"\\","k2":{}}`, 2},
		{"empty", Array, `[]`, 0},
		{"none", Object, `{}`, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members: -want +got\n%s", diff)
	}
	if s := v.Member("s").String(); s != "aé𝄞/\"" {
		t.Errorf("string is %q", s)
	}
	if s := v.Member("o").Member(`k"1`).String(); s != `\` {
		t.Errorf("member of the object is %q", s)
	}
	if n := v.Member("n").Number(); n != "-1.50e3" {
		t.Errorf("number is %q", n)
	}
	if !v.Member("t").Bool() || v.Member("f").Bool() {
		t.Error("booleans are wrong")
	}
	if v.Member("S").Kind() != Absent || v.Member("list").Member("a").Kind() != Absent {
		t.Error("found a member that is not there")
	}
	var items []string
	for i, item := range v.Member("list").Items() {
		items = append(items, fmt.Sprint(i, " ", string(item.Raw())))
	}
	if diff := cmp.Diff([]string{`0 1`, `1 "]"`, `2 {"a":"}"}`, `3 [[]]`}, items); diff != "" {
		t.Errorf("items: -want +got\n%s", diff)
	}
}

func TestAbsentValueIsSafe(t *testing.T) {
	var v Value
	for range v.Items() {
		t.Error("absent value has items")
	}
	for range v.Members() {
		t.Error("absent value has members")
	}
	if v.Kind() != Absent || v.Len() != 0 || v.String() != "" || v.Number() != "" || v.Bool() || v.Bytes() != nil || v.Member("a").Kind() != Absent {
		t.Error("absent value is not empty")
	}
	if Absent.String() != "absent" || Kind(99).String() != "Kind(99)" {
		t.Error("names of kinds are wrong")
	}
}

func TestIterationStops(t *testing.T) {
	v, err := Parse([]byte(`{"a":[1,2],"b":[]}`), 2)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, m := range v.Members() {
		for range m.Items() {
			count++
			break
		}
		break
	}
	if count != 1 {
		t.Errorf("went on %d times", count)
	}
}

// tree rebuilds what encoding/json makes of a text, through the Value.
func tree(v Value) any {
	switch v.Kind() {
	case Bool:
		return v.Bool()
	case Number:
		return json.Number(v.Number())
	case String:
		return v.String()
	case Array:
		out := []any{}
		for _, item := range v.Items() {
			out = append(out, tree(item))
		}
		return out
	case Object:
		out := map[string]any{}
		for name, member := range v.Members() {
			out[name] = tree(member)
		}
		return out
	}
	return nil
}

// standard is what encoding/json makes of a text.
func standard(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func genValue(depth int) *rapid.Generator[any] {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z"\\/ ]{0,20}`))
	scalar := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(text, func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(i int64) any { return i }), rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { return f }))
	if depth == 0 {
		return scalar
	}
	inner := genValue(depth - 1)
	return rapid.OneOf(scalar,
		rapid.Map(rapid.SliceOfN(inner, 0, 5), func(s []any) any { return s }),
		rapid.Map(rapid.MapOfN(text, inner, 0, 12), func(m map[string]any) any { return m }))
}

// TestReadsLikeEncodingJSON writes values by encoding/json and reads them by both packages.
func TestReadsLikeEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(genValue(3).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "indent") {
			var b bytes.Buffer
			if err := json.Indent(&b, text, "\r\n", "\t "); err != nil {
				t.Fatal(err)
			}
			text = b.Bytes()
		}
		v, err := Parse(text, 3)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, err := standard(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tree(v)); diff != "" {
			t.Fatalf("%s: -want +got\n%s", text, diff)
		}
	})
}

// TestEveryCutIsRefused cuts a text at each byte.
func TestEveryCutIsRefused(t *testing.T) {
	text := []byte(`{"a":[1.5e+3,true,null,"x\u00e9\ud834\udd1e",{"é":false}]}`)
	if err := Check(text, 8); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		if err := Check(text[:i], 8); err == nil {
			t.Errorf("%q passed", text[:i])
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, text := range []string{
		`{"a":[1.5e+3,true,null,"x\u00e9\ud834\udd1e",{"é":false}]}`, `{"a":1,"\u0061":2}`, `"\ud800"`, `[[[[`, "\"\xff\"", ` 0 `, `-0.1E-5`,
		`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"a":0}`, `{"aaaaaaaaaaaaaaaaaaaa":"bbbbbbbbbbbbbbb\n"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text, 100)
		if err != nil {
			var failure *Error
			if !errors.As(err, &failure) || failure.Offset < 0 || failure.Offset > len(text) {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		if !utf8.Valid(text) || !json.Valid(text) {
			t.Fatalf("%q passed", text)
		}
		want, err := standard(text)
		if err != nil {
			t.Fatalf("encoding/json refuses %q: %v", text, err)
		}
		if diff := cmp.Diff(want, tree(v)); diff != "" {
			t.Fatalf("%q: -want +got\n%s", text, diff)
		}
	})
}

func benchmarkCheck(b *testing.B, text []byte) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(text, 64); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckLayerPart(b *testing.B) {
	text := bytes.Repeat([]byte("c29tZSBieXRlcyBvZiBhIGxheWVy"), 1<<19)
	benchmarkCheck(b, fmt.Appendf(nil, `{"repositoryName":"team/app","layerPartBlob":"%s"}`, text))
}

func BenchmarkCheckManifest(b *testing.B) {
	var layers []string
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		layers = append(layers, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":%d,"digest":"sha256:%064x"}`, r.IntN(1e8), r.Uint64()))
	}
	benchmarkCheck(b, []byte(`{"schemaVersion":2,"layers":[`+strings.Join(layers, ",")+`]}`))
}

func BenchmarkCheckNonASCII(b *testing.B) {
	benchmarkCheck(b, []byte(`"`+strings.Repeat("naïve café – 日本語 ", 1<<16)+`"`))
}

func BenchmarkCheckManyNames(b *testing.B) {
	var parts []string
	for i := range 100_000 {
		parts = append(parts, fmt.Sprintf(`"name-%d":%d`, i, i))
	}
	benchmarkCheck(b, []byte("{"+strings.Join(parts, ",")+"}"))
}
