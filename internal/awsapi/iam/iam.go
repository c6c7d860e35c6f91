// Package iam is the interface of AWS Identity and Access Management: the types of its operations and the model by which
// calls are decoded and validated. What IAM does is not here.
package iam

import "github.com/coffer-registry/coffer/internal/awsapi"

//go:generate go run ../gen -model ../../../api/iam.json -name iam -out zz_generated.go

// style is how IAM words that a request breaks its model.
var style = &awsapi.Style{Code: "ValidationError"}
