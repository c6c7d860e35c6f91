// Package identity knows who is calling: it finds the principal behind an access key, a session's credentials or a
// registry token, as it stands at this moment.
//
// It authenticates and does not authorise. Secrets leave it only to the signature check. An unknown, an inactive and a
// deleted credential are the same to a caller. Sessions and tokens carry who they are for, sealed, and none of what that
// one may do: policies, tags and names are those of the moment, and who is gone has no valid credential left.
package identity

import (
	"time"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Types of principals, as userIdentity in CloudTrail has them.
const (
	TypeRoot        = "Root"
	TypeUser        = "IAMUser"
	TypeRole        = "AssumedRole"
	TypeFederated   = "FederatedUser"
	TypeWebIdentity = "WebIdentityUser"
	TypeSAML        = "SAMLUser"
)

// Caller is an authenticated principal. The zero value is nobody. Nothing that it refers to ever changes.
type Caller struct {
	Principal policy.Principal
	// Type is one of the types above.
	Type string
	// PrincipalID is the unique id of the principal: of a user AIDA…, of a role's session AROA…:session, of a federated user
	// account:name, and for the root of an account the account's id.
	PrincipalID string
	// AccessKeyID is the key that the caller signed with, or with which its registry token was issued.
	AccessKeyID string
	// Name is the user's name, of IAM users only.
	Name string
	// Standing is the user or role; nil for the root and for who has no identity here.
	Standing *iam.Standing
	// Session is nil for long-term credentials.
	Session *Session
	// Keys are the condition keys of the principal.
	Keys policy.Context
}

// Anonymous reports whether nobody was authenticated.
func (c Caller) Anonymous() bool { return c.Principal.ARN == "" }

// SessionARN is the ARN of a role's session, in which the role has no path.
func SessionARN(account, role, name string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + name
}

// rootCaller is the root of an account.
func rootCaller(account string) Caller {
	return Caller{Principal: policy.Principal{ARN: iam.RootOf(account), Account: account, Root: true}, Type: TypeRoot, PrincipalID: account}
}

// callerOf is who stands behind a session, or behind long-term credentials if session is nil.
func callerOf(st *iam.Standing, session *Session) Caller {
	c := Caller{Standing: st, Session: session}
	switch {
	case session != nil && session.Kind == RoleSession:
		c.Type, c.PrincipalID = TypeRole, st.ID+":"+session.Name
		c.Principal = policy.Principal{ARN: SessionARN(st.Account, st.Name, session.Name), Account: st.Account, ID: st.ID, Role: st.ARN(),
			ServiceLinked: st.LinkedService != ""}
	case session != nil && session.Kind == FederationSession:
		c.Type, c.PrincipalID = TypeFederated, st.Account+":"+session.Name
		c.Principal = policy.Principal{ARN: FederatedARN(st.Account, session.Name), Account: st.Account, ID: st.ID, User: st.ARN()}
	default:
		c.Type, c.PrincipalID, c.Name = TypeUser, st.ID, st.Name
		c.Principal = policy.Principal{ARN: st.ARN(), Account: st.Account, ID: st.ID}
	}
	return c
}

// FederatedARN is the ARN of a federated user.
func FederatedARN(account, name string) string {
	return "arn:aws:sts::" + account + ":federated-user/" + name
}

// principalTypes are aws:PrincipalType by the type in CloudTrail.
var principalTypes = map[string]string{TypeRoot: "Account", TypeUser: "User", TypeRole: "AssumedRole", TypeFederated: "FederatedUser"}

// keysOf are the condition keys of a principal.
func keysOf(c Caller) policy.Context {
	keys := policy.Context{}
	keys.Put("aws:PrincipalArn", principalARN(c))
	keys.Put("aws:PrincipalAccount", c.Principal.Account)
	keys.Put("aws:PrincipalType", principalTypes[c.Type])
	keys.Put("aws:PrincipalIsAWSService", "false")
	keys.Put("aws:userid", c.PrincipalID)
	if c.Name != "" {
		keys.Put("aws:username", c.Name)
	}
	for key, value := range principalTags(c) {
		keys.Put("aws:PrincipalTag/"+key, value)
	}
	if c.Session != nil {
		c.Session.putKeys(keys)
	}
	return keys
}

// principalARN is what aws:PrincipalArn says: for a role's session the role, with its path.
func principalARN(c Caller) string {
	if c.Principal.Role != "" {
		return c.Principal.Role
	}
	return c.Principal.ARN
}

// principalTags are the tags of the user or role, over which those of the session go, without regard to case.
func principalTags(c Caller) map[string]string {
	tags := map[string]string{}
	if c.Standing != nil && c.Type != TypeFederated {
		for _, t := range c.Standing.Tags {
			tags[t.Key] = t.Value
		}
	}
	if c.Session == nil {
		return tags
	}
	for key, value := range c.Session.Tags {
		for old := range tags {
			if policy.SameKey(old, key) {
				delete(tags, old)
			}
		}
		tags[key] = value
	}
	return tags
}

// timeKey is how times are written in condition keys.
func timeKey(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// federatedRoot is the principal of a federated user that an account's root made.
func federatedRoot(account, name string) policy.Principal {
	return policy.Principal{ARN: FederatedARN(account, name), Account: account, User: iam.RootOf(account)}
}
