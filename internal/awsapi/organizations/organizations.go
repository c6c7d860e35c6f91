// Package organizations is the interface of AWS Organizations: the types of its operations and the model by which calls
// are decoded and validated. What an organization is and does is not here.
package organizations

import "github.com/coffer-registry/coffer/internal/awsapi"

//go:generate go run ../gen -model ../../../api/organizations.json -name organizations -out zz_generated.go

// style is how Organizations words that a request breaks its model.
var style = &awsapi.Style{Code: "InvalidInputException", Sentence: sentence}

func sentence(v *awsapi.Violation) string {
	switch v.Rule {
	case awsapi.Pattern:
		return "You provided a value that does not match the required pattern."
	case awsapi.Enum:
		return "You specified an invalid value."
	}
	return ""
}
