package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/blob/s3test"
)

// put writes an object in pieces, as it is done for a push.
func put(t testing.TB, s blob.Store, key string, p []byte) {
	t.Helper()
	if err := putPieces(t.Context(), s, key, p); err != nil {
		t.Fatal(err)
	}
}

func putPieces(ctx context.Context, s blob.Store, key string, p []byte) error {
	u, err := s.Create(ctx, key, nil)
	if err != nil {
		return err
	}
	defer u.Close()
	for len(p) > 0 {
		n := min(len(p), 512<<10)
		if err := u.WritePart(ctx, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return u.Commit(ctx)
}

// TestS3Unconditional runs the suite as on a server that doesn't know conditional writes.
func TestS3Unconditional(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	blobtest.Run(t, func(t *testing.T) func() blob.Store {
		url := server.URL(server.Bucket(t))
		return func() blob.Store {
			s := openS3(t, url, blob.S3Options{})
			if !s.Conditional() {
				t.Error("the server is taken for one that doesn't know conditional writes")
			}
			s.AssumeUnconditional()
			return s
		}
	})
}

// TestS3Memory pushes 64 objects at once and counts the memory of their buffers.
func TestS3Memory(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	const memory = 48 * mib
	s := openS3(t, server.URL(server.Bucket(t)), blob.S3Options{Memory: memory})
	p := randomBytes(1, 11*mib)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := putPieces(t.Context(), s, blob.NewKey(time.Now()), p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if peak := s.MemoryPeak(); peak > memory || peak < memory/3 {
		t.Errorf("buffers took %d bytes of %d", peak, memory)
	}
	if used := s.MemoryUsed(); used != 0 {
		t.Errorf("%d bytes are in use", used)
	}
}

// TestS3Requests counts the requests of pushes and pulls.
func TestS3Requests(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	s := openS3(t, s3test.URL(proxy.Endpoint, server.Bucket(t)), blob.S3Options{})
	for _, test := range []struct{ size, write, read int }{
		{100, 1, 1}, {512 << 10, 1, 1}, {mib, 1, 2}, {3 * mib / 2, 1, 2}, {5 * mib, 1, 3}, {11 * mib, 6, 3}, {50 * mib, 13, 3},
	} {
		key, p := blob.NewKey(time.Now()), randomBytes(1, test.size)
		proxy.Use(nil)
		put(t, s, key, p)
		if r := proxy.Requests(); len(r) != test.write {
			t.Errorf("%d bytes were written by %v", test.size, r)
		}
		proxy.Use(nil)
		o, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		// As sealed objects are read: the header, the last chunk, and then all before it.
		last := max(0, len(p)-60_000)
		for _, part := range [][2]int{{0, min(32, len(p))}, {last, len(p)}} {
			if n, err := o.ReadAt(make([]byte, part[1]-part[0]), int64(part[0])); n != part[1]-part[0] || err != nil {
				t.Errorf("read at %d of %d bytes: %d, %v", part[0], len(p), n, err)
			}
		}
		got := make([]byte, 0, len(p))
		for at := 0; at < last; at += 256 << 10 {
			b := make([]byte, min(256<<10, last-at))
			if n, err := o.ReadAt(b, int64(at)); n != len(b) || err != nil {
				t.Fatalf("read at %d: %d bytes, error %v", at, n, err)
			}
			got = append(got, b...)
		}
		if string(got) != string(p[:last]) {
			t.Errorf("read other bytes of %d", len(p))
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		if r := proxy.Requests(); len(r) != test.read {
			t.Errorf("%d bytes were read by %v", test.size, r)
		}
	}
}

// TestS3Resumes resumes an upload at once: no request asks for what is in memory.
func TestS3Resumes(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	bucket := server.Bucket(t)
	s := openS3(t, s3test.URL(proxy.Endpoint, bucket), blob.S3Options{})
	key, p := blob.NewKey(time.Now()), randomBytes(1, 2*mib)
	proxy.Use(nil)
	u := start(t, s, key, nil, string(p[:mib]))
	if err := errors.Join(u.Sync(t.Context()), u.Close()); err != nil {
		t.Fatal(err)
	}
	u = start(t, s, key, u.State(), string(p[mib:]))
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(proxy.Requests()), "[POST uploads PUT PUT partNumber POST uploadId HEAD DELETE]"; got != want {
		t.Errorf("requests were %s, want %s", got, want)
	}
	wantBytes(t, s, key, p)
	if left := names(t, server.Client(t), bucket); len(left) != 1 {
		t.Errorf("the bucket holds %v", left)
	}
}

// TestS3Tails lists and deletes uploads with temporary objects, among names that are others'.
func TestS3Tails(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	bucket := server.Bucket(t)
	s, client := openS3(t, server.URL(bucket), blob.S3Options{}), server.Client(t)
	key := blob.NewKey(time.Now())
	for _, name := range []string{"objects/readme", "objects/" + key + ".backup", "objects/" + key + ".tail-x", "other/" + key, "objects/00000000/a", key} {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(name), Body: strings.NewReader("foreign")}); err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, client, bucket)
	u := start(t, s, key, nil, string(randomBytes(1, mib)))
	if err := errors.Join(u.Sync(t.Context()), u.Close()); err != nil {
		t.Fatal(err)
	}
	if n := len(names(t, client, bucket)); n != len(before)+2 {
		t.Errorf("an upload and a temporary object are %d more names", n-len(before))
	}
	n := 0
	for info, err := range s.List(t.Context(), "") {
		if n++; err != nil || info.Key != key || !info.Partial {
			t.Errorf("listed %+v, error %v", info, err)
		}
	}
	if n != 1 {
		t.Errorf("%d are listed", n)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if after := names(t, client, bucket); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("left are %v, want %v", after, before)
	}
}

// TestS3RandomReads reads ranges of an object from many goroutines.
func TestS3RandomReads(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	s := openS3(t, server.URL(server.Bucket(t)), blob.S3Options{})
	key, p := blob.NewKey(time.Now()), randomBytes(1, 9*mib)
	put(t, s, key, p)
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			at := 0
			for range 40 {
				if r.IntN(3) == 0 {
					at = r.IntN(len(p))
				}
				b := make([]byte, 1+r.IntN(300_000))
				n, err := o.ReadAt(b, int64(at))
				if want := min(len(b), len(p)-at); n != want || err != nil && (err != io.EOF || n == len(b)) || string(b[:n]) != string(p[at:at+n]) {
					t.Errorf("%d bytes at %d: %d, want %d, error %v", len(b), at, n, want, err)
				}
				at = (at + n) % len(p)
			}
		})
	}
	wg.Wait()
}

