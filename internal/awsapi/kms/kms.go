// Package kms has the types and the model of the API of AWS KMS, version 2014-11-01. What the operations do is the business
// of package service/kms.
package kms

import "github.com/coffer-registry/coffer/internal/awsapi"

//go:generate go run ../gen -model ../../../api/kms.json -name kms -out zz_generated.go

// style is AWS's generic one.
var style = &awsapi.Style{}
