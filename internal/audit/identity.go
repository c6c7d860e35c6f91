package audit

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// field is a member of a JSON object whose value is a text; name is written as `,"name":`.
type field struct{ name, value string }

// appendFields appends those fields that are not empty.
func appendFields(b []byte, fields ...field) []byte {
	for _, f := range fields {
		if f.value != "" {
			b = append(b, f.name...)
			b = appendString(b, f.value)
		}
	}
	return b
}

func (i Identity) appendJSON(b []byte) []byte {
	b = append(b, `{"type":`...)
	b = appendString(b, i.Type)
	b = appendFields(b, field{`,"principalId":`, i.PrincipalID}, field{`,"arn":`, i.ARN}, field{`,"accountId":`, i.AccountID},
		field{`,"accessKeyId":`, i.AccessKeyID}, field{`,"userName":`, i.UserName}, field{`,"identityProvider":`, i.Provider},
		field{`,"invokedBy":`, i.InvokedBy})
	if i.Session != nil {
		b = append(b, `,"sessionContext":`...)
		b = i.Session.appendJSON(b)
	}
	return append(b, '}')
}

func (s *Session) appendJSON(b []byte) []byte {
	b = append(b, `{"sessionIssuer":{`...)
	if s.Issuer.Type != "" {
		b = append(b, `"type":`...)
		b = appendString(b, s.Issuer.Type)
		b = appendFields(b, field{`,"principalId":`, s.Issuer.PrincipalID}, field{`,"arn":`, s.Issuer.ARN},
			field{`,"accountId":`, s.Issuer.AccountID}, field{`,"userName":`, s.Issuer.UserName})
	}
	b = append(b, `},"webIdFederationData":{`...)
	if s.Provider != "" {
		b = append(b, `"federatedProvider":`...)
		b = appendString(b, s.Provider)
		b = append(b, `,"attributes":{`...)
		for i, key := range slices.Sorted(maps.Keys(s.ProviderKeys)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, key)
			b = append(b, ':')
			b = appendString(b, cut(s.ProviderKeys[key]))
		}
		b = append(b, '}')
	}
	b = append(b, `},"attributes":{"creationDate":"`...)
	b = s.CreatedAt.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, `","mfaAuthenticated":"`...)
	b = strconv.AppendBool(b, s.MFA)
	b = append(b, `"}`...)
	b = appendFields(b, field{`,"sourceIdentity":`, s.SourceIdentity})
	return append(b, '}')
}