// TestS3VirtualHost names the bucket in the host, which the test resolves itself.
func TestS3VirtualHost(t *testing.T) {
	server := s3test.Start(t, "--virtual-domain", "s3.coffer.test")
	s3test.Environment(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server.Endpoint, "http://"))
	bucket := server.Bucket(t)
	var dialer net.Dialer
	var hosts sync.Map
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		hosts.Store(address, true)
		return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	s := openS3(t, s3test.URL("http://s3.coffer.test", bucket, "path-style=false"), blob.S3Options{Dial: dial})
	key, p := blob.NewKey(time.Now()), randomBytes(1, 6*mib)
	put(t, s, key, p)
	wantBytes(t, s, key, p)
	if _, ok := hosts.Load(bucket + ".s3.coffer.test:80"); !ok {
		t.Error("the bucket was not in the host's name")
	}
}

// TestS3Misconfigured opens what can't be opened: each gives its error, on one line.
func TestS3Misconfigured(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	bucket := server.Bucket(t)
	proxy := server.Proxy(t)
	good := server.URL(bucket)
	for _, test := range []struct {
		name, url string
		set       map[string]string
		plan      s3test.Plan
		want      error
		text      string
	}{
		{name: "no bucket", url: server.URL("no-such-bucket"), want: blob.ErrBucket, text: "no-such-bucket"},
		{name: "secret", url: good, set: map[string]string{"AWS_SECRET_ACCESS_KEY": "hunter2-hunter2-hunter2-hunter2-hunter2"}, want: blob.ErrAccess, text: "SignatureDoesNotMatch"},
		{name: "access key", url: good, set: map[string]string{"AWS_ACCESS_KEY_ID": "unknown"}, want: blob.ErrAccess, text: "access key"},
		{name: "no credentials", url: good, set: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, want: blob.ErrCredentials, text: "AWS_ACCESS_KEY_ID"},
		{name: "region", url: strings.ReplaceAll(good, s3test.Region, "us-west-2"), want: blob.ErrRegion, text: "us-west-2"},
		{name: "no region", url: "s3://" + bucket, want: blob.ErrRegion, text: "AWS_REGION"},
		{name: "read-only", url: s3test.URL(proxy.Endpoint, bucket), want: blob.ErrAccess, text: "s3:PutObject", plan: func(_ int, r *http.Request) s3test.Fault {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				return s3test.Denied
			}
			return s3test.None
		}},
		{name: "nobody there", url: s3test.URL("http://127.0.0.1:1", bucket), want: blob.ErrUnreachable, text: "127.0.0.1:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.set {
				t.Setenv(name, value)
			}
			proxy.Use(test.plan)
			_, err := blob.OpenS3(t.Context(), test.url, blob.S3Options{})
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error is %v", err)
			} else {
				t.Log(err)
			}
		})
	}
	if left := names(t, server.Client(t), bucket); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestS3Claim(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	url := server.URL(server.Bucket(t))
	s := openS3(t, url, blob.S3Options{})
	for range 2 {
		if err := s.Claim(t.Context(), "installation-1"); err != nil {
			t.Error(err)
		}
	}
	if err := openS3(t, url, blob.S3Options{}).Claim(t.Context(), "installation-2"); !errors.Is(err, blob.ErrForeign) || !strings.Contains(err.Error(), "installation-1") {
		t.Errorf("another's: %v", err)
	}
	unnamed := openS3(t, server.URL(server.Bucket(t)), blob.S3Options{})
	put(t, unnamed, blob.NewKey(time.Now()), []byte("a"))
	if err := unnamed.Claim(t.Context(), "installation-1"); !errors.Is(err, blob.ErrForeign) {
		t.Errorf("one with objects that doesn't say whose: %v", err)
	}
	if err := s.Claim(t.Context(), "a\nb"); err == nil {
		t.Error("claimed for no id")
	}
}

