package blob

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// endpoints remembers where requests go. The client asks twice for each request, and to work it out takes longer than to
// sign it, though all requests of a store go to one place.
type endpoints struct {
	resolver s3.EndpointResolverV2

	mu    sync.RWMutex
	known map[endpointKind]smithyendpoints.Endpoint
}

// endpointKind is what differs between the requests of a client and decides where they go. Bucket and place are always
// those of the store, and the name of an object decides nothing.
type endpointKind struct {
	bucket, region, endpoint                         string
	pathStyle, noAccessPoints, control, objectLambda bool
}

// remembering makes a client remember where its requests go.
func remembering(o *s3.Options) {
	o.EndpointResolverV2 = &endpoints{resolver: o.EndpointResolverV2, known: map[endpointKind]smithyendpoints.Endpoint{}}
}

// ResolveEndpoint tells where a request goes.
func (e *endpoints) ResolveEndpoint(ctx context.Context, p s3.EndpointParameters) (smithyendpoints.Endpoint, error) {
	kind := endpointKind{
		bucket: aws.ToString(p.Bucket), region: aws.ToString(p.Region), endpoint: aws.ToString(p.Endpoint), pathStyle: aws.ToBool(p.ForcePathStyle),
		noAccessPoints: aws.ToBool(p.DisableAccessPoints), control: aws.ToBool(p.UseS3ExpressControlEndpoint), objectLambda: aws.ToBool(p.UseObjectLambdaEndpoint),
	}
	e.mu.RLock()
	known, ok := e.known[kind]
	e.mu.RUnlock()
	if ok {
		return copied(known), nil
	}
	known, err := e.resolver.ResolveEndpoint(ctx, p)
	if err != nil {
		return known, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[kind] = copied(known)
	return known, nil
}

// copied copies what the client changes in an endpoint that it is given: the ways to sign.
func copied(e smithyendpoints.Endpoint) smithyendpoints.Endpoint {
	var properties smithy.Properties
	// Even reading initialises properties, so only SetAll may look at those that many share.
	properties.SetAll(&e.Properties)
	if options, ok := smithyauth.GetAuthOptions(&properties); ok {
		own := make([]*smithyauth.Option, len(options))
		for i, o := range options {
			own[i] = &smithyauth.Option{SchemeID: o.SchemeID}
			own[i].IdentityProperties.SetAll(&o.IdentityProperties)
			own[i].SignerProperties.SetAll(&o.SignerProperties)
		}
		smithyauth.SetAuthOptions(&properties, own)
	}
	e.Headers = e.Headers.Clone()
	e.Properties = properties
	return e
}
