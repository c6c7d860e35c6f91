package access

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
)

// userIdentity is how the trail shows a caller.
func userIdentity(c identity.Caller) audit.Identity {
	if c.Anonymous() {
		if c.Type == "" {
			c.Type = "Unknown"
		}
		return audit.Identity{Type: c.Type, PrincipalID: c.PrincipalID, UserName: c.Name, AccessKeyID: c.AccessKeyID}
	}
	id := audit.Identity{Type: c.Type, PrincipalID: c.PrincipalID, ARN: c.Principal.ARN, AccountID: c.Principal.Account,
		AccessKeyID: c.AccessKeyID, UserName: c.Name}
	if c.Principal.Provider {
		id.ARN, id.Provider = "", c.Principal.ARN
	}
	if c.Session != nil {
		id.Session = sessionOf(c)
	}
	return id
}

// sessionOf is the sessionContext of temporary credentials.
func sessionOf(c identity.Caller) *audit.Session {
	s := c.Session
	out := &audit.Session{CreatedAt: s.IssuedAt(), MFA: s.MFA != 0, SourceIdentity: s.SourceIdentity, Provider: s.Provider}
	switch st := c.Standing; {
	case s.Kind == identity.UserSession:
	case st == nil:
		out.Issuer = audit.Issuer{Type: identity.TypeRoot, PrincipalID: c.Principal.Account, ARN: iam.RootOf(c.Principal.Account), AccountID: c.Principal.Account}
	default:
		out.Issuer = audit.Issuer{Type: "Role", PrincipalID: st.ID, ARN: st.ARN(), AccountID: st.Account, UserName: st.Name}
		if st.Kind == iam.KindUser {
			out.Issuer.Type = identity.TypeUser
		}
	}
	for key, values := range s.ProviderKeys {
		if strings.HasSuffix(key, ":aud") || strings.HasSuffix(key, ":sub") {
			if out.ProviderKeys == nil {
				out.ProviderKeys = map[string]string{}
			}
			out.ProviderKeys[key] = strings.Join(values, ",")
		}
	}
	return out
}
