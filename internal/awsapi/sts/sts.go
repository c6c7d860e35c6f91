// Package sts has the types and the model of the API of the AWS Security Token Service, version 2011-06-15, and how it
// words that a request breaks the model. What the operations do is the business of package service/sts.
package sts

import "github.com/coffer-registry/coffer/internal/awsapi"

//go:generate go run ../gen -model ../../../api/sts.json -name sts -out zz_generated.go

// style is AWS's generic one: "1 validation error detected: Value 'x' at 'roleSessionName' failed to satisfy ...".
var style = &awsapi.Style{Code: "ValidationError"}
