package blob

import (
	"context"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// counting counts what a resolver is asked.
type counting struct {
	s3.EndpointResolverV2
	n int
}

func (c *counting) ResolveEndpoint(ctx context.Context, p s3.EndpointParameters) (smithyendpoints.Endpoint, error) {
	c.n++
	return c.EndpointResolverV2.ResolveEndpoint(ctx, p)
}

// TestEndpointsAreRemembered asks for what differs in each way that matters. What the client does to an answer changes no
// other.
func TestEndpointsAreRemembered(t *testing.T) {
	real := s3.NewDefaultEndpointResolverV2()
	asked := &counting{EndpointResolverV2: real}
	o := s3.Options{EndpointResolverV2: asked}
	remembering(&o)
	base := s3.EndpointParameters{Bucket: aws.String("bucket"), Region: aws.String("eu-central-1"), UseFIPS: aws.Bool(false), UseDualStack: aws.Bool(false),
		Accelerate: aws.Bool(false), ForcePathStyle: aws.Bool(false)}
	cases := []func(*s3.EndpointParameters){
		func(*s3.EndpointParameters) {},
		func(p *s3.EndpointParameters) { p.Bucket = aws.String("another") },
		func(p *s3.EndpointParameters) { p.Bucket = aws.String("express--use1-az4--x-s3") },
		func(p *s3.EndpointParameters) { p.Region = aws.String("us-gov-west-1") },
		func(p *s3.EndpointParameters) { p.ForcePathStyle = aws.Bool(true) },
		func(p *s3.EndpointParameters) { p.Endpoint = aws.String("http://127.0.0.1:7070") },
	}
	for i, change := range cases {
		p := base
		change(&p)
		want, err := real.ResolveEndpoint(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a", "b", "c"} {
			p.Key = &key
			got, err := o.EndpointResolverV2.ResolveEndpoint(t.Context(), p)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("case %d, %s: %+v, %v; want %+v", i, key, got, err, want)
			}
			options, ok := smithyauth.GetAuthOptions(&got.Properties)
			if !ok || len(options) == 0 {
				t.Fatalf("case %d: no way to sign", i)
			}
			options[0].SchemeID = "changed"
			options[0].SignerProperties.Set("changed", true)
			got.Properties.Set("changed", true)
		}
		if asked.n != i+1 {
			t.Errorf("asked %d times for %d places", asked.n, i+1)
		}
	}
	for range 2 {
		if _, err := o.EndpointResolverV2.ResolveEndpoint(t.Context(), s3.EndpointParameters{}); err == nil {
			t.Error("no error for nothing")
		}
	}
	if asked.n != len(cases)+2 {
		t.Error("an error was remembered")
	}
}