func TestFolderClaim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	f := openFolder(t, dir)
	put(t, f, blob.NewKey(time.Now()), []byte("a"))
	for range 2 {
		if err := f.Claim(t.Context(), "installation-1"); err != nil {
			t.Error(err)
		}
	}
	if err := openFolder(t, dir).Claim(t.Context(), "installation-2"); !errors.Is(err, blob.ErrForeign) {
		t.Errorf("another's: %v", err)
	}
	n := 0
	for range f.List(t.Context(), "") {
		n++
	}
	if err := f.Ping(t.Context()); err != nil || n != 1 {
		t.Errorf("%d are listed, ping: %v", n, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Ping(t.Context()); err == nil {
		t.Error("a folder that is gone answers")
	}
}

// TestS3Down stops the server, and starts it again while an upload waits for it.
func TestS3Down(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	s := openS3(t, server.URL(server.Bucket(t)), blob.S3Options{})
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	key, p := blob.NewKey(time.Now()), randomBytes(1, 12*mib)
	u := start(t, s, key, nil, string(p[:mib]))
	if err := u.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if err := s.Ping(t.Context()); !errors.Is(err, blob.ErrUnreachable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("ping: %v", err)
	}
	if err := u.WritePart(t.Context(), p[mib:]); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, key, p)
}

