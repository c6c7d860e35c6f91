package sigv4

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

var (
	vectorSecret = secret.New("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
	vectorToken  = secret.New("FwoGZXIvYXdzEXAMPLETOKEN//x+y==")
)

// vectors are requests that botocore signed, as they come over the wire.
var vectors = []struct {
	name          string
	text          string // without its signature
	authorization string // up to the signature; empty if that is in the query
	signature     string
	canonical     []string // lines that the canonical request has
}{
	{
		name: "awsJson to a host with a port",
		text: "POST / HTTP/1.1\nHost: aws.registry.test:8443\nContent-Type: application/x-amz-json-1.1\n" +
			"X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories\nX-Amz-Date: 20260115T123045Z\n" +
			"Content-Length: 33\nUser-Agent: Boto3\nAuthorization: AUTH\n\n" + `{"repositoryNames": ["team/app"]}`,
		authorization: "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEACCESSKEY/20260115/eu-central-1/ecr/aws4_request, " +
			"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=",
		signature: "c7ca24d26790c6c72fcb9034f60b04e767a2f3370faaf48e3da3b3901bfb1742",
		canonical: []string{"POST", "/", "host:aws.registry.test:8443", "content-type:application/x-amz-json-1.1"},
	},
	{
		name: "a form with a session token",
		text: "POST / HTTP/1.1\nHost: aws.registry.test\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\n" +
			"X-Amz-Date: 20260115T123045Z\nX-Amz-Security-Token: " + vectorToken.Reveal() + "\nContent-Length: 43\nAuthorization: AUTH\n\n" +
			"Action=GetCallerIdentity&Version=2011-06-15",
		authorization: "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLEACCESSKEY/20260115/us-east-1/sts/aws4_request, " +
			"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=",
		signature: "17723f5b6eb3927db538988468062a8810dd68cdfbe96326505811c03694e216",
		canonical: []string{"x-amz-security-token:" + vectorToken.Reveal()},
	},
	{
		name: "a path that is encoded twice",
		text: "GET /tags/arn%3Aaws%3Asigner%3Aeu-central-1%3A111122223333%3A%2Fsigning-profiles%2Fp1 HTTP/1.1\n" +
			"Host: aws.registry.test\nX-Amz-Date: 20260115T123045Z\nAuthorization: AUTH\n\n",
		authorization: "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEACCESSKEY/20260115/eu-central-1/signer/aws4_request, " +
			"SignedHeaders=host;x-amz-date, Signature=",
		signature: "9322838181fd1a54124e92f432994158ed06e9f5d9bea6a580af6e1d43a9a0f3",
		canonical: []string{"/tags/arn%253Aaws%253Asigner%253Aeu-central-1%253A111122223333%253A%252Fsigning-profiles%252Fp1"},
	},
	{
		name: "presigned, in another order than the canonical one",
		text: "GET /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&" +
			"X-Amz-Credential=ASIAEXAMPLEACCESSKEY%2F20260115%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260115T123045Z&" +
			"X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLETOKEN%2F%2Fx%2By%3D%3D&" +
			"X-Amz-Signature=SIGNATURE HTTP/1.1\nHost: aws.registry.test\nX-K8s-Aws-Id: my-cluster\n\n",
		signature: "10c79e801cada75997f15c399c0757401f59bd1d119b5df652207a850804a80e",
		canonical: []string{"x-k8s-aws-id:my-cluster"},
	},
	{
		name: "a query with repeated and empty parameters",
		text: "GET /revocations?certificateHashes=b%2B1&certificateHashes=a&platformId=Notation-OCI-SHA384-ECDSA&empty HTTP/1.1\n" +
			"Host: data-signer.registry.test\nX-Amz-Date: 20260115T123045Z\nAuthorization: AUTH\n\n",
		authorization: "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEACCESSKEY/20260115/eu-central-1/signer/aws4_request, " +
			"SignedHeaders=host;x-amz-date, Signature=",
		signature: "fd1abcc8309698cf366f4a05fb0da38d960c7d9c9bb9e4b284a6d14b6b1cf497",
		canonical: []string{"certificateHashes=a&certificateHashes=b%2B1&empty=&platformId=Notation-OCI-SHA384-ECDSA"},
	},
}

// vectorText is a vector with its signature in its place.
func vectorText(i int) string {
	v := vectors[i]
	return strings.NewReplacer("AUTH", v.authorization+v.signature, "X-Amz-Signature=SIGNATURE", "X-Amz-Signature="+v.signature).Replace(v.text)
}

func withVectorSecret(c *Check) { c.Secret = vectorSecret }

func TestVectorsVerify(t *testing.T) {
	for i, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			r, body := mustRead(t, vectorText(i))
			if err := verify(r, body, withVectorSecret); err != nil {
				t.Error(err)
			}
			s, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := appendCanonical(nil, r, s.Service, s.headers, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range v.canonical {
				if !strings.Contains("\n"+string(text), "\n"+want+"\n") {
					t.Errorf("canonical request has no line %q:\n%s", want, text)
				}
			}
			wantError(t, verify(r, body, nil), Mismatch, mismatchMessage) // under another secret
			wantError(t, verify(r, append(body, 'x'), withVectorSecret), Mismatch, mismatchMessage)
		})
	}
}

// TestVectorsAltered changes each byte of each vector. What still verifies must mean the same.
func TestVectorsAltered(t *testing.T) {
	for i, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			text := vectorText(i)
			r, body := mustRead(t, text)
			want := meaning(t, r, body)
			original, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			good, bad := 0, 0
			for altered := range mutants(text) {
				r, body, err := read(altered)
				if err != nil {
					continue
				}
				// Another access key has another secret.
				if s, err := Parse(r); err != nil || s.AccessKeyID != original.AccessKeyID {
					continue
				}
				if err := verify(r, body, withVectorSecret); err != nil {
					bad++
					continue
				}
				good++
				if got := meaning(t, r, body); got != want {
					t.Errorf("%q was accepted; it means\n%s\nand not\n%s", altered, got, want)
				}
			}
			if good == 0 || bad < 1000 {
				t.Errorf("%d accepted, %d refused: the test is not looking", good, bad)
			}
		})
	}
}

// TestSignMakesVectors signs the vectors that bear their signature in a header.
func TestSignMakesVectors(t *testing.T) {
	for i, v := range vectors {
		if v.authorization == "" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			served, body := mustRead(t, vectorText(i))
			s, err := Parse(served)
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequest(served.Method, "https://"+served.Host+served.RequestURI, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"Content-Type", "X-Amz-Target"} {
				if value := served.Header.Get(name); value != "" {
					r.Header.Set(name, value)
				}
			}
			err = Sign(r, body, Credentials{AccessKeyID: s.AccessKeyID, Secret: vectorSecret, SessionToken: s.SessionToken},
				Scope{Region: s.Region, Service: s.Service}, signedAt.In(time.FixedZone("", 3600)))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := r.Header.Get("Authorization"), v.authorization+v.signature; got != want {
				t.Errorf("Authorization is %s\nwant %s", got, want)
			}
		})
	}
}