// TestS3Observed is told of calls.
func TestS3Observed(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	var mu sync.Mutex
	seen := map[string]blob.S3Operation{}
	s := openS3(t, server.URL(server.Bucket(t)), blob.S3Options{Observe: func(o blob.S3Operation) {
		mu.Lock()
		defer mu.Unlock()
		seen[o.Name+" "+o.Class] = o
	}})
	key := blob.NewKey(time.Now())
	put(t, s, key, make([]byte, 1000))
	wantBytes(t, s, key, make([]byte, 1000))
	if _, err := s.Open(t.Context(), blob.NewKey(time.Now())); err == nil {
		t.Error("opened what is not there")
	}
	mu.Lock()
	defer mu.Unlock()
	for name, bytes := range map[string]int64{"PutObject ": 1000, "GetObject ": 1000, "GetObject missing": 0, "PutObject exists": -1} {
		o, ok := seen[name]
		if !ok || o.Duration <= 0 || o.Attempts != 1 || bytes >= 0 && o.Bytes != bytes {
			t.Errorf("%q is %+v in %v", name, o, seen)
		}
	}
}

// TestS3Credentials finds credentials wherever AWS's tools do.
func TestS3Credentials(t *testing.T) {
	server := s3test.Start(t)
	url := server.URL(server.Bucket(t))
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	expiry := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	keys := func(id, token string) string {
		return fmt.Sprintf(`{"Code":"Success","Type":"AWS-HMAC","LastUpdated":%q,"AccessKeyId":%q,"SecretAccessKey":%q,"%s":"","Expiration":%q}`, expiry, id, s3test.Secret, token, expiry)
	}
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "600")
			io.WriteString(w, "token")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"), strings.HasSuffix(r.URL.Path, "/security-credentials-extended/"):
			io.WriteString(w, "coffer")
		case strings.HasSuffix(r.URL.Path, "/coffer"), r.URL.Path == "/container":
			io.WriteString(w, keys(s3test.AccessKey, "Token"))
		case r.Method == http.MethodPost && r.FormValue("Action") == "AssumeRoleWithWebIdentity" && r.FormValue("WebIdentityToken") == "a web identity":
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
				`<SecretAccessKey>%s</SecretAccessKey><SessionToken></SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
				s3test.AccessKey, s3test.Secret, expiry)
		default:
			http.NotFound(w, r)
		}
	}))
	defer fake.Close()
	file := fmt.Sprintf("[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n[coffer]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3test.AccessKey, s3test.Secret)
	for name, test := range map[string]struct {
		parameters string
		set        map[string]string
	}{
		"environment":  {"", map[string]string{"AWS_ACCESS_KEY_ID": s3test.AccessKey, "AWS_SECRET_ACCESS_KEY": s3test.Secret}},
		"file":         {"&profile=coffer", map[string]string{"AWS_SHARED_CREDENTIALS_FILE": write("credentials", file)}},
		"instance":     {"", map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": fake.URL}},
		"container":    {"", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": fake.URL + "/container"}},
		"web identity": {"", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": write("token", "a web identity"), "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/coffer", "AWS_ENDPOINT_URL_STS": fake.URL}},
	} {
		t.Run(name, func(t *testing.T) {
			s3test.Environment(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			for name, value := range test.set {
				t.Setenv(name, value)
			}
			s := openS3(t, url+test.parameters, blob.S3Options{})
			put(t, s, blob.NewKey(time.Now()), []byte("a"))
		})
	}
}

// BenchmarkS3Threshold writes objects below a part in one request and as an upload of one part, which tells from which
// size on the second would be worth it.
func BenchmarkS3Threshold(b *testing.B) {
	server := s3test.Start(b)
	s3test.Environment(b)
	s := openS3(b, server.URL(server.Bucket(b)), blob.S3Options{})
	for _, size := range []int{64 << 10, mib, 5 * mib} {
		p := randomBytes(1, size)
		for name, synced := range map[string]bool{"one request": false, "upload": true} {
			b.Run(fmt.Sprintf("%d KiB/%s", size>>10, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					u, err := s.Create(b.Context(), blob.NewKey(time.Now()), nil)
					if err == nil && synced {
						err = u.Sync(b.Context())
					}
					if err == nil {
						err = errors.Join(u.WritePart(b.Context(), p), u.Commit(b.Context()), u.Close())
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
